"""Makes metas of what applications track: plain data that every node and client can be sent, with its phx_ref."""

import secrets
from base64 import urlsafe_b64encode
from itertools import count
from typing import Any

import msgspec

from antiphon.errors import ValidationError

_UNSENDABLE = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)

_REFS = len(',"phx_ref":"","phx_ref_prev":""') + 2 * 16


class MetaWriter:
    """Gives each meta a ref of 16 characters. The first nine belong to this writer alone, of all nodes and starts, as
    they are drawn from 2**56; the others are counted (PR-9)."""

    def __init__(self) -> None:
        self._own = secrets.token_bytes(7)
        self._numbers = count()

    def write(
        self, names: tuple[str, str, str], meta: dict[str, Any], previous: str | None
    ) -> tuple[dict[str, Any], int]:
        """A copy of `meta` with its refs, and the bytes of JSON that it and its topic, pid and key take.

        Raises `ValidationError` for what is no object of plain data.
        """
        try:
            body = msgspec.json.encode((names, meta))
            written = msgspec.json.decode(body)[1]
            msgspec.msgpack.encode((names, written))
        except _UNSENDABLE as error:
            raise ValidationError("a meta holds plain data only: text, numbers, lists and objects") from error
        if type(written) is not dict:
            raise ValidationError(f"a meta is an object, not {type(meta).__name__}")
        written["phx_ref"] = self._next_ref()
        written.pop("phx_ref_prev", None)
        if previous is not None:
            written["phx_ref_prev"] = previous
        return written, len(body) + _REFS

    def _next_ref(self) -> str:
        return urlsafe_b64encode(self._own + next(self._numbers).to_bytes(5, "big")).decode()

"""Puts the tool calls of one answer together from their pieces.

Vendors send ids that are empty, "0", doubled or missing; names twice or in pieces; indexes that are missing or always
0; arguments in pieces, as an object or not at all. Our own index counts the calls in the order of their first piece.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from antiphon.errors import ProviderError
from antiphon.providers.base import Event, ToolCall, ToolCallDelta, ToolCallEnd, ToolCallStart
from antiphon.providers.protocols.mending import Mender, encodable

_MOST_CALLS = 256
_MOST_CHARACTERS = 256 * 1024  # of ids, names and arguments together: they go to every client that watches
_MOST_LOOKS = 256
"""How often it is looked whether the arguments of a call are whole: each look joins all of their pieces."""


class CallPiece(NamedTuple):
    """What a vendor says of a call at once: its place among the calls, its id, some of its name and its arguments (JSON
    text). A name that is no text is none."""

    index: Any
    id: Any
    name: Any
    arguments: str


class _Call:
    """One call under way."""

    def __init__(self, index: int, slot: Any) -> None:
        self.index = index
        self.slot = slot
        self.vendor_id = ""
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.mender = Mender()
        self._looks = 0

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def add_name(self, name: str) -> None:
        """A name comes whole, again, longer each time, or in pieces; it is settled once the call has started."""
        if self.id or name == self.name:
            return
        self.name = name if name.startswith(self.name) else self.name + name

    def go_on(self, text: str, settle_id: Callable[["_Call"], str], *, last: bool = False) -> list[Event]:
        """The events of more arguments. A call starts with its first argument: only then its name is surely whole."""
        if text:
            self.pieces.append(text)
        if self.id:
            return [ToolCallDelta(self.index, text)] if text else []
        if not self.name or not (self.pieces or last):
            return []
        self.id, self.name = settle_id(self), encodable(self.name)
        start = ToolCallStart(self.index, self.id, self.name)
        return [start, ToolCallDelta(self.index, self.arguments)] if self.pieces else [start]

    def is_whole(self) -> bool:
        """Whether what has come of its arguments is an object."""
        if not (self.pieces and self.pieces[-1].rstrip().endswith("}")) or self._looks == _MOST_LOOKS:
            return False
        self._looks += 1
        try:
            return isinstance(msgspec.json.decode(self.arguments), dict)
        except (ValueError, RecursionError):
            return False

    @property
    def is_ghost(self) -> bool:
        """An empty entry that some servers send behind the real ones."""
        return not (self.name or self.vendor_id or self.pieces)


class CallAssembler:
    """The calls of one answer to the encoded `request`.

    From the request are made the ids that the vendor left out: the same request gives the same ids, the next round of
    a turn gives others.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._calls: list[_Call] = []
        self._ids: set[str] = set()
        self._characters = 0

    def __bool__(self) -> bool:
        return any(not call.is_ghost for call in self._calls)

    def take(self, pieces: Iterable[CallPiece]) -> list[Event]:
        """The events of the pieces of one chunk. Raises `ProviderError` when there are too many or too large calls."""
        events: list[Event] = []
        touched: set[int] = set()
        for piece in pieces:
            vendor_id, name = _valid_id(piece.id), piece.name if isinstance(piece.name, str) else ""
            call = self._find(piece, vendor_id, name, touched)
            touched.add(call.index)
            self._count(len(name) + len(piece.arguments))
            if vendor_id and not call.vendor_id:
                self._count(len(vendor_id))
                call.vendor_id = vendor_id
            call.add_name(name)
            events += call.go_on(call.mender.join(piece.arguments), self._settle_id)
        return events

    def end(self) -> list[Event]:
        """The ends of all calls. Raises `ProviderError` when one never got a name."""
        events: list[Event] = []
        for call in self._calls:
            if call.is_ghost:
                continue
            if not call.name:
                raise ProviderError("a tool call without a name", kind="protocol")
            events += call.go_on(call.mender.end(), self._settle_id, last=True)
            whole = ToolCall(id=call.id, name=call.name, arguments=call.arguments.strip() or "{}")
            events.append(ToolCallEnd(call.index, whole))
        return events

    def _count(self, characters: int) -> None:
        self._characters += characters
        if self._characters > _MOST_CHARACTERS:
            raise ProviderError(f"tool calls of more than {_MOST_CHARACTERS} characters in one answer", kind="protocol")

    def _find(self, piece: CallPiece, vendor_id: str, name: str, touched: set[int]) -> _Call:
        if piece.index is not None:
            known = next((call for call in reversed(self._calls) if call.slot == piece.index), None)
        else:
            same_id = (call for call in self._calls if vendor_id and call.vendor_id == vendor_id)
            known = next(same_id, None) or self._last_unless(touched)
        if known is None or (name and _is_another(known, vendor_id, piece.arguments)):
            return self._new(piece.index)
        return known  # an id that changes with each piece, as old vLLM has it, is no new call

    def _last_unless(self, touched: set[int]) -> _Call | None:
        # Two pieces without an index in one chunk are never two pieces of the same call.
        last = self._calls[-1] if self._calls else None
        return None if last is None or last.index in touched else last

    def _new(self, slot: Any) -> _Call:
        if len(self._calls) == _MOST_CALLS:
            raise ProviderError(f"more than {_MOST_CALLS} tool calls in one answer", kind="protocol")
        call = _Call(len(self._calls), slot)
        self._calls.append(call)
        return call

    def _settle_id(self, call: _Call) -> str:
        doubled = call.vendor_id in self._ids
        call_id = self._made_id(call) if doubled or not call.vendor_id else call.vendor_id
        self._ids.add(call_id)
        return call_id

    def _made_id(self, call: _Call) -> str:
        return f"call_{hashlib.sha256(self._request).hexdigest()[:12]}_{call.index}"


def _valid_id(value: Any) -> str:
    return encodable(value) if isinstance(value, str) and value.strip() and value != "0" else ""


def _is_another(known: _Call, vendor_id: str, arguments: str) -> bool:
    """Whether a name in the place of a known call begins another one, as Ollama does with its index of always 0."""
    if vendor_id and known.vendor_id:
        return vendor_id != known.vendor_id
    return bool(arguments) and known.is_whole()

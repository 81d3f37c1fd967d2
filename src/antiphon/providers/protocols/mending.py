"""Characters that a server cut in two between chunks.

Some servers cut an answer between the bytes of one character, or between the halves of a surrogate pair. Each chunk is
then no valid JSON text on its own. It is read with surrogates in place of what is broken, and joined here.
"""

import json
import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_LONE = re.compile("[\ud800-\udbff\udc00-\udc7f\udd00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNFINISHED = re.compile("[\ud800-\udbff]$|[\udcc2-\udcf4][\udc80-\udcbf]{0,2}$")


def loads_broken(data: bytes) -> Any:
    """JSON whose strings may hold cut characters, which come out as surrogates. Raises ValueError for other faults."""
    return json.loads(data.decode("utf-8", "surrogateescape"), strict=False)


def read(decoder: msgspec.json.Decoder[T], document: bytes) -> T:
    """What `decoder` makes of a document, with surrogates for characters that were cut. Raises ValueError for what is
    none of its kind."""
    try:
        return decoder.decode(document)
    except msgspec.ValidationError:
        raise
    except ValueError:
        return msgspec.convert(loads_broken(document), decoder.type)


def encodable(text: str) -> str:
    """The text with a mark in the place of what is no character, such as half a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def mended(value: Any) -> Any:
    """The value with its texts joined and repaired: halves of characters cannot be written again."""
    if isinstance(value, str):
        return _repaired(_paired(value)) if _SURROGATE.search(value) else value
    if isinstance(value, dict):
        return {mended(key): mended(each) for key, each in value.items()}
    return [mended(each) for each in value] if isinstance(value, list) else value


class Mender:
    """Joins the pieces of one text; what never becomes whole is replaced by U+FFFD."""

    def __init__(self) -> None:
        self._held = ""

    def join(self, piece: str) -> str:
        """The text that is whole by now; an unfinished character at its end waits for the next piece."""
        if not self._held and (piece.isascii() or not _SURROGATE.search(piece)):
            return piece
        whole = _paired(self._held + piece)
        end = _UNFINISHED.search(whole)
        self._held = "" if end is None or _is_whole(end.group()) else end.group()
        return _repaired(whole[: len(whole) - len(self._held)])

    def end(self) -> str:
        """What still waits, once nothing more comes."""
        held, self._held = self._held, ""
        return _repaired(held)


def _paired(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _is_whole(escaped: str) -> bool:
    try:
        escaped.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        return False
    return True


def _repaired(text: str) -> str:
    return _LONE.sub("\ufffd", text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")

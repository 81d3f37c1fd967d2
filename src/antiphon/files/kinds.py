"""What a file is: told by its first bytes, and by its name and its sender only where those say nothing."""

import re
from mimetypes import guess_type

from antiphon.errors import ValidationError

SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Pictures that a browser shows and a model sees; nothing else is ever shown in place."""

UNKNOWN = "application/octet-stream"

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"MZ\x90\0", "application/x-executable"),
)
_SAYS_BY_BYTES = ("image/", "application/pdf")  # of these we know every form that anybody here can use
_TEXTS = frozenset(
    {
        "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml",
        "application/javascript", "application/x-ndjson", "application/sql", "application/x-sh", "image/svg+xml",
    }
)  # fmt: skip
_ENDINGS = {
    ".md": "text/markdown", ".csv": "text/csv", ".yaml": "application/yaml", ".yml": "application/yaml",
    ".toml": "application/toml", ".ts": "text/plain", ".tsx": "text/plain", ".rs": "text/plain", ".go": "text/plain",
    ".log": "text/plain", ".sql": "application/sql", ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
}  # fmt: skip
_SAME = {"audio/x-wav": "audio/wav", "audio/wave": "audio/wav", "image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg"}
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_CONTROL = bytes({*range(0x20), 0x7F} - {*range(0x09, 0x0E)})


def media_type_of(name: str, claimed: str, data: bytes) -> str:
    """The media type of a file that comes as `name` and as `claimed`, either of which may be empty or wrong.

    Raises `ValidationError` where the bytes are something else than is said: a text that is a program, an image that
    is none.
    """
    said = _said(name, claimed)
    found = _found(data)
    if found is None:
        if text_of(data) is not None:
            if is_text(said) or said == UNKNOWN:
                return said if is_text(said) else "text/plain"
        elif is_text(said):
            raise _contradicted(name, said)
        if said.startswith(_SAYS_BY_BYTES):
            raise _contradicted(name, said)
        return said
    if said == UNKNOWN or _family(said) == _family(found) == "image":
        return found
    if is_text(said) or said.startswith(_SAYS_BY_BYTES):
        if said != found:
            raise _contradicted(name, said)
        return found
    if found.startswith(_SAYS_BY_BYTES):
        raise _contradicted(name, said)
    # One container holds many things: a ZIP is an office document, Matroska and Ogg are sound or film.
    return said


def is_text(media_type: str) -> bool:
    """Whether files of a type are read as text."""
    return media_type.startswith("text/") or media_type in _TEXTS or media_type.endswith(("+json", "+xml"))


def text_of(data: bytes) -> str | None:
    """The text that these bytes are, None when they are none. What is no UTF-8 is taken for Latin-1."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        if any("\x80" <= sign <= "\x9f" for sign in text[:10_000]):
            return None
    # Of the bytes, because that is done at once: an expression looks at each sign of a large file.
    return text if len(data.translate(None, _CONTROL)) == len(data) else None


def _said(name: str, claimed: str) -> str:
    kind = claimed.partition(";")[0].strip().lower()
    if _TYPE.fullmatch(kind) and kind not in {UNKNOWN, "application/x-www-form-urlencoded"}:
        return _SAME.get(kind, kind)
    ending = f".{name.rpartition('.')[2].lower()}" if "." in name else ""
    kind = _ENDINGS.get(ending) or guess_type(f"file{ending}")[0] or UNKNOWN
    return _SAME.get(kind, kind)


def _found(data: bytes) -> str | None:
    head = data[:32]
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic and (kind not in {"image/webp", "audio/wav"} or head[:4] == b"RIFF"):
            return kind
    return None


def _family(media_type: str) -> str:
    return "text" if is_text(media_type) else media_type.partition("/")[0]


def _contradicted(name: str, said: str) -> ValidationError:
    return ValidationError(f"“{name}” is said to be {said}, and its content is something else. Send it as what it is.")

"""Files in the requests of vendors' clients, whatever they call them."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from antiphon.errors import ValidationError
from antiphon.files.kinds import media_type_of
from antiphon.providers.base import File


def held(media_type: str, data: Any, name: str = "") -> File:
    """A file that comes as base64. Raises `ValidationError` when it is none."""
    try:
        whole = b64decode(data, validate=True)
    except (ValueError, TypeError) as error:
        raise ValidationError("A file of the request is no base64.") from error
    return File(name=name or media_type.partition("/")[0], media_type=media_type, data=whole)


def unnamed(data: str) -> File:
    """A file of which nothing but its bytes is told."""
    file = held("", data, "image")
    return File(name=file.name, media_type=media_type_of("", "", file.data or b""), data=file.data)


def at(address: Any, name: str = "") -> File:
    """A file at an address, which may hold it."""
    kind, comma, data = str(address).removeprefix("data:").partition(";base64,")
    if comma:
        return held(kind, data, name)
    return File(name=name or "image", media_type="image/jpeg", url=str(address))


def of_openai(content: Any) -> Iterator[File]:
    """Those of a message's parts, of chat completions and of responses."""
    for part in content if isinstance(content, list) else ():
        match part:
            case {"type": "image_url", "image_url": {"url": url}} | {"type": "input_image", "image_url": url}:
                yield at(url)
            case {"type": "input_audio", "input_audio": {"data": data, "format": form}}:
                yield held(f"audio/{form}", data)
            case {"type": "file", "file": {"file_data": data, **more}} | {
                "type": "input_file",
                "file_data": data,
                **more,
            }:
                yield at(data, str(more.get("filename", "")))
            case {"type": "input_file", "file_url": url}:
                yield at(url)

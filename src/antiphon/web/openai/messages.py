"""The messages of a request, in the form in which the house gives them to any model."""

import re
from mimetypes import guess_type
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from antiphon.files.inline import from_base64
from antiphon.providers.base import ChatMessage, File, ToolCall
from antiphon.web.openai.errors import invalid

_DATA = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mpeg"}


class Content(Struct, frozen=True, tag_field="type"):
    """One part of what a message holds."""


class TextContent(Content, frozen=True, tag="text"):
    text: str


class RefusalContent(Content, frozen=True, tag="refusal"):
    refusal: str


class ImageAddress(Struct, frozen=True):
    url: str


class ImageContent(Content, frozen=True, tag="image_url"):
    image_url: ImageAddress


class SoundData(Struct, frozen=True):
    data: str
    format: str


class SoundContent(Content, frozen=True, tag="input_audio"):
    input_audio: SoundData


class FileData(Struct, frozen=True):
    file_data: str | None = None
    filename: str | None = None


class FileContent(Content, frozen=True, tag="file"):
    file: FileData


AnyContent = TextContent | RefusalContent | ImageContent | SoundContent | FileContent


class CalledFunction(Struct, frozen=True):
    name: str
    arguments: str = ""


class Called(Struct, frozen=True):
    id: str
    function: CalledFunction


class Incoming(Struct, frozen=True):
    """A message as it comes. What an assistant said is taken back as it was given."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[AnyContent] | None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


def read_messages(incoming: list[Incoming]) -> tuple[ChatMessage, ...]:
    """Raises `RefusedError` for what no vendor would take: a result of no call, a call without its result."""
    messages: list[ChatMessage] = []
    waiting: dict[str, str] = {}
    for place, message in enumerate(incoming):
        where = f"messages[{place}]"
        if message.role != "tool" and waiting:
            raise invalid(f"The calls {', '.join(waiting)} have no result before the next message.", where)
        read = _message(message, where, waiting)
        waiting |= {call.id: call.name for call in read.calls}
        messages.append(read)
    if waiting:
        raise invalid(f"The calls {', '.join(waiting)} have no result.", "messages")
    if messages[-1].role == "assistant":
        raise invalid("The last message is the assistant's own. Say something.", f"messages[{len(messages) - 1}]")
    return tuple(messages)


def _message(message: Incoming, where: str, waiting: dict[str, str]) -> ChatMessage:
    text, files = _content(message.content, f"{where}.content")
    if files and message.role != "user":
        raise invalid("Only a message of the user holds files.", f"{where}.content")
    if message.role == "tool":
        name = waiting.pop(message.tool_call_id or "", None)
        if name is None:
            raise invalid("This is the result of no call that waits for one.", f"{where}.tool_call_id")
        return ChatMessage(role="tool", text=text, call_id=message.tool_call_id, name=name)
    if message.role == "assistant":
        calls = tuple(
            ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in message.tool_calls or ()
        )
        return ChatMessage(role="assistant", text=text, calls=calls, reasoning=message.reasoning_content)
    if message.role == "user":
        if not text.strip() and not files:
            raise invalid("This message is empty.", f"{where}.content")
        return ChatMessage(role="user", text=text, files=files)
    return ChatMessage(role="system", text=text)


def _content(content: str | list[AnyContent] | None, where: str) -> tuple[str, tuple[File, ...]]:
    if content is None or isinstance(content, str):
        return content or "", ()
    texts: list[str] = []
    files: list[File] = []
    for place, part in enumerate(content):
        match part:
            case TextContent(text=text) | RefusalContent(refusal=text):
                texts.append(text)
            case _:
                files.append(_file(part, f"{where}[{place}]"))
    return "\n".join(texts), tuple(files)


def _file(part: ImageContent | SoundContent | FileContent, where: str) -> File:
    match part:
        case ImageContent(image_url=ImageAddress(url=url)):
            if url.startswith(("https://", "http://")):
                return File(name="image", media_type=_type_of(url, f"{where}.image_url.url"), url=url)
            return _inline(url, "image", f"{where}.image_url.url")
        case SoundContent(input_audio=SoundData(data=data, format=form)):
            if form not in _SOUNDS:
                raise invalid(f"The format is one of {', '.join(_SOUNDS)}.", f"{where}.input_audio.format")
            return File(name="sound", media_type=_SOUNDS[form], data=_decoded(data, f"{where}.input_audio.data"))
        case FileContent(file=FileData(file_data=str() as data, filename=name)):
            return _inline(data, name or "file", f"{where}.file.file_data")
        case _:
            raise invalid("A file is given with `file_data`: none is kept here by its id.", f"{where}.file")


def _type_of(url: str, where: str) -> str:
    """By its ending; vendors look at what they fetch, but some want to be told first."""
    try:
        kind, _ = guess_type(urlsplit(url).path)
    except ValueError:
        raise invalid("This is no address.", where) from None
    return kind if kind and kind.startswith("image/") else "image/jpeg"


def _inline(url: str, name: str, where: str) -> File:
    found = _DATA.match(url)
    if found is None:
        raise invalid("This is neither an http address nor `data:type/subtype;base64,…`.", where)
    return File(name=name, media_type=found[1].lower(), data=_decoded(url[found.end() :], where))


def _decoded(data: str, where: str) -> bytes:
    try:
        return from_base64(data)
    except ValueError:
        raise invalid("This is no base64.", where) from None

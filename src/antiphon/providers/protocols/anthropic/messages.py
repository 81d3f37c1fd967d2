"""A prompt as Anthropic takes it: the system's text apart, and turns of a person and the model one after the other.

https://platform.claude.com/docs/en/api/messages. Results of tools are a person's, and all those of one round stand in
one turn; a turn holds no empty text, and none consists of thinking alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from antiphon.files.inline import to_base64
from antiphon.providers.base import ChatMessage, File
from antiphon.providers.protocols.anthropic.decoder import PROTOCOL
from antiphon.providers.protocols.arguments import as_object
from antiphon.providers.protocols.opaque import unsealed

_Block = dict[str, Any]

_MOST_MARKS = 4
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_THINKING = frozenset({"thinking", "redacted_thinking"})


class _Turn(Struct):
    role: Literal["user", "assistant"]
    content: list[_Block]

    @property
    def says_something(self) -> bool:
        return any(block["type"] not in _THINKING for block in self.content)


def conversation(messages: Sequence[ChatMessage], maker: str) -> tuple[list[_Block], list[_Block]]:
    """The blocks of the system's text, and the turns, with the thoughts that `maker` signed.

    Raises ValueError for a file of a kind that is not taken.
    """
    system: list[_Block] = []
    turns: list[_Turn] = []
    marks: list[_Block] = []
    for message in messages:
        if message.role == "system":
            system += _text(message.text)
        else:
            _join(turns, _Turn("assistant" if message.role == "assistant" else "user", _blocks(message, maker)))
        blocks = turns[-1].content if turns and message.role != "system" else system
        if message.keep and (end := next((b for b in reversed(blocks) if b["type"] not in _THINKING), None)):
            marks.append(end)
    for block in marks if len(marks) <= _MOST_MARKS else [marks[0], *marks[1 - _MOST_MARKS :]]:
        block["cache_control"] = {"type": "ephemeral"}
    saying: list[_Turn] = []
    for turn in turns:
        if turn.says_something:
            _join(saying, turn)
    return system, [{"role": turn.role, "content": turn.content} for turn in saying]


def _join(turns: list[_Turn], turn: _Turn) -> None:
    if turns and turns[-1].role == turn.role:
        turns[-1].content += turn.content
    elif turn.content:
        turns.append(turn)


def _blocks(message: ChatMessage, maker: str) -> list[_Block]:
    if message.role == "tool":
        return [_result(message)]
    if message.role == "user":
        return [*map(_file, message.files), *_text(message.text)]
    calls = [
        {"type": "tool_use", "id": _id(call.id), "name": call.name, "input": as_object(call.arguments)}
        for call in message.calls
    ]
    return [*_thoughts(message, maker), *_text(message.text), *calls]


def _thoughts(message: ChatMessage, maker: str) -> Iterator[_Block]:
    kept = unsealed(PROTOCOL, message.opaque)
    for each in kept if isinstance(kept, list) else ():
        match each:
            case {"maker": str(signer), "block": dict(block)} if signer == maker:
                yield block


def _text(text: str) -> list[_Block]:
    return [{"type": "text", "text": text}] if text.strip() else []


def _result(message: ChatMessage) -> _Block:
    result: _Block = {"type": "tool_result", "tool_use_id": _id(message.call_id or ""), "content": _text(message.text)}
    return {**result, "is_error": True} if message.text.startswith("Error") else result


def _id(call_id: str) -> str:
    # A call that another vendor's model made in the same conversation may have an id that is refused here.
    return _NOT_IN_IDS.sub("_", call_id) or "_"


def _file(file: File) -> _Block:
    source: _Block
    if file.url is not None:
        source = {"type": "url", "url": file.url}
    else:
        source = {"type": "base64", "media_type": file.media_type, "data": to_base64(file.data or b"")}
    if file.media_type in _IMAGES:
        return {"type": "image", "source": source}
    if file.media_type == "application/pdf":
        return {"type": "document", "source": source, "title": file.name}
    if file.media_type.startswith("text/") and file.data is not None:
        text = file.data.decode("utf-8", "replace")
        plain = {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "document", "source": plain, "title": file.name}
    raise ValueError(f"no files of type {file.media_type}")

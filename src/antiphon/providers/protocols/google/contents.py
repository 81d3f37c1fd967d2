"""A prompt as Google takes it: the system's text apart, and contents of a person and the model one after the other.

https://ai.google.dev/gemini-api/docs/generate-content/function-calling and `thought-signatures` beside it: the first
call of every round must come back with its signature, or with the one that says that there is none.
"""

from collections.abc import Sequence
from typing import Any

from antiphon.files.inline import to_base64
from antiphon.providers.base import ChatMessage, File
from antiphon.providers.protocols.arguments import as_object
from antiphon.providers.protocols.google.decoder import PROTOCOL
from antiphon.providers.protocols.opaque import unsealed

_Part = dict[str, Any]

UNSIGNED = "skip_thought_signature_validator"
"""In place of a signature, for a call that another vendor's model made."""


def contents(messages: Sequence[ChatMessage], *, signed: bool) -> tuple[list[_Part], list[_Part]]:
    """The parts of the system's text, and the contents; `signed` for a model that wants signatures."""
    system: list[_Part] = []
    turns: list[_Part] = []
    names = {call.id: call.name for message in messages for call in message.calls}
    for message in messages:
        if message.role == "system":
            system += _text(message.text)
            continue
        parts = [_result(message, names)] if message.role == "tool" else _parts(message, signed=signed)
        role = "model" if message.role == "assistant" else "user"
        if parts and turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        elif parts:
            turns.append({"role": role, "parts": parts})
    return system, turns


def _parts(message: ChatMessage, *, signed: bool) -> list[_Part]:
    if message.role == "user":
        return [*map(_file, message.files), *_text(message.text)]
    found = unsealed(PROTOCOL, message.opaque)
    signatures = found if isinstance(found, dict) else {}
    thought = [{"text": message.reasoning or "", "thought": True} | _signature(signatures.get("thought"))]
    said = _text(message.text)
    if signature := _signature(signatures.get("text")):
        said = [{"text": message.text} | signature]
    return [*(thought if "thought" in signatures else ()), *said, *_calls(message, signatures, signed=signed)]


def _calls(message: ChatMessage, signatures: dict[str, Any], *, signed: bool) -> list[_Part]:
    places = signatures.get("calls")
    calls: list[_Part] = []
    for place, call in enumerate(message.calls):
        part: _Part = {"functionCall": {"id": call.id, "name": call.name, "args": as_object(call.arguments)}}
        signature = places.get(str(place)) if isinstance(places, dict) else None
        calls.append(part | _signature(signature or (UNSIGNED if signed and place == 0 else None)))
    return calls


def _signature(value: Any) -> _Part:
    return {"thoughtSignature": value} if isinstance(value, str) else {}


def _text(text: str) -> list[_Part]:
    return [{"text": text}] if text else []


def _result(message: ChatMessage, names: dict[str, str]) -> _Part:
    call_id = message.call_id or ""
    field = "error" if message.text.startswith("Error") else "output"
    name = message.name or names.get(call_id) or "tool"
    return {"functionResponse": {"id": call_id, "name": name, "response": {field: message.text}}}


def _file(file: File) -> _Part:
    if file.url is not None:
        return {"fileData": {"mimeType": file.media_type, "fileUri": file.url}}
    return {"inlineData": {"mimeType": file.media_type, "data": to_base64(file.data or b"")}}

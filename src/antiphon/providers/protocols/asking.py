"""What several protocols say in the same way: forms of answers, files, and calls that another vendor made."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.files.inline import to_base64
from antiphon.providers.base import ChatMessage, File, OutputSchema

SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
"""Types of sound that OpenAI hears, by its names for them."""

FORM_IN_WORDS = "Answer with one JSON value and nothing around it. It must fit this JSON Schema: "
"""What stands before a schema that is told in words."""

_NINE = re.compile(r"[A-Za-z0-9]{9}")
_LONGEST_ID = 40
"""Characters of an id that OpenAI takes back."""


class _Asked(Struct):
    model: str


def asked_model(payload: bytes) -> str:
    """The model that an encoded request is for."""
    return msgspec.json.decode(payload, type=_Asked).model


def given(**fields: Any) -> dict[str, Any]:
    """Those that are not None: of the others the vendor has its own measure."""
    return {name: value for name, value in fields.items() if value is not None}


def in_words(output: OutputSchema) -> str:
    """The form of an answer, for a vendor who has no field for it."""
    schema = msgspec.json.encode(output.schema).decode()
    return f"{FORM_IN_WORDS}{schema}"


def with_order(messages: tuple[ChatMessage, ...], order: str) -> tuple[ChatMessage, ...]:
    """The messages with one more instruction, behind those that they begin with."""
    if messages and messages[0].role == "system":
        first = messages[0]
        return (msgspec.structs.replace(first, text=f"{first.text}\n\n{order}"), *messages[1:])
    return (ChatMessage(role="system", text=order), *messages)


def with_one_system(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """The messages with one instruction at their beginning, for templates of models that take no second one."""
    count = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    if count < 2:
        return messages
    text = "\n\n".join(message.text for message in messages[:count])
    return (ChatMessage(role="system", text=text, keep=messages[count - 1].keep), *messages[count:])


def is_strict(schema: Any) -> bool:
    """Whether OpenAI can hold a model to this schema to the letter: every object is closed and wants all its fields."""
    if isinstance(schema, list):
        return all(is_strict(each) for each in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        fields = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != set(fields):
            return False
        # Below `properties` are names, not keywords: a field may be called "properties" itself.
        others = [value for key, value in schema.items() if key not in {"properties", "required"}]
        return is_strict([*fields.values(), *others])
    return is_strict(list(schema.values()))


def fitting_id(call_id: str | None, *, nine: bool = False) -> str:
    """An id that the vendor takes: the same for a call and its result, and with `nine` of nine letters and digits."""
    known = call_id or ""
    if nine:
        return known if _NINE.fullmatch(known) else sha256(known.encode()).hexdigest()[:9]
    return known if len(known) <= _LONGEST_ID else f"call_{sha256(known.encode()).hexdigest()[:24]}"


def inline(file: File) -> str:
    """The file as an address that holds it."""
    return f"data:{file.media_type};base64,{to_base64(file.data or b'')}"

"""Sound to text as OpenAI's API has it, and whoever speaks it: a form with a file there, one JSON object back.

https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field, structs

from antiphon.domain import Usage
from antiphon.providers.base import ModelRequest
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.beside import Beside, Billed, ObjectDecoder
from antiphon.providers.protocols.forms import MultipartForm, fitting

SUFFIXES = {
    "audio/aac": "m4a",
    "audio/flac": "flac",
    "audio/m4a": "m4a",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/webm": "webm",
    "audio/x-m4a": "m4a",
    "audio/x-wav": "wav",
}
"""How the name of a file ends by its type: servers tell sounds apart by that, and platforms send some without."""


class Transcriptions(Beside, frozen=True):
    """A `Codec` whose requests hold one sound in their last message, and as its text what the words may be like.
    `language` is what is spoken, as two letters, where that is known."""

    place = "audio/transcriptions"
    language: str | None = None
    form: MultipartForm = field(default_factory=MultipartForm)

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {**self.vendor.headers(key), "Content-Type": self.form.content_type}

    def encode(self, request: ModelRequest) -> bytes:
        message = request.messages[-1]
        (sound,) = message.files
        if sound.data is None:
            raise ValueError("a sound without its bytes")
        fields = {"model": request.model, "response_format": "json", "language": self.language, "prompt": message.text}
        named = structs.replace(sound, name=_named(sound.name, sound.media_type))
        return self.form.body({name: value for name, value in fields.items() if value}, named)

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> "TranscriptionDecoder":
        del payload
        return TranscriptionDecoder(failures, wait=wait)


def _named(name: str, media_type: str) -> str:
    """The file's name, with the ending by which servers know what it is."""
    suffix = SUFFIXES.get(media_type.partition(";")[0].strip().lower(), "")
    stem, _, ending = fitting(name).rpartition(".")
    known = ending.lower() in SUFFIXES.values()
    return f"{stem or 'sound'}.{ending if known or not suffix else suffix}" if stem else f"{ending or 'sound'}.{suffix}"


class _Heard(Struct):
    text: str | None = None
    usage: Billed | None = None
    error: object = None


_heard = msgspec.json.Decoder(_Heard)


class TranscriptionDecoder(ObjectDecoder):
    """One answer. A sound in which nobody speaks is an answer too, without text."""

    def _take(self, name: str, document: bytes) -> None:
        del name
        heard = _heard.decode(document)
        if heard.error:
            self._fail_as(heard.error)
        elif heard.text is not None:
            self._begun, self._finish, self._billed = True, "stop", heard.usage
            self._say(heard.text.strip())

    def _usage(self) -> Usage | None:
        billed = self._billed
        return None if billed is None or billed.input_tokens is None else billed.usage()

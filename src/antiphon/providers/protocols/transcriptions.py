"""Sound to text as OpenAI's API has it, and whoever speaks it: a form with a file there, one JSON object back.

https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

import re
from collections.abc import Mapping
from secrets import token_hex

import msgspec
from msgspec import Struct, field

from antiphon.domain import Usage
from antiphon.providers.base import Error, FinishReason, ModelInfo, ModelRequest
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.answer import AnswerDecoder
from antiphon.providers.protocols.base import Codec
from antiphon.providers.protocols.counts import count

_CHAT = re.compile(r"chat/completions|responses")
_UNFIT = re.compile(r'[\x00-\x1f"\\\x7f]')

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


class Transcriptions(Struct, frozen=True):
    """A `Codec` whose requests hold one sound in their last message, and as its text what the words may be like.

    `vendor` is how the same vendor speaks otherwise: it knows the way and the key. `language` is what is spoken, as two
    letters, where that is known.
    """

    vendor: Codec
    language: str | None = None
    boundary: str = field(default_factory=lambda: token_hex(16))

    @property
    def models_path(self) -> str:
        return self.vendor.models_path

    def path(self, request: ModelRequest, /) -> str:
        return _CHAT.sub("audio/transcriptions", self.vendor.path(request), count=1)

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {**self.vendor.headers(key), "Content-Type": f"multipart/form-data; boundary={self.boundary}"}

    def encode(self, request: ModelRequest) -> bytes:
        message = request.messages[-1]
        (sound,) = message.files
        if sound.data is None:
            raise ValueError("a sound without its bytes")
        fields = {"model": request.model, "response_format": "json", "language": self.language, "prompt": message.text}
        parts = [self._part(f'name="{name}"', value.encode()) for name, value in fields.items() if value]
        name = _named(sound.name, sound.media_type)
        parts.append(self._part(f'name="file"; filename="{name}"', sound.data, sound.media_type))
        return b"".join(parts) + f"--{self.boundary}--\r\n".encode()

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> "TranscriptionDecoder":
        del payload
        return TranscriptionDecoder(failures, wait=wait)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return self.vendor.read_models(body)

    def _part(self, disposition: str, content: bytes, media_type: str | None = None) -> bytes:
        kind = f"Content-Type: {_UNFIT.sub('', media_type)}\r\n" if media_type else ""
        head = f"--{self.boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n"
        return head.encode() + content + b"\r\n"


def _named(name: str, media_type: str) -> str:
    """The file's name, with the ending by which servers know what it is."""
    suffix = SUFFIXES.get(media_type.partition(";")[0].strip().lower(), "")
    stem, _, ending = _UNFIT.sub("_", name)[-100:].rpartition(".")
    known = ending.lower() in SUFFIXES.values()
    return f"{stem or 'sound'}.{ending if known or not suffix else suffix}" if stem else f"{ending or 'sound'}.{suffix}"


class _Billed(Struct):
    """What it cost: tokens, or only the seconds that were heard."""

    input_tokens: object = None
    output_tokens: object = None


class _Heard(Struct):
    text: str | None = None
    usage: _Billed | None = None
    error: object = None


_heard = msgspec.json.Decoder(_Heard)


class TranscriptionDecoder(AnswerDecoder):
    """One answer. A sound in which nobody speaks is an answer too, without text."""

    def __init__(self, failures: Failures, *, wait: float | None = None) -> None:
        super().__init__(failures, wait=wait)
        self._billed: _Billed | None = None

    def _take(self, name: str, document: bytes) -> None:
        del name
        heard = _heard.decode(document)
        if heard.error:
            self._begun = True
            self._fail_as(heard.error)
        elif heard.text is not None:
            self._begun, self._finish, self._billed = True, "stop", heard.usage
            self._say(heard.text.strip())

    def _last(self) -> FinishReason | Error:
        return "stop"

    def _usage(self) -> Usage | None:
        billed = self._billed
        if billed is None or billed.input_tokens is None:
            return None
        return Usage(input_tokens=count(billed.input_tokens), output_tokens=count(billed.output_tokens))

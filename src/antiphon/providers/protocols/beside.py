"""What OpenAI's API has beside conversations, and whoever speaks it: one request there, one JSON object back."""

import re
from collections.abc import Mapping
from typing import ClassVar

from msgspec import Struct

from antiphon.domain import Usage
from antiphon.providers.base import FinishReason, ModelInfo, ModelRequest
from antiphon.providers.protocols.answer import AnswerDecoder
from antiphon.providers.protocols.base import Codec
from antiphon.providers.protocols.counts import count

_CHAT = re.compile(r"chat/completions|responses")


class Beside(Struct, frozen=True):
    """Of a `Codec` what is the same at every `place`: `vendor` is how the same vendor speaks otherwise, which knows the
    way and the key."""

    vendor: Codec
    place: ClassVar[str]

    @property
    def models_path(self) -> str:
        return self.vendor.models_path

    def path(self, request: ModelRequest, /) -> str:
        return _CHAT.sub(self.place, self.vendor.path(request), count=1)

    def headers(self, key: str | None) -> Mapping[str, str]:
        return self.vendor.headers(key)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return self.vendor.read_models(body)


class Billed(Struct):
    """What it cost: tokens, or nothing that is said in them."""

    input_tokens: object = None
    output_tokens: object = None

    def usage(self) -> Usage:
        return Usage(input_tokens=count(self.input_tokens), output_tokens=count(self.output_tokens))


class ObjectDecoder(AnswerDecoder):
    """One answer that is one object."""

    _billed: Billed | None = None

    def _last(self) -> FinishReason:
        return "stop"

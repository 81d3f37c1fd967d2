"""Text to an image as OpenAI's API has it, and whoever speaks it: one JSON object there, one back.

https://platform.openai.com/docs/api-reference/images/create
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage
from antiphon.providers.base import ModelRequest
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.asking import given
from antiphon.providers.protocols.beside import Beside, Billed, ObjectDecoder

_ALWAYS_BASE64 = ("gpt-image", "chatgpt-image")  # these refuse to be asked for it
_ADDRESS = (
    "{who} gave the address of an image instead of the image. Have it send base64: set response_format in "
    "tools.images.body."
)


class Images(Beside, frozen=True):
    """A `Codec` whose requests are what the image shows, in their last message, and its `size`. The text of the answer
    is the image in base64. `fields` are further ones of every request; one that is None is left out."""

    place = "images/generations"
    fields: Mapping[str, Any]

    def encode(self, request: ModelRequest) -> bytes:
        form = None if request.model.startswith(_ALWAYS_BASE64) else "b64_json"
        asked = {"model": request.model, "prompt": request.messages[-1].text, "n": 1, "size": request.size}
        body = asked | {"response_format": form} | dict(self.fields)
        return msgspec.json.encode(given(**body))

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> "ImageDecoder":
        del payload
        return ImageDecoder(failures, wait=wait)


class _Image(Struct):
    b64_json: str | None = None
    url: str | None = None


class _Made(Struct):
    data: list[_Image] | None = None
    usage: Billed | None = None
    error: object = None


_made = msgspec.json.Decoder(_Made)


class ImageDecoder(ObjectDecoder):
    """One answer with one image.

    An address in its place is an error and nobody fetches it: it would be a second download, of wherever an answer
    says, without the time limit, the retries and the breaker of the first, and every vendor that has addresses has
    base64 too.
    """

    def _take(self, name: str, document: bytes) -> None:
        del name
        made = _made.decode(document)
        if made.error:
            self._fail_as(made.error)
        elif made.data:
            image, self._begun, self._billed = made.data[0], True, made.usage
            if image.b64_json:
                self._finish = "stop"
                self._say(image.b64_json)
            else:
                self._fail(
                    self._failures.of("protocol", "no image in base64", sentence=_ADDRESS if image.url else None)
                )

    def _usage(self) -> Usage | None:
        """Some models are paid by the image and tell no tokens; the length of an image must not be taken for any."""
        return (self._billed or Billed()).usage()

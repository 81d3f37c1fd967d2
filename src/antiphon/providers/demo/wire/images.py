"""Text to an image as OpenAI's API has it, the server's side.

A prompt may begin with a directive. `!echo text` gives that text in the place of the image, an address as an address,
and `!long n` an image with so many tokens in it that nobody sees.
"""

import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from antiphon.errors import ValidationError
from antiphon.providers.base import ChatMessage, Error, Event, Finish, ModelRequest, TextDelta, UsageReport
from antiphon.providers.demo.directives import parse
from antiphon.providers.demo.drawing import draw
from antiphon.providers.demo.faults import Refusal
from antiphon.providers.demo.wire.base import Asked, Encoder, ErrorReply, Manner
from antiphon.providers.demo.wire.openai_chat import OpenAIChatWire
from antiphon.providers.protocols.openai_chat.serving import error_body

_CHAT = OpenAIChatWire()
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")
_USUAL = "1024x1024"
_encode = msgspec.json.Encoder().encode


class _Body(Struct):
    model: str
    prompt: str
    size: str = _USUAL
    n: int = 1
    quality: str | None = None
    response_format: str = "b64_json"


_decoder = msgspec.json.Decoder(_Body)


class ImageWire:
    """`POST /v1/images/generations`, without a stream."""

    manner = Manner(asks=("/v1/images/generations",), lists=())

    def read(self, body: bytes, _: Mapping[str, str]) -> Asked:
        try:
            read = _decoder.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"The body is no request for an image: {error}") from error
        if not _SIZE.fullmatch(read.size) or read.n != 1 or read.response_format != "b64_json":
            raise ValidationError("This server makes one image at once, as b64_json, of a size such as 1024x1024.")
        question = ChatMessage(role="user", text=read.prompt)
        return Asked(request=ModelRequest(model=read.model, messages=(question,), size=read.size), stream=False)

    def encoder(self, asked: Asked) -> Encoder:
        return _CHAT.encoder(asked)

    def whole(self, asked: Asked, events: Sequence[Event]) -> bytes:
        """Tokens are told, as OpenAI's newer models do."""
        if any(isinstance(event, Error) for event in events):
            return _CHAT.whole(asked, events)
        if Finish("filtered") in events:
            return _encode({"error": error_body("The prompt was flagged.", "image_error", "content_policy_violation")})
        usage = next((event.usage for event in events if isinstance(event, UsageReport)), None)
        told = {} if usage is None else {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        return _encode({"created": int(time.time()), "data": [_image(asked.request, events)], "usage": told})

    def refuse(self, refusal: Refusal) -> ErrorReply:
        return _CHAT.refuse(refusal)

    def models(self) -> bytes:
        return _CHAT.models()


def _image(request: ModelRequest, events: Sequence[Event]) -> dict[str, str]:
    prompt = request.messages[-1].text
    asked = parse(prompt)
    if asked.echo is not None:
        return {"url" if asked.echo.startswith("http") else "b64_json": asked.echo}
    width, height = (request.size or _USUAL).split("x")
    comment = "".join(event.text for event in events if isinstance(event, TextDelta)) if asked.long else ""
    return {"b64_json": b64encode(draw(prompt, int(width), int(height), comment)).decode()}

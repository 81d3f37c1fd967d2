"""Sound to text as OpenAI's API has it, the server's side.

The demo model hears nothing. It says what was written into a WAV file as its comment, which may begin with a directive,
and of any other sound how long it is.
"""

from collections.abc import Mapping, Sequence
from email.parser import BytesParser
from email.policy import HTTP

import msgspec

from antiphon.errors import ValidationError
from antiphon.providers.base import ChatMessage, Error, Event, ModelRequest, TextDelta, UsageReport
from antiphon.providers.demo.faults import Refusal
from antiphon.providers.demo.wire.base import Asked, Encoder, ErrorReply, Manner
from antiphon.providers.demo.wire.openai_chat import OpenAIChatWire
from antiphon.providers.sound import comment_of, length_of

_CHAT = OpenAIChatWire()
_encode = msgspec.json.Encoder().encode


class TranscriptionWire:
    """`POST /v1/audio/transcriptions`, without a stream."""

    manner = Manner(asks=("/v1/audio/transcriptions",), lists=())

    def read(self, body: bytes, _: Mapping[str, str]) -> Asked:
        form = _form(body)
        sound = form.get("file")
        if not sound:
            raise ValidationError("The form has no `file`.")
        said = comment_of(sound)
        if said is None:
            seconds = length_of(sound)
            said = f"{len(sound)} bytes of sound" if seconds is None else f"{seconds:.1f} seconds of sound"
        text = said if said.startswith("!") else f"!echo {said}"
        hints = (form.get("language", b""), form.get("prompt", b""))
        if told := " ".join(hint.decode("utf-8", "replace") for hint in hints if hint):
            text = f"{text} ({told})"
        model = form.get("model", b"").decode("utf-8", "replace")
        return Asked(request=ModelRequest(model=model, messages=(ChatMessage(role="user", text=text),)), stream=False)

    def encoder(self, asked: Asked) -> Encoder:
        return _CHAT.encoder(asked)

    def whole(self, asked: Asked, events: Sequence[Event]) -> bytes:
        """Tokens are told, as OpenAI's newer models do."""
        if any(isinstance(event, Error) for event in events):
            return _CHAT.whole(asked, events)
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        usage = next((event.usage for event in events if isinstance(event, UsageReport)), None)
        told = {} if usage is None else {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        return _encode({"text": text, "usage": {"type": "tokens", **told}})

    def refuse(self, refusal: Refusal) -> ErrorReply:
        return _CHAT.refuse(refusal)

    def models(self) -> bytes:
        return _CHAT.models()


def _form(body: bytes) -> dict[str, bytes]:
    """The fields of a `multipart/form-data` body, whose first line is its boundary."""
    boundary = body.partition(b"\r\n")[0]
    if not boundary.startswith(b"--") or len(boundary) > 72:
        raise ValidationError("The body is no multipart form.")
    head = b'Content-Type: multipart/form-data; boundary="' + boundary[2:] + b'"\r\n\r\n'
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    found: dict[str, bytes] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = content
    return found

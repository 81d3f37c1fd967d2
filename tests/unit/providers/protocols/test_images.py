"""Images on the wire: what is asked, and every answer however it is cut."""

import json
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.domain import Usage
from antiphon.errors import ValidationError
from antiphon.files.pictures import dimensions
from antiphon.providers.azure import AzureProvider
from antiphon.providers.base import ChatMessage, Error, Event, Finish, ModelRequest, TextDelta, UsageReport
from antiphon.providers.config import ProviderSettings
from antiphon.providers.demo.wire.images import ImageWire
from antiphon.providers.failures import Failures
from antiphon.providers.openai import OpenAIProvider
from antiphon.providers.protocols.images import ImageDecoder, Images
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat


def asked(model: str = "demo", prompt: str = "a boat") -> ModelRequest:
    return ModelRequest(model=model, messages=(ChatMessage(role="user", text=prompt),), size="64x32")


def body(model: str, **fields: Any) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(Images(OpenAIChat(), fields).encode(asked(model)))
    return sent


def read(*pieces: bytes) -> list[Event]:
    decoder = ImageDecoder(Failures("hand"))
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


def test_the_body_is_that_of_the_api() -> None:
    same = {"prompt": "a boat", "n": 1, "size": "64x32"}
    assert body("dall-e-3", quality=None) == same | {"model": "dall-e-3", "response_format": "b64_json"}
    assert body("gpt-image-1", quality="low") == same | {"model": "gpt-image-1", "quality": "low"}
    assert body("flux", response_format="base64") == same | {"model": "flux", "response_format": "base64"}
    assert body("flux", response_format=None, n=None) == {"model": "flux", "prompt": "a boat", "size": "64x32"}


def test_it_goes_where_the_vendor_has_it() -> None:
    settings = ProviderSettings(base_url="https://me.openai.azure.com", api_version="2025-04-01-preview")
    azure = AzureProvider("azure", settings).drawing({})
    assert azure.codec.path(asked("pictures")) == (
        "deployments/pictures/images/generations?api-version=2025-04-01-preview"
    )
    openai = OpenAIProvider("openai", ProviderSettings(body={"store": True})).drawing({})
    assert (openai.name, openai.codec.path(asked())) == ("openai-images", "images/generations")
    assert b"store" not in openai._payload(asked())


ANSWER = b'{"created":1,"data":[{"b64_json":"aGVsbG8="}],"usage":{"input_tokens":3,"output_tokens":272}}'


@given(st.integers(0, len(ANSWER)), st.integers(0, len(ANSWER)))
def test_an_answer_is_the_same_however_it_is_cut(first: int, second: int) -> None:
    begin, end = sorted((first, second))
    events = read(ANSWER[:begin], ANSWER[begin:end], ANSWER[end:])
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "aGVsbG8="
    assert events[-2:] == [UsageReport(Usage(input_tokens=3, output_tokens=272)), Finish("stop")]


def test_an_image_without_a_bill_has_no_tokens() -> None:
    assert UsageReport(Usage()) in read(b'{"data":[{"b64_json":"aGVsbG8="}]}')


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b'{"data":[{"url":"https://there.example/x.png"}]}', "protocol"),
        (b'{"data":[{"b64_json":""}]}', "protocol"),
        (b'{"data":[]}', "protocol"),
        (b'{"data":[{"b64_json":7}]}', "protocol"),
        (b"[]", "protocol"),
        (b"", "interrupted"),
        (b"<html>", "protocol"),
        (b'{"error":{"code":"moderation_blocked","message":"no"}}', "filtered"),
        (b'{"error":{"code":"content_policy_violation"}}', "filtered"),
    ],
)
def test_what_is_no_image_is_an_error(answer: bytes, kind: str) -> None:
    last = read(answer)[-1]
    assert isinstance(last, Error)
    assert last.kind == kind
    assert "there.example" not in last.public


def test_an_image_that_is_cut_off_is_none() -> None:
    decoder = ImageDecoder(Failures("hand"))
    (error,) = [*decoder.feed(ANSWER[:40]), *decoder.cut()]
    assert isinstance(error, Error)
    assert error.kind == "interrupted"


def test_the_demo_server_draws_the_same_for_the_same_words() -> None:
    wire = ImageWire()

    def drawn(prompt: str) -> bytes:
        request = wire.read(json.dumps({"model": "demo", "prompt": prompt, "size": "64x32"}).encode(), {})
        return b64decode(json.loads(wire.whole(request, ()))["data"][0]["b64_json"])

    assert drawn("a boat") == drawn("a boat") != drawn("a cat")
    assert dimensions(drawn("a boat")) == (64, 32)
    for wrong in (b"{}", b"no", b'{"model":"demo","prompt":"x","size":"0x1"}', b'{"model":"demo","prompt":"x","n":9}'):
        with pytest.raises(ValidationError):
            wire.read(wrong, {})

"""Sound to text on the wire: the form that is sent, and every answer however it is cut."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.domain import Usage
from antiphon.errors import ValidationError
from antiphon.providers.azure import AzureProvider
from antiphon.providers.base import ChatMessage, Error, Event, File, Finish, ModelRequest, TextDelta, UsageReport
from antiphon.providers.config import ProviderSettings
from antiphon.providers.demo.wire.transcriptions import TranscriptionWire
from antiphon.providers.failures import Failures
from antiphon.providers.openai import OpenAIProvider
from antiphon.providers.protocols.forms import MultipartForm
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.transcriptions import TranscriptionDecoder, Transcriptions
from tests.sounds import wav


def asked(name: str = "note.ogg", media_type: str = "audio/ogg", data: bytes | None = b"OggS") -> ModelRequest:
    file = File(name=name, media_type=media_type, data=data)
    return ModelRequest(model="whisper-1", messages=(ChatMessage(role="user", text="Antiphon", files=(file,)),))


def read(*pieces: bytes) -> list[Event]:
    decoder = TranscriptionDecoder(Failures("ears"))
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


def test_the_form_is_that_of_the_api() -> None:
    body = Transcriptions(OpenAIChat(), "de", MultipartForm("edge")).encode(asked())
    assert body == (
        b'--edge\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="response_format"\r\n\r\njson\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="language"\r\n\r\nde\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nAntiphon\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="note.ogg"\r\n'
        b"Content-Type: audio/ogg\r\n\r\nOggS\r\n--edge--\r\n"
    )


@pytest.mark.parametrize(
    ("name", "media_type", "sent"),
    [
        ("voice", "audio/ogg; codecs=opus", "voice.ogg"),
        ("a.b", "audio/mpeg", "a.mp3"),
        ("note.m4a", "audio/mp4", "note.m4a"),
        ("", "audio/wav", "sound.wav"),
        ('x"\r\nEvil: 1.wav', "audio/wav", "x___Evil: 1.wav"),
        ("note.strange", "audio/strange", "note.strange"),
    ],
)
def test_servers_know_a_sound_by_the_end_of_its_name(name: str, media_type: str, sent: str) -> None:
    body = Transcriptions(OpenAIChat()).encode(asked(name, media_type))
    assert f'filename="{sent}"\r\n'.encode() in body


def test_a_sound_without_bytes_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="without its bytes"):
        Transcriptions(OpenAIChat()).encode(asked(data=None))


def test_each_vendor_is_asked_in_its_way() -> None:
    ours = OpenAIProvider("openai", ProviderSettings(api="responses")).hearing(None)
    assert ours.codec.path(asked()) == "audio/transcriptions"
    assert ours.name == "openai-audio"
    key = {"api_key": "k", "base_url": "https://me.openai.azure.com", "api_version": "2024-06-01"}
    azure = AzureProvider("azure", ProviderSettings.model_validate(key)).hearing("en")
    assert azure.codec.path(asked()) == "deployments/whisper-1/audio/transcriptions?api-version=2024-06-01"
    assert azure.codec.headers("k")["api-key"] == "k"
    assert azure.codec.headers("k")["Content-Type"].startswith("multipart/form-data; boundary=")


ANSWERS: dict[bytes, list[Event]] = {
    b'{"text": " Hello. "}': [TextDelta("Hello."), Finish("stop")],
    b'{"text": ""}': [Finish("stop")],
    b'{"text":"Hi","usage":{"type":"duration","seconds":3}}': [TextDelta("Hi"), Finish("stop")],
    b'{"text":"Hi","usage":{"type":"tokens","input_tokens":9,"output_tokens":2}}': [
        TextDelta("Hi"),
        UsageReport(Usage(input_tokens=9, output_tokens=2)),
        Finish("stop"),
    ],
    '{"text": "Grüß dich 👋"}'.encode(): [TextDelta("Grüß dich 👋"), Finish("stop")],
}


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 100), max_size=8))
def test_however_an_answer_is_cut_it_means_the_same(answer: bytes, cuts: list[int]) -> None:
    def pieces() -> Iterator[bytes]:
        at = 0
        for cut in sorted(cuts):
            yield answer[at:cut]
            at = max(at, cut)
        yield answer[at:]

    assert read(*pieces()) == ANSWERS[answer]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b'{"error": {"message": "no", "code": "rate_limit_exceeded"}}', "rate"),
        (b'{"message": "gone"}', "server"),
        (b'{"text": 3}', "protocol"),
        (b"{}", "protocol"),
        (b"<html>", "protocol"),
        (b'{"text": "half', "protocol"),
        (b"", "interrupted"),
    ],
)
def test_what_is_no_transcription_is_an_error(answer: bytes, kind: str) -> None:
    (error,) = read(answer)
    assert isinstance(error, Error)
    assert error.kind == kind


def test_the_demo_server_reads_the_same_form() -> None:
    codec = Transcriptions(OpenAIChat(), "en")
    found = TranscriptionWire().read(codec.encode(asked(data=wav(comment="!429 2"))), {})
    assert found.request.messages[0].text == "!429 2 (en Antiphon)"
    assert found.request.model == "whisper-1"
    for body, wrong in ((b"no form", "no multipart form"), (b"--x\r\n\r\n--x--", "no `file`")):
        with pytest.raises(ValidationError, match=wrong):
            TranscriptionWire().read(body, {})

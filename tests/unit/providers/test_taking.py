"""What a vendor is given of files, and what becomes of a refusal. Over HTTP it is tried in `tests/flows`."""

from collections.abc import AsyncGenerator, Callable

import pytest

from antiphon.providers.abilities import abilities
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    File,
    Finish,
    ModelInfo,
    ModelRequest,
    Remark,
    TextDelta,
)
from antiphon.providers.taking import REMEMBERED, Taking

PICTURE = File(name="a.png", media_type="image/png", data=b"x")
SOUND = File(name="a.wav", media_type="audio/wav", data=b"x")
REFUSED = Error(kind="invalid", message="no images", public="No images.")
ANSWERED: tuple[Event, ...] = (TextDelta("Yes."), Finish("stop"))


class Vendor:
    """Answers as `script` says, and keeps what it was asked."""

    def __init__(self, script: Callable[[ModelRequest], tuple[Event, ...]], name: str = "anthropic") -> None:
        self.name = name
        self.asked: list[ModelRequest] = []
        self.stopped = False
        self._script = script

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        for event in self._script(request):
            yield event

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(id="m"),)

    async def stop(self) -> None:
        self.stopped = True


def blind(request: ModelRequest) -> tuple[Event, ...]:
    return (REFUSED,) if any(message.files for message in request.messages) else ANSWERED


def request(*files: File, model: str = "m", earlier: tuple[File, ...] = ()) -> ModelRequest:
    before = (ChatMessage(role="user", text="Before.", files=earlier), ChatMessage(role="assistant", text="Yes."))
    return ModelRequest(model=model, messages=(*before, ChatMessage(role="user", text="Look.", files=files)))


async def said(taking: Taking, asked: ModelRequest) -> list[Event]:
    return [event async for event in taking.stream(asked)]


async def test_what_is_taken_passes_unchanged() -> None:
    vendor = Vendor(lambda _: ANSWERED)
    taking = Taking(vendor)
    for asked in (request(), request(PICTURE)):
        assert await said(taking, asked) == [*ANSWERED]
        assert vendor.asked[-1] == asked
    assert (taking.name, await taking.models()) == ("anthropic", (ModelInfo(id="m"),))
    await taking.stop()
    assert vendor.stopped


async def test_a_refusal_is_asked_once_more_without_and_remembered() -> None:
    vendor = Vendor(blind)
    taking = Taking(vendor)
    for calls in (2, 3):
        remark, *rest = await said(taking, request(PICTURE))
        assert isinstance(remark, Remark)
        assert "a.png" in remark.text
        assert rest == [*ANSWERED]
        assert len(vendor.asked) == calls
        assert vendor.asked[-1].messages[-1].text == "Look.\n\n[image: a.png, which you cannot see or hear]"
    for number in range(REMEMBERED):
        await said(taking, request(PICTURE, model=f"m{number}"))
    await said(taking, request(PICTURE))
    assert any(message.files for message in vendor.asked[-2].messages)  # the oldest was forgotten


async def test_of_files_of_earlier_messages_nobody_is_told_again() -> None:
    taking = Taking(Vendor(blind))
    assert await said(taking, request(earlier=(PICTURE,))) == [*ANSWERED]


@pytest.mark.parametrize("error", [REFUSED, Error(kind="rate", message="x", public="x", retryable=True)])
async def test_what_files_have_nothing_to_do_with_stays_an_error(error: Error) -> None:
    vendor = Vendor(lambda _: (error,))
    taking = Taking(vendor)
    assert await said(taking, request(PICTURE)) == [error]
    assert len(vendor.asked) == (2 if error is REFUSED else 1)
    assert await said(taking, request(PICTURE)) == [error]
    assert vendor.asked[-1].messages[-1].files == (() if error is REFUSED else (PICTURE,))


async def test_an_error_behind_the_first_word_is_not_repeated() -> None:
    vendor = Vendor(lambda _: (TextDelta("Ye"), REFUSED))
    assert await said(Taking(vendor), request(PICTURE)) == [TextDelta("Ye"), REFUSED]
    assert len(vendor.asked) == 1


@pytest.mark.parametrize(
    ("provider", "model", "kinds"),
    [
        ("openai", "gpt-5", {"image", "pdf"}),
        ("openai", "gpt-4o-audio-preview", {"image", "pdf", "sound"}),
        ("openai", "gpt-3.5-turbo", set()),
        ("openai", "gpt-4", set()),
        ("openai", "gpt-4-turbo", {"image", "pdf"}),
        ("anthropic", "claude-sonnet-4-5", {"image", "pdf"}),
        ("google", "gemini-2.5-pro", {"image", "pdf", "sound"}),
        ("openrouter", "deepseek/deepseek-chat", set()),
        ("openrouter", "qwen/qwen2.5-vl-72b-instruct", {"image", "pdf", "sound"}),
        ("groq", "llama-3.3-70b-versatile", set()),
        ("ollama", "llama3.2-vision", {"image"}),
        ("ollama", "gemma3:4b", {"image"}),
        ("deepseek", "anything", set()),
        ("my-gateway", "unknown", {"image"}),
    ],
)
def test_what_a_model_may_be_given(provider: str, model: str, kinds: set[str]) -> None:
    assert abilities(provider, model) == kinds


async def test_a_sound_that_is_not_taken_leaves_the_picture() -> None:
    vendor = Vendor(lambda _: ANSWERED)
    remark, *_ = await said(Taking(vendor), request(PICTURE, SOUND))
    assert isinstance(remark, Remark)
    assert ("a.wav" in remark.text, "a.png" in remark.text) == (True, False)
    assert vendor.asked[0].messages[-1].files == (PICTURE,)
    assert vendor.asked[0].messages[-1].text == "Look.\n\n[sound: a.wav, which you cannot see or hear]"

"""Whatever a vendor does wrong, people read a clear sentence, the log has a line, and the conversation goes on."""

import re
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import pytest

from antiphon.providers.base import Event, Finish, ModelInfo, ModelRequest, TextDelta
from antiphon.providers.demo.server import DemoServer
from antiphon.providers.reliability import Reliable
from antiphon.workspace import Workspace
from tests.flows.conftest import KEY, Serving, over_http
from tests.serving import Visitors

SECRET_WORDS = "marmalade on a zeppelin"


class Listening:
    """A vendor that keeps what it is shown and says one word."""

    name = "openai"

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.heard = [message.text for message in request.messages if message.role != "system"]
        yield TextDelta("heard")
        yield Finish("stop")

    async def models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def stop(self) -> None:
        """Nothing to close."""


Log = list[MutableMapping[str, Any]]


def warned(logged: Log) -> list[MutableMapping[str, Any]]:
    return [line for line in logged if line["log_level"] in {"warning", "error"}]


def silent_about(words: str, logged: Log) -> bool:
    return not any(words in str(value) for line in logged for value in line.values())


@pytest.mark.parametrize(
    ("directive", "status", "sentence"),
    [
        ("!401", "refused", "does not accept the API key"),
        ("!429", "refused", "too many requests"),
        ("!500", "refused", "failed on its side"),
        ("!503", "refused", "overloaded"),
        ("!410", "refused", "shut down"),
        ("!garbage", "refused", "cannot be understood"),
        ("!hang", "refused", "did not answer in time"),
        ("!cut 2 !echo", "interrupted", "cut off"),
        ("!error 2 !echo", "interrupted", "failed on its side"),
        ("!slow 3000", "refused", "did not answer in time"),
    ],
)
async def test_a_failure_of_the_vendor_becomes_a_sentence(
    openai: Workspace, visitors: Visitors, logged: Log, directive: str, status: str, sentence: str
) -> None:
    visitor = await visitors.enter(openai.url)
    answer = await visitor.ask(f"{directive} {SECRET_WORDS}")
    assert answer["end"]["status"] == answer["status"] == status
    assert sentence in answer["end"]["reason"]
    if status == "refused":
        assert answer["role"] == "system"
        assert answer["text"] == answer["end"]["reason"]
    else:
        assert answer["role"] == "assistant"
        assert answer["text"]
        assert {"type": "notice", "text": answer["end"]["reason"]}.items() <= answer["parts"][-1].items()
    lines = warned(logged)
    assert any(line["event"] == "run.model_failed" and line["provider"] == "openai" for line in lines)
    assert silent_about(SECRET_WORDS, logged)
    assert silent_about(KEY, logged)
    again = await visitor.ask("!echo still here")
    assert (again["text"], again["end"]["status"]) == ("still here", "answered")


async def test_what_failed_before_its_first_word_is_tried_again(
    openai: Workspace, vendor: DemoServer, visitors: Visitors
) -> None:
    visitor = await visitors.enter(openai.url)
    answer = await visitor.ask("!429 1 how are you?")
    assert answer["end"]["status"] == "answered"


async def test_a_vendor_that_cannot_be_reached(house: Serving, visitors: Visitors, free_port: int, logged: Log) -> None:
    async with house(**over_http(f"http://127.0.0.1:{free_port}/v1")) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask(SECRET_WORDS)
        assert answer["end"]["status"] == "refused"
        assert "openai cannot be reached" in answer["text"]
        assert (await visitor.ask("/model demo"))["end"]["status"] == "answered"
        assert (await visitor.ask("!echo better"))["text"] == "better"
    assert silent_about(SECRET_WORDS, logged)


async def test_a_wrong_key_is_neither_shown_nor_logged(
    house: Serving, vendor: DemoServer, visitors: Visitors, logged: Log
) -> None:
    wrong = "sk-wrong-9876543210fedcba"
    async with house(**over_http(vendor.url, wrong)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("hello")
    assert "does not accept the API key" in answer["text"]
    assert wrong not in str(visitor.events)
    assert silent_about(wrong, logged)


async def test_a_question_that_failed_is_known_to_the_next_answer(house: Serving, visitors: Visitors) -> None:
    """The model that answers next sees what was asked before; only commands and what was filtered stay out of it."""
    listening = Listening()
    async with house(default_model="demo") as workspace:
        workspace.providers._made["openai"] = Reliable(listening)
        visitor = await visitors.enter(workspace.url)
        for text in ("!500 one", "!filter two words of it", "/status", "!echo three"):
            await visitor.ask(text)
        await workspace.sessions.update(visitor.conversation_id, model="openai:any")
        await visitor.ask("four")
    assert listening.heard == ["!500 one", "!echo three", "three", "four"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("/hlep", "There is no command /hlep. Did you mean /help?"),
        ("/xyzzy", "There is no command /xyzzy. Type /help to see what there is."),
        ("/model dmeo", "There is no model “dmeo” here. Did you mean demo?"),
        ("/model opnai:gpt-5", "There is no model “opnai:gpt-5” here."),
    ],
)
async def test_a_command_or_model_that_does_not_exist(
    here: Workspace, visitors: Visitors, text: str, sentence: str
) -> None:
    visitor = await visitors.enter(here.url)
    answer = await visitor.ask(text)
    assert (answer["role"], answer["end"]["status"]) == ("system", "refused")
    assert answer["text"].startswith(sentence)
    assert (await visitor.ask("!echo on we go"))["text"] == "on we go"


async def test_a_model_the_vendor_does_not_have(openai: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(openai.url)
    await visitor.ask("/model openai:gpt-99")
    answer = await visitor.ask("hello")
    assert answer["end"]["status"] == "refused"
    assert answer["text"].startswith("openai does not know this model. Choose another one with /model.")
    await visitor.ask("/model default")
    assert (await visitor.ask("!echo back"))["text"] == "back"


async def test_a_model_configured_that_the_vendor_does_not_have(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**over_http(vendor.url) | {"default_model": "openai:gpt-99"}) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("hello")
        assert answer["text"].startswith("openai does not know this model. Choose another one with /model.")


async def test_why_tells_how_the_last_answer_came_about(openai: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(openai.url)
    assert (await visitor.ask("/why"))["text"] == "No model has answered in this conversation yet."
    await visitor.ask("!echo one")
    why = (await visitor.ask("/why"))["text"]
    assert "`openai:demo`" in why
    assert "system" in why
    assert "It took" in why
    assert "tools" not in why
    await visitor.ask(
        '!tool calculator {"expression": "1+1"} !tool calculator {"expression": "2"} !tool clock {"x": 1}'
    )
    assert re.search(r"\d\. tools: calculator \(2 times\), clock failed\n", (await visitor.ask("/why"))["text"])
    await visitor.ask("!401")
    assert "It ended as refused: openai does not accept the API key" in (await visitor.ask("/why"))["text"]

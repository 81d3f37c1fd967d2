"""What a model is given of a long conversation, seen where it arrives: in the requests that a vendor gets."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from antiphon.assistants import windows
from antiphon.assistants.run import LEFT_OUT
from antiphon.providers.demo.server import DemoServer
from antiphon.providers.demo.wire.base import Asked, Wire
from tests.attached import inline, png
from tests.flows.conftest import KEY, Serving
from tests.serving import LONGEST, Visitor, Visitors

VENDORS: dict[str, dict[str, Any]] = {
    "openai": {"path": "/v1", "api_key": KEY},
    "openai, responses": {"path": "/v1", "api_key": KEY, "api": "responses"},
    "anthropic": {"path": "", "api_key": KEY},
    "google": {"path": "/v1beta", "api_key": KEY},
    "ollama": {"path": "", "api_key": KEY},
}


class Recording(DemoServer):
    """The demo server, which keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__(api_key=KEY)
        self.bodies: list[Any] = []

    async def _answer(self, request: web.Request, raw: bytes, wire: Wire, asked: Asked) -> web.StreamResponse:
        self.bodies.append(json.loads(raw))
        return await super()._answer(request, raw, wire, asked)


@pytest.fixture
async def vendor() -> AsyncIterator[Recording]:
    server = Recording()
    await server.start()
    yield server
    await server.stop()


def of(vendor: Recording, name: str, **more: Any) -> dict[str, Any]:
    section, name = dict(VENDORS[name]), name.partition(",")[0]
    return {
        "default_model": f"{name}:demo",
        "providers": {name: {"base_url": vendor.root + section.pop("path"), **section}},
        **more,
    }


def without_marks(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_marks(each) for key, each in value.items() if key != "cache_control"}
    return [without_marks(each) for each in value] if isinstance(value, list) else value


def marked(body: Any) -> int:
    """How many messages of the past stand up to the last mark before the question."""
    places = [at for at, message in enumerate(body["messages"]) if "cache_control" in json.dumps(message)]
    return max((at + 1 for at in places if at < len(body["messages"]) - 1), default=0)


async def test_the_next_turn_shares_what_was_marked_byte_for_byte(
    house: Serving, vendor: Recording, visitors: Visitors
) -> None:
    async with house(**of(vendor, "anthropic")) as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.ask("/remember The railway in the cellar is green")
        questions = ("What is 3 times 14?", "What is in the cellar?", "What is 17% of 2340?", "!echo the end")
        for question in questions:
            assert (await visitor.ask(question))["end"]["status"] == "answered"
    firsts = [body for body in vendor.bodies if body["messages"][-1]["role"] == "user" and _asks(body)]
    assert len(firsts) == len(questions)
    assert "railway" in json.dumps(firsts[1]["messages"][-1])
    for body, later in pairwise(firsts):
        assert 2 <= json.dumps(body).count("cache_control") <= 4
        assert "cache_control" in json.dumps(body["system"])
        assert "railway" not in json.dumps(body["system"])
        for field in ("tools", "system"):
            assert json.dumps(body[field]) == json.dumps(later[field])
        shared = without_marks(body["messages"][: marked(body)])
        assert json.dumps(shared) == json.dumps(without_marks(later["messages"][: len(shared)]))
    assert marked(firsts[-1]) == len(firsts[-1]["messages"]) - 1


def _asks(body: Any) -> bool:
    """Whether it is the first request of a turn, and none with results of tools."""
    return "tool_result" not in json.dumps(body["messages"][-1])


async def test_requests_of_a_conversation_go_to_one_place(
    house: Serving, vendor: Recording, visitors: Visitors
) -> None:
    async with house(**of(vendor, "openai")) as workspace:
        ann, ben = await visitors.enter(workspace.url), await visitors.enter(workspace.url, client_id="c2")
        for visitor in (ann, ann, ben):
            await visitor.ask("!echo here")
    keys = [body["prompt_cache_key"] for body in vendor.bodies]
    assert keys == [ann.conversation_id, ann.conversation_id, ben.conversation_id]


@pytest.mark.parametrize("name", VENDORS)
async def test_a_prompt_that_is_too_long_is_asked_again_with_less_and_the_next_one_fits(
    house: Serving, vendor: Recording, visitors: Visitors, name: str
) -> None:
    async with house(**of(vendor, name, assistants={"compaction": {"enabled": False}})) as workspace:
        visitor = await visitors.enter(workspace.url)
        for number in range(10):
            await visitor.ask(f"!echo {number} {'word ' * 200}")
        vendor.bodies.clear()
        answer = await visitor.ask("!window 2800 !echo still here")
        assert (answer["end"]["status"], answer["text"]) == ("answered", "still here")
        assert [part["type"] for part in answer["parts"]] == ["notice", "text"]
        refused, taken = map(len, map(json.dumps, vendor.bodies))
        assert taken < refused
        vendor.bodies.clear()
        again = await visitor.ask("!window 2800 !echo and here")
        assert [part["type"] for part in again["parts"]] == ["text"]
        assert len(vendor.bodies) == 1


async def test_a_question_that_alone_is_too_long_is_told_so(
    house: Serving, vendor: Recording, visitors: Visitors
) -> None:
    async with house(**of(vendor, "anthropic")) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask(f"!window 50 !echo {'word ' * 500}")
        assert answer["end"]["status"] == "refused"
        assert "too long for this model" in answer["text"]
        assert len(vendor.bodies) == 1
        assert (await visitor.ask("!echo well"))["text"] == "well"


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor to whom every picture is too large."""
    answers = Recording._answer

    async def answer(self: Recording, request: web.Request, raw: bytes, wire: Wire, asked: Asked) -> Any:
        too_large = b'"image"' in raw
        return web.Response(status=413) if too_large else await answers(self, request, raw, wire, asked)

    monkeypatch.setattr(Recording, "_answer", answer)


async def show(visitor: Visitor, text: str, width: int = 11, height: int = 7) -> dict[str, Any]:
    """The answer to a message with a picture."""
    picture = [{"name": "a.png", "url": inline(png(width, height), "image/png")}]
    receipt = await visitor.channel.push("message", {"text": text, "attachments": picture})
    return await visitor.answer(receipt["turn_id"])


@pytest.mark.usefixtures("no_pictures")
async def test_a_picture_of_the_past_that_is_too_large_gives_way_and_nothing_else_does(
    house: Serving, vendor: Recording, visitors: Visitors
) -> None:
    brief = {"named": {"guide": {"strategy": "brief", "tools": ["clock"]}}}
    async with house(**of(vendor, "anthropic", assistants=brief)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.ask(f"!echo the ship is blue {'and large ' * 300}")
        assert (await show(visitor, "Look"))["end"]["status"] == "refused"
        vendor.bodies.clear()
        answer = await visitor.ask("What time is it?")
        assert answer["end"]["status"] == "answered"
        assert [part["text"] for part in answer["parts"] if part["type"] == "notice"] == [LEFT_OUT]
        assert len(vendor.bodies) == 2  # the round behind the tool knows what the one before it learned
        for body in vendor.bodies:
            given = json.dumps(body["messages"])
            assert "the ship is blue" in given
            assert "[image: a.png" in given


@pytest.mark.usefixtures("no_pictures")
async def test_what_is_too_large_but_no_text_costs_nobody_the_past(
    house: Serving, vendor: Recording, visitors: Visitors
) -> None:
    """A vendor refuses a picture; the window of the model, which everybody shares, is the one it was."""
    async with house(**of(vendor, "anthropic")) as workspace:
        hostile, other = [await visitors.enter(workspace.url, client_id=each) for each in ("c1", "c2")]
        for text in (f"Look {'closely ' * 1_000}", "Look"):
            assert (await show(hostile, text))["end"]["status"] == "refused"
        await other.ask(f"!echo the ship is blue {'and large ' * 100}")
        await other.ask("!echo well")
        assert "the ship is blue" in json.dumps(vendor.bodies[-1]["messages"][:-1])


async def test_pictures_have_a_weight_by_their_size_and_leave_half_of_the_window_to_words(
    house: Serving, vendor: Recording, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LIGHTEST", 1.0)  # the demo model reports that it counts none
    small = {"model_context_tokens": {"anthropic:demo": 7_000}, "tools": [], "compaction": {"enabled": False}}
    async with house(**of(vendor, "anthropic", assistants=small)) as workspace:
        visitor = await visitors.enter(workspace.url)
        for number in range(4):
            shown = await show(visitor, f"!echo {number} {'word ' * 100}", 1_200, 1_000)
            assert shown["end"]["status"] == "answered"
        past = json.dumps(vendor.bodies[-1]["messages"])
        assert (past.count('"type": "image"'), past.count("[image: a.png]")) == (2, 2)
        assert all(f"!echo {number} word" in past for number in range(4))
        vendor.bodies.clear()
        for number in range(4):
            await show(visitor, f"!echo small {number}")
        assert json.dumps(vendor.bodies[-1]["messages"]).count('"type": "image"') >= 5


async def test_a_picture_is_charged_before_it_is_asked(house: Serving, vendor: Recording, visitors: Visitors) -> None:
    bounded = {"assistants": {"tools": []}, "budgets": {"person": {"tokens_per_day": 2_400}}}
    async with house(**of(vendor, "anthropic", **bounded)) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await show(visitor, "!echo well"))["text"] == "well"
        assert "Your budget" in (await show(visitor, "!echo well", 1_200, 1_000))["text"]
        assert len(vendor.bodies) == 1


async def test_a_person_is_answered_in_the_language_of_their_choice_everywhere(
    house: Serving, vendor: Recording, visitors: Visitors
) -> None:
    async with house(**of(vendor, "openai")) as workspace:
        ann = await visitors.enter(workspace.url)
        assert "the language you write" in (await ann.ask("/language"))["text"]
        assert (await ann.ask("/language Klingon"))["end"]["status"] == "refused"
        assert "German (de) from now on" in (await ann.ask("/language german"))["text"]
        other = await visitors.enter(workspace.url, client_id="c2")
        await other.ask("!echo hello")
        assert "**Language**: German (de)" in (await other.ask("/status"))["text"]
    async with house(**of(vendor, "openai")) as workspace:
        again = await visitors.enter(workspace.url, client_id="c3")
        await again.ask("!echo hello")
        await again.ask("/language auto")
        await again.ask("!echo hello")
    told = ["answered in German (de)" in body["messages"][0]["content"] for body in vendor.bodies]
    assert told == [True, True, False]


class Listing(Recording):
    """A vendor whose list of models tells how large their windows are."""

    async def _models(self, _: web.Request, wire: Wire) -> web.StreamResponse:
        listed = {"object": "list", "data": [{"id": "demo", "object": "model", "context_length": 1_500}]}
        return web.json_response(listed)


async def test_what_a_vendor_lists_is_known_from_the_second_turn_on(house: Serving, visitors: Visitors) -> None:
    vendor = Listing()
    await vendor.start()
    try:
        off = {"compaction": {"enabled": False}, "tools": []}
        async with house(**of(vendor, "openai", assistants=off)) as workspace:
            visitor = await visitors.enter(workspace.url)
            await visitor.ask(f"!echo {'word ' * 200}")
            async with asyncio.timeout(LONGEST):
                while workspace.models.windows.window("openai:demo") != 1_500:
                    await asyncio.sleep(0.01)
            for _ in range(9):
                await visitor.ask(f"!echo {'word ' * 200}")
            last = vendor.bodies[-1]
            assert len(json.dumps(last["messages"])) < 1_500 * 6
            assert 3 <= len(last["messages"]) < 12
            assert "newest messages, and nothing of what came before" in (await visitor.ask("/why"))["text"]
    finally:
        await vendor.stop()

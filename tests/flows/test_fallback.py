"""Where one model cannot answer another does, once; which one it was and why can be asked for."""

from typing import Any

import aiohttp
import pytest

from antiphon.providers.demo.server import DemoServer
from antiphon.workspace import Workspace
from tests.flows.conftest import KEY, Serving, over_http
from tests.serving import Visitor, Visitors


def two_vendors(first: str, second: str, **more: Any) -> dict[str, Any]:
    """The sections of a house whose model is at `first`, with one to fall back on at `second`."""
    sections = over_http(first, assistants={"fallback_models": ["backup:demo"]}, **more)
    backup = {**sections["providers"]["openai"], "base_url": second}
    return {**sections, "providers": {**sections["providers"], "backup": backup}}


async def why(visitor: Visitor) -> str:
    return str((await visitor.ask("/why"))["text"])


async def shown_as_resting(workspace: Workspace) -> set[str]:
    async with aiohttp.ClientSession() as session, session.get(f"{workspace.url}/api/v1/models") as response:
        models = await response.json()
    return {model["provider"] for model in models["items"] if model["resting"] is not None}


async def test_another_model_answers_and_says_why(
    house: Serving, vendor: DemoServer, visitors: Visitors, free_port: int
) -> None:
    async with house(**two_vendors(f"http://127.0.0.1:{free_port}/v1", vendor.url)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("!echo I am here")
        assert (answer["end"]["status"], answer["text"]) == ("answered", "I am here")
        assert answer["end"]["model"] == "backup:demo"
        told = await why(visitor)
    assert "came from `backup:demo`" in told
    assert "given up: openai:demo: openai cannot be reached" in told


@pytest.mark.parametrize("fault", ["!cut 2 !echo", "!error 2 !echo"])
async def test_what_has_begun_is_never_begun_again(
    house: Serving, vendor: DemoServer, visitors: Visitors, fault: str
) -> None:
    """The same words by another model behind the first half would be two answers."""
    async with house(**two_vendors(vendor.url, vendor.url)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask(f"{fault} one two three four five six")
        assert (answer["end"]["status"], answer["end"]["model"]) == ("interrupted", "openai:demo")
        assert answer["text"].count("one") == 1
        assert "given up" not in await why(visitor)


async def test_a_vendor_that_keeps_failing_is_not_even_asked(
    house: Serving, vendor: DemoServer, visitors: Visitors, free_port: int
) -> None:
    patience = {"retry_attempts": 1, "breaker_failures": 2, "breaker_seconds": 600}
    sections = two_vendors(f"http://127.0.0.1:{free_port}/v1", vendor.url, services=patience)
    async with house(**sections) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert await shown_as_resting(workspace) == set()
        for text in ("one", "two"):
            await visitor.ask(f"!echo {text}")
            assert "given up: openai:demo" in await why(visitor)
        assert (await visitor.ask("!echo three"))["end"]["model"] == "backup:demo"
        told = await why(visitor)
        assert "given up" not in told
        assert "chosen by: fallback" in told
        assert "system: openai:demo: it keeps failing and is left alone for 600 s" in told
        assert "left alone because they keep failing**: openai" in (await visitor.ask("/status"))["text"].lower()
        assert await shown_as_resting(workspace) == {"openai"}


async def test_without_another_model_the_sentence_says_so(house: Serving, visitors: Visitors, free_port: int) -> None:
    patience = {"retry_attempts": 1, "breaker_failures": 1, "breaker_seconds": 600}
    async with house(**over_http(f"http://127.0.0.1:{free_port}/v1", KEY, services=patience)) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert "cannot be reached" in (await visitor.ask("one"))["text"]
        answer = await visitor.ask("two")
    assert answer["end"]["status"] == "refused"
    assert "left alone for a while" in answer["text"]

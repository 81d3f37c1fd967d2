"""Images that an assistant has made: over real HTTP, kept as files, shown, paid for, refused, and gone with their
conversation."""

import json
import re
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from antiphon.errors import ConfigError, ModuleError
from antiphon.files.pictures import dimensions
from antiphon.providers.demo.server import DemoServer
from antiphon.workspace import Workspace
from tests.flows.conftest import KEY, Serving
from tests.serving import Visitors

SHOWN = re.compile(r"!\[([^\]]*)\]\((/api/v1/files/[0-9A-Z]{26})\)")


def drawing(vendor: DemoServer, *, patience: float = 5.0, **images: Any) -> dict[str, Any]:
    """A house whose demo model answers, and for which the vendor draws."""
    waits = {"connect": 2.0, "first_byte": patience, "between": patience}
    hand = {"base_url": vendor.url, "api_key": KEY, "timeouts": waits, "body": {"user": "me"}}
    section = {"model": "hand:demo", "sizes": ["256x128", "128x256"], **images}
    return {"providers": {"demo": {"rate": 0}, "hand": hand}, "tools": {"images": section}}


async def made(workspace: Workspace, answer: dict[str, Any]) -> bytes:
    """The image that an answer shows, as a browser is given it."""
    found = SHOWN.search(answer["text"])
    assert found, answer["text"]
    async with aiohttp.ClientSession(workspace.url) as session, session.get(found[2]) as got:
        assert (got.status, got.content_type) == (200, "image/png")
        return await got.read()


def why(answer: dict[str, Any]) -> str:
    """What the tool said of the image that there is not."""
    assert not SHOWN.search(answer["text"])
    (call,) = [part for part in answer["parts"] if part["type"] == "tool"]
    assert call["status"] == "failed"
    return str(call["result"])


async def status_of(workspace: Workspace, address: str) -> int:
    async with aiohttp.ClientSession(workspace.url) as session, session.get(address) as got:
        return got.status


async def test_an_image_is_made_kept_shown_and_paid_for(house: Serving, vendor: DemoServer, visitors: Visitors) -> None:
    async with house(**drawing(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("Draw me a red boat on a lake")
        data = await made(workspace, answer)
        assert dimensions(data) == (256, 128)
        assert SHOWN.search(answer["text"]).group(1) == "a red boat on a lake"  # type: ignore[union-attr]
        other = await visitor.ask('!tool generate_image {"prompt": "a red boat", "size": "128x256"}')
        assert dimensions(await made(workspace, other)) == (128, 256)
        async with (
            aiohttp.ClientSession(workspace.url) as session,
            session.get("/api/v1/usage?by=model") as got,
        ):
            (spent,) = [each for each in (await got.json())["items"] if each["owner"] == "hand:demo"]
        assert (spent["calls"], spent["unpriced_calls"], spent["cost"]) == (2, 2, None)  # nobody knows its price


async def test_a_price_that_is_known_is_paid(house: Serving, vendor: DemoServer, visitors: Visitors) -> None:
    prices = {"hand:demo": {"input": 1_000_000, "output": 0}}
    async with house(budgets={"prices": prices}, **drawing(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await made(workspace, await visitor.ask("Draw me one boat"))
        assert "$2.0000" in await workspace._flow.budgets.spent_today()


async def test_the_same_picture_in_two_conversations_goes_with_the_last_one(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**drawing(vendor)) as workspace:
        addresses, places = set(), []
        for name in ("one", "two"):
            visitor = await visitors.enter(workspace.url, client_id=name)
            found = SHOWN.search((await visitor.ask("Draw me a red boat"))["text"])
            assert found
            addresses.add(found[2])
            places.append(visitor.conversation_id)
        (address,) = addresses
        for place, left in zip(places, (200, 404), strict=True):
            async with aiohttp.ClientSession(workspace.url) as session:
                assert (await session.delete(f"/api/v1/conversations/{place}")).ok
            assert await status_of(workspace, address) == left


FAULTS = {
    "!401": "key for it is not accepted",
    "!quota": "paid quota for it is used up",
    "!500": "cannot be reached or is busy",
    "!429": "cannot be reached or is busy",
    "!cut": "cannot be reached or is busy",
    "!sever 5": "cannot be reached or is busy",
    "!filter": "content filter stopped it",
    "!garbage": "cannot be understood",
    "!hang": "not there within 1 seconds",
    "!slow 5000 a boat": "not there within 1 seconds",
    "!echo no*base64": "something that is none",
    "!echo PHNjcmlwdD4=": "something that is none",  # <script>
    "!echo H4sIAAAAAAAA": "something that is none",  # a packed file
    "!echo ": "cannot be understood",
    "!echo http://169.254.169.254/latest": "gave the address of an image",
    "!long 100000": "could not be kept",
}


@pytest.mark.parametrize("prompt", FAULTS)
async def test_what_goes_wrong_is_told_to_the_model_and_nothing_is_kept(
    house: Serving, vendor: DemoServer, visitors: Visitors, prompt: str
) -> None:
    services = {"backoff_factor": 1.0, "retry_attempts": 1}
    async with house(services=services, files={"max_bytes": 100_000}, **drawing(vendor, seconds=1)) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert FAULTS[prompt] in why(await visitor.ask(call(prompt)))
        await made(workspace, await visitor.ask("Draw me a boat"))


def call(prompt: str, **more: str) -> str:
    return f"!tool generate_image {json.dumps({'prompt': prompt, **more})}"


async def test_a_vendor_that_is_busy_for_a_moment_is_asked_again(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**drawing(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await made(workspace, await visitor.ask(call("!429 1 a boat")))


async def test_what_a_prompt_says_stays_words(house: Serving, vendor: DemoServer, visitors: Visitors) -> None:
    hostile = "](https://evil.example/) ![x](https://evil.example/?q=) <img src=x>\n\n../../etc/passwd \x00 _a_"
    async with house(**drawing(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask(call(hostile))
        found = SHOWN.search(answer["text"])
        assert found
        assert found[1] == "https evil example x https evil example q"
        assert await made(workspace, answer)
        assert "evil.example" not in answer["text"]
        for prompt in ("", " \n", "x" * 4001):
            assert "Say in 1 to 4,000 characters" in why(await visitor.ask(call(prompt)))
        assert "there is 256x128, 128x256" in why(await visitor.ask(call("a boat", size="9999x9999")))


async def test_who_has_no_room_left_gets_no_image(house: Serving, vendor: DemoServer, visitors: Visitors) -> None:
    async with house(files={"person_bytes": 500}, **drawing(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await made(workspace, await visitor.ask("Draw me a boat"))
        assert "There is no room for this file" in why(await visitor.ask("Draw me a cat"))


async def test_a_budget_that_is_used_up_pays_for_no_image(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    prices = {"hand:demo": {"input": 1_000_000, "output": 1_000_000}}
    budgets = {"prices": prices, "person": {"dollars_per_day": 1}}
    async with house(budgets=budgets, **drawing(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert "does not reach for another answer" in why(await visitor.ask("Draw me a boat"))
        assert vendor.active == 0


async def test_a_person_may_have_to_allow_it(house: Serving, vendor: DemoServer, visitors: Visitors) -> None:
    sections = drawing(vendor)
    sections["tools"]["approval"] = {"generate_image": "always"}
    async with house(**sections) as workspace:
        visitor = await visitors.enter(workspace.url)
        receipt = await visitor.channel.push("message", {"text": "Draw me a boat"})
        asked = await visitor.until("approval", turn_id=receipt["turn_id"])
        assert vendor.active == 0
        await visitor.channel.push("approve", {"call_id": asked["call_id"]})
        await made(workspace, await visitor.answer(str(receipt["turn_id"])))


async def test_nobody_draws_unless_a_model_is_set(here: Workspace, visitors: Visitors) -> None:
    assert "generate_image" not in {each.name for each in here.assistants.default.tools}
    visitor = await visitors.enter(here.url)
    assert "That takes a real model" in (await visitor.ask("Draw me a picture of a boat"))["text"]


async def test_a_vendor_that_makes_no_images_keeps_the_house_from_starting(house: Serving) -> None:
    for model, kind, problem in (
        ("anthropic:claude", ConfigError, "anthropic makes no images"),
        ("nobody:x", ModuleError, "no provider “nobody”"),
        ("dall-e-3", ValidationError, "tools.images.model"),
    ):
        with pytest.raises(kind, match=problem):
            async with house(tools={"images": {"model": model}}):
                pass

"""A house whose vendor speaks its own protocol: tools and thinking, from turn to turn and from vendor to vendor.

The demo server refuses what these vendors refuse: thoughts and calls that do not come back as they were signed.
"""

import json
from typing import Any

import pytest

from antiphon.providers.demo.server import DemoServer
from tests.flows.conftest import KEY, Serving
from tests.serving import Visitors

VENDORS = {"anthropic": "", "google": "/v1beta", "openai": "/v1"}
"""Provider: the path of its base URL."""


def sections(vendor: DemoServer, first: str, **more: Any) -> dict[str, Any]:
    """A house for which the demo server is every one of these vendors, and `first` answers."""
    providers = {name: {"base_url": vendor.root + path, "api_key": KEY} for name, path in VENDORS.items()}
    return {"default_model": f"{first}:demo", "providers": providers, **more}


@pytest.mark.parametrize("name", ["anthropic", "google"])
async def test_a_turn_thinks_calls_a_tool_and_is_remembered(
    house: Serving, vendor: DemoServer, visitors: Visitors, name: str
) -> None:
    async with house(**sections(vendor, name)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("!reason What is 17% of 2340?")
        assert (answer["end"]["status"], answer["end"]["model"]) == ("answered", f"{name}:demo")
        assert "397.8" in answer["text"]
        kinds = [part["type"] for part in answer["parts"]]
        assert kinds.index("reasoning") < kinds.index("tool") < kinds.index("text")
        assert all(part["text"] for part in answer["parts"] if part["type"] == "reasoning")
        assert "signature" not in json.dumps(answer).lower()
        assert answer["end"]["usage"]["reasoning_tokens"] > 0
        again = await visitor.ask("!reason And what is 3 times 14?")
        assert again["end"]["status"] == "answered"
        assert "42" in again["text"]


@pytest.mark.parametrize(("first", "second"), [("anthropic", "google"), ("google", "anthropic"), ("openai", "google")])
async def test_another_vendor_goes_on_with_what_the_first_has_signed(
    house: Serving, vendor: DemoServer, visitors: Visitors, first: str, second: str
) -> None:
    async with house(**sections(vendor, first)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.ask("!reason What is 17% of 2340?")
        assert (await visitor.ask(f"/model {second}:demo"))["end"]["status"] == "answered"
        answer = await visitor.ask("!reason What is 3 times 14?")
        assert (answer["end"]["status"], answer["end"]["model"]) == ("answered", f"{second}:demo")
        assert "42" in answer["text"]


@pytest.mark.parametrize("name", ["anthropic", "google"])
async def test_a_quota_that_is_used_up_lets_the_next_vendor_answer(
    house: Serving, vendor: DemoServer, visitors: Visitors, name: str
) -> None:
    assistants = {"fallback_models": ["demo"]}
    async with house(**sections(vendor, name, assistants=assistants)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("!quota")
        told = str((await visitor.ask("/why"))["text"])
    assert answer["end"]["status"] == "refused"  # the demo model obeys the directive as well
    assert f"given up: {name}:demo: The paid quota at {name} is used up." in told

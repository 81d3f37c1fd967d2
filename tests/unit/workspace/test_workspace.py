"""The root: what fails at a start and not in a turn, and what is left when it has stopped."""

from typing import Protocol

import pytest

from antiphon.adapters.base import Deliver
from antiphon.adapters.web import WebAdapter
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.prompts import Prompt
from antiphon.domain import ChannelMessage
from antiphon.errors import AntiphonError, ConfigError, ServiceError
from antiphon.realtime.pubsub import get_pubsub
from antiphon.storage.facts import FactStore
from antiphon.telemetry.health import get_health_checker
from antiphon.telemetry.metrics import get_metrics
from antiphon.tools.base import ToolContext, tool
from tests.unit.workspace.conftest import Make


class Missing(Protocol):
    """A service nobody provides."""


@tool
async def needy(context: ToolContext, service: Missing) -> str:
    """Needs what is not there."""
    return str(service)


@tool
async def modest(context: ToolContext, facts: FactStore) -> str:
    """Needs what is there."""
    return str(facts)


@pytest.mark.parametrize(
    ("assistant", "sentence"),
    [
        (Assistant("a", instructions=Prompt("helpfull")), "There is no prompt 'helpfull'. Did you mean helpful?"),
        (Assistant("a", instructions=Prompt("helpful", 9)), "Prompt helpful has no version 9"),
        (Assistant("a", tools=[needy]), "Tool needy needs Missing for 'service', which nobody provides."),
        (Assistant("a", model="opnai:gpt-5"), "There is no provider “opnai”. Did you mean openai?"),
        (Assistant("a", model="gpt-5"), "“gpt-5” names no model."),
    ],
)
async def test_what_would_fail_in_every_turn_fails_at_the_start(
    make: Make, assistant: Assistant, sentence: str
) -> None:
    workspace = make()
    workspace.assistants.add(Assistant("fine", tools=[modest]))
    workspace.assistants.add(assistant)
    with pytest.raises(AntiphonError) as caught:
        await workspace.start()
    assert caught.value.public.startswith(sentence)
    with pytest.raises(ServiceError):
        await workspace.store.conversations.get("x")
    await workspace.stop()


async def test_an_adapter_that_does_not_start_is_named_and_what_ran_is_stopped(make: Make) -> None:
    class Broken(WebAdapter):
        name = "broken"

        async def start(self, deliver: Deliver) -> None:
            raise RuntimeError("no wire")

    workspace = make()
    workspace.adapters["broken"] = Broken(workspace.live.message)
    with pytest.raises(ServiceError, match=r"Could not start the adapter broken: RuntimeError: no wire"):
        await workspace.start()
    with pytest.raises(ServiceError):
        await workspace.store.conversations.get("x")
    await workspace.stop()


async def test_it_starts_and_stops_more_than_once(make: Make) -> None:
    workspace = make()
    for _ in range(2):
        async with workspace:
            assert workspace.default_model == "demo"
            assert (await workspace.health.acheck_all()).ready
        assert not (await workspace.health.acheck_all()).ready
        assert (await workspace.health.acheck_all()).checks == ()
    await workspace.stop()


async def test_what_a_process_has_once_is_the_running_workspaces(make: Make) -> None:
    first = make()
    assert get_metrics() is first.metrics
    assert get_health_checker() is first.health
    assert get_pubsub() is first.pubsub
    second = make()
    assert second.metrics is not first.metrics
    assert second.pubsub is not first.pubsub
    await second.stop()
    assert get_metrics() is first.metrics
    await first.stop()
    third = make()
    assert get_metrics() is third.metrics
    await third.stop()


async def test_a_program_may_deliver_what_it_likes(make: Make) -> None:
    async with make() as workspace:
        message = ChannelMessage(adapter="script", place="here", account="me", key="1", text="/status")
        receipt = await workspace.deliver(message)
        while workspace.router.waiting().running or workspace.router.waiting().queued:
            await workspace.store.inbox.latest(receipt.conversation_id)
        question, answer = await workspace.store.conversations.messages(receipt.conversation_id)
        assert (question.status, answer.status) == ("answered", "answered")
        assert workspace.data in answer.text


async def test_it_knows_its_address_before_it_serves(make: Make) -> None:
    assert make(server={"port": 4321}).url == "http://127.0.0.1:4321"
    assert make(server={"host": "::1", "port": 4321}).url == "http://[::1]:4321"


async def test_one_that_cannot_be_built_takes_nothing_with_it(make: Make) -> None:
    with pytest.raises(ConfigError, match="URL of Redis"):
        make(cache={"url": "nowhere"})
    next_one = make()
    assert get_metrics() is next_one.metrics
    assert get_health_checker() is next_one.health


async def test_one_that_is_stopped_again_leaves_those_after_it_alone(make: Make) -> None:
    first = make()
    await first.stop()
    second = make()
    await first.stop()
    third = make()
    assert get_metrics() is second.metrics
    assert get_metrics() is not third.metrics

"""The slice as a user sees it: a question, a streamed answer, tools, and all of it there after a restart."""

import pytest

from antiphon.workspace import Workspace
from tests.serving import Program, Served, Visitors


@pytest.fixture
def served(program: Program) -> Program:
    return program


async def test_a_question_is_answered_and_both_survive_a_restart(served: Served, visitors: Visitors) -> None:
    served.start()
    visitor = await visitors.enter(served.url)
    answer = await visitor.ask("!echo good morning")
    assert answer["text"] == "good morning"
    assert answer["end"]["status"] == "answered"
    assert served.stop() == 0
    served.start()
    await visitor.see(lambda: visitor.joins == 2)
    assert visitor.joined["recovered"] is True
    again = await visitors.enter(served.url, visitor.conversation_id)
    assert [(message["role"], message["text"]) for message in again.shown()] == [
        ("user", "!echo good morning"),
        ("assistant", "good morning"),
    ]
    assert again.joined["recovered"] is False


async def test_the_events_of_a_turn_come_in_their_order(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    receipt = await visitor.say('!tool calculator {"expression": "6*7"}')
    answer = await visitor.answer(receipt["turn_id"])
    kinds = [name for name, _ in visitor.events]
    assert kinds[:2] == ["message", "turn_start"]
    assert kinds[-2:] == ["message", "turn_end"]
    assert set(kinds[2:-2]) == {"delta", "tool"}
    numbers = [payload["seq"] for name, payload in visitor.events if name in {"delta", "tool"}]
    assert numbers == sorted(set(numbers))
    running, done = visitor.named("tool", receipt["turn_id"])
    assert (running["status"], done["status"]) == ("running", "done")
    assert running["call_id"] == done["call_id"]
    assert "42" in done["result"]
    assert visitor.said[receipt["turn_id"]] == answer["text"]
    assert [part["type"] for part in answer["parts"]][:1] == ["tool"]

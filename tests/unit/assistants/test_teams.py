"""A lead asks its team: each by its own tool, within one turn, at one price, so deep and no deeper."""

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import AssistantReply, Dialogue
from antiphon.assistants.state import State
from antiphon.domain import Usage
from antiphon.errors import ConfigError
from antiphon.providers.base import Finish, TextDelta, UsageReport
from antiphon.testing.models import ScriptedModel
from antiphon.tools.base import tool


class Shelf(State):
    books: list[str]


@tool
async def shelve(book: str, shelf: Shelf) -> int:
    """Puts a book on the shelf."""
    shelf.books.append(book)
    return len(shelf.books)


WRITER = Assistant("writer", description="Writes.", instructions="You write.", tools=[shelve])


async def ask(model: ScriptedModel, lead: Assistant) -> AssistantReply:
    return await Dialogue(lead, model, "m").process_message("A book, please.")


async def test_a_member_answers_with_its_own_instructions_and_tools() -> None:
    model = ScriptedModel().calls("ask_writer", task="Write B.").calls("shelve", book="B").says("It is B.").says("B!")
    reply = await ask(model, Assistant("lead", team=[WRITER], tools=[shelve]))
    assert reply.text == "B!"
    assert [(call.name, call.result) for call in reply.calls] == [("ask_writer", "It is B.")]
    lead, member = model.requests[:2]
    assert [spec.name for spec in lead.tools] == ["shelve", "ask_writer"]
    assert lead.tools[1].description.startswith("Ask the assistant writer: Writes. It knows nothing")
    assert [message.text for message in member.messages] == ["You write.", "Write B."]
    assert [spec.name for spec in member.tools] == ["shelve"]


async def test_lead_and_members_share_the_state() -> None:
    model = ScriptedModel().calls("shelve", book="A").calls("ask_writer", task="B").calls("shelve", book="B")
    model.says("Done.").calls("shelve", book="C").says("Three.")
    reply = await ask(model, Assistant("lead", team=[WRITER], tools=[shelve]))
    assert [call.result for call in reply.calls] == ["1", "Done.", "3"]


async def test_what_members_cost_is_added() -> None:
    model = ScriptedModel().calls("ask_writer", task="B")
    for text in ("B", "There."):
        model.plays(TextDelta(text), UsageReport(Usage(input_tokens=100, output_tokens=10)), Finish("stop"))
    usage = (await ask(model, Assistant("lead", team=[WRITER]))).usage
    assert usage.input_tokens >= 200
    assert usage.output_tokens >= 20


async def test_a_member_that_fails_is_told_to_the_lead() -> None:
    model = ScriptedModel().calls("ask_writer", task="B").fails("quota").says("It cannot.")
    reply = await ask(model, Assistant("lead", team=[WRITER]))
    assert (reply.text, reply.calls[0].status) == ("It cannot.", "failed")
    assert "writer has no whole answer. The model failed" in (reply.calls[0].result or "")


async def test_assistants_ask_each_other_so_deep_and_no_deeper() -> None:
    chain = Assistant("d0")
    for number in range(1, 6):
        chain = Assistant(f"d{number}", team=[chain])
    model = ScriptedModel()
    for number in range(4, 0, -1):
        model.calls(f"ask_d{number}", task="on")
    for _ in range(4):
        model.says("back")
    reply = await ask(model, chain)
    assert reply.text == "back"
    asked = [message.text for request in model.requests for message in request.messages if message.role == "tool"]
    assert "d1 was not asked: 3 assistants have asked one another already." in "".join(asked)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two tools are called ask_writer"):
        Assistant("lead", team=[WRITER, Assistant("writer")])

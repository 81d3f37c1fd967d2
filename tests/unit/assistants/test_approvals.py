"""Which calls a person must allow, and a run that stops for it and goes on from there."""

import math
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from pydantic import BaseModel
from typing_extensions import TypedDict

from antiphon.assistants.approvals import NOBODY, NOBODY_TO_ASK, ApprovalRules, Earlier, Paused
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.run import Ended, Run, RunEvent
from antiphon.domain import Approval, ToolPart, Usage, Verdict, now
from antiphon.errors import ConfigError
from antiphon.providers.base import ChatMessage
from antiphon.providers.demo.provider import DemoProvider
from antiphon.tools.base import Tool, ToolContext, tool

CONTEXT = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide")
ASKED = ApprovalRules()
SENT: list[str] = []


@tool(approval=lambda arguments: arguments["urgent"] or len(arguments["text"]) > 5)
async def send(text: str, urgent: bool = False) -> str:
    """Send a text."""
    SENT.append(text)
    return f"Sent {text}."


def question(text: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage(role="user", text=text),)


async def outcome(run: Run) -> RunEvent:
    async with aclosing(run.events()) as events:
        return [event async for event in events][-1]


def run(text: str, rules: ApprovalRules = ASKED, earlier: Earlier | None = None) -> Run:
    SENT.clear()
    assistant = Assistant("guide", tools=[send])
    return Run(assistant, DemoProvider(), "demo", question(text), CONTEXT, rules=rules, earlier=earlier)


def answered(part: ToolPart, verdict: Verdict, reason: str | None = None) -> Approval:
    return Approval(
        id="A", turn_id="t", conversation_id="c", person_id="p", call_id=part.call_id, name=part.name,
        arguments=part.arguments, asked_at=now(), expires_at=now(), verdict=verdict, reason=reason,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [('{"text": "hi"}', False), ('{"text": "hi", "urgent": true}', True), ('{"text": "hello you"}', True),
     ('{"text": 1}', False), ("no json", False), ("", False)],
)  # fmt: skip
def test_a_rule_is_given_the_checked_arguments_with_the_defaults(arguments: str, asks: bool) -> None:
    assert ASKED.ask(send, arguments) is asks


@pytest.mark.parametrize("amount", ["NaN", '"nan"', "-Infinity", "1e999", '"-inf"', "[1]"])
async def test_a_number_that_is_none_does_not_slip_through_a_rule(amount: str) -> None:
    """It is neither more nor less than any limit, so it must not reach the tool either."""
    paid: list[float] = []

    @tool(approval=lambda arguments: arguments["amount"] > 100)
    async def pay(amount: float) -> None:
        """Pay."""
        paid.append(amount)

    result = await pay.call(f'{{"amount": {amount}}}', CONTEXT)
    assert (result.failed, paid) == (True, [])


class Payment(BaseModel):
    amount: float
    most: float = math.inf
    """The type itself may say what JSON cannot."""


@dataclass
class Coin:
    amount: float
    most: float = math.inf


class Purse(TypedDict):
    amount: float


@pytest.mark.parametrize("amount", ["NaN", '"nan"', "-Infinity", "1e999"])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (Payment, '{"amount": %s}'), (Payment, '{"amount": 1, "most": %s}'), (Coin, '{"amount": %s}'),
        (Purse, '{"amount": %s}'), (list[Payment], '[{"amount": 1}, {"amount": %s}]'), (list[float], "[1, %s]"),
        (dict[str, Coin], '{"a": {"amount": %s}}'), (tuple[float, ...], "[%s]"), (set[float], "[%s]"),
        (Decimal, "%s"), (list[complex], "[%s]"), (float | str, "%s"),
    ],
)  # fmt: skip
async def test_nor_does_one_that_lies_deeper(kind: Any, shape: str, amount: str) -> None:
    paid: list[object] = []

    async def pay(what: kind) -> None:
        """Pay."""
        paid.append(what)

    result = await tool(pay).call(f'{{"what": {shape % amount}}}', CONTEXT)
    if (kind, amount) == (float | str, '"nan"'):
        assert paid == ["nan"]  # a text is a text
    else:
        assert (result.failed, paid) == (True, [])
    await tool(pay).call(f'{{"what": {shape % 12.5}}}', CONTEXT)
    assert paid


@pytest.mark.parametrize("written", ["NaN", "[1e999]", '{"a": [{"b": -Infinity}]}'])
async def test_nor_does_one_in_what_may_be_anything(written: str) -> None:
    @tool(approval=lambda _: True)
    async def pay(what: Any) -> None:
        """Pay."""

    assert ASKED.ask(pay, f'{{"what": {written}}}') is False
    result = await pay.call(f'{{"what": {written}}}', CONTEXT)
    assert "what: JSON has no NaN and no infinite numbers" in result.text


@pytest.mark.parametrize(
    "arguments",
    [
        '{"amount": 1, "amount": 500}', '{"amount": 1, "am\\u006funt": 500}', '{"amount": "500"}', '{"amount": 5e2}',
        '{"amount": 500.0}', ' \n{"amount":500}', '{"amount": "5_00"}',
    ],
)  # fmt: skip
async def test_a_rule_sees_what_the_tool_is_given(arguments: str) -> None:
    seen: list[object] = []

    def is_much(arguments: Mapping[str, Any]) -> bool:
        seen.append(arguments["amount"])
        return bool(arguments["amount"] > 100)

    @tool(approval=is_much)
    async def pay(amount: int) -> None:
        """Pay."""
        seen.append(amount)

    assert ASKED.ask(pay, arguments) is True
    await pay.call(arguments, CONTEXT)
    assert seen == [500, 500]


def test_an_operator_goes_before_the_author() -> None:
    assert ApprovalRules({"send": "always"}).ask(send, '{"text": "hi"}')
    assert not ApprovalRules({"send": "never"}).ask(send, '{"text": "hello you"}')
    assert not ApprovalRules({"other": "always"}).ask(send, '{"text": "hi"}')
    assert not ASKED.ask(None, "{}")


def test_a_rule_that_fails_asks_and_one_that_waits_is_refused(logged: list[dict[str, Any]]) -> None:
    def broken(text: str) -> str:
        """Break."""
        return text

    def rule(arguments: Any) -> bool:
        raise LookupError(arguments["text"])

    made: Tool[..., Any] = tool(approval=rule)(broken)
    assert made.asks('{"text": "a secret"}')
    assert [event["error"] for event in logged] == ["LookupError"]
    assert "a secret" not in str(logged)

    async def slow(arguments: Any) -> bool:
        return bool(arguments)

    with pytest.raises(ConfigError, match="plain function"):
        tool(approval=slow)(broken)  # type: ignore[arg-type]


CALL = '!tool send {"text": "hello you"}'


async def paused() -> Paused:
    last = await outcome(run(CALL))
    assert isinstance(last, Paused)
    assert SENT == []
    return last


async def goes_on(verdict: Verdict, reason: str | None = None) -> Ended:
    stopped = await paused()
    answers = {part.call_id: answered(part, verdict, reason) for part in stopped.calls}
    earlier = Earlier(parts=stopped.parts, steps=stopped.steps, usage=stopped.usage, answers=answers)
    last = await outcome(run(CALL, earlier=earlier))
    assert isinstance(last, Ended)
    assert last.usage.input_tokens > (stopped.usage or Usage()).input_tokens
    return last


async def test_what_was_allowed_is_carried_out_and_told_to_the_model() -> None:
    ended = await goes_on("approved")
    assert SENT == ["hello you"]
    assert [part.status for part in ended.parts if isinstance(part, ToolPart)] == ["done"]
    assert "Sent hello you." in ended.text


async def test_what_was_denied_is_told_to_the_model_with_the_reason() -> None:
    ended = await goes_on("denied", "Not to him.")
    assert SENT == []
    assert [part.status for part in ended.parts if isinstance(part, ToolPart)] == ["cancelled"]
    assert "Not to him." in ended.text


async def test_what_was_allowed_is_not_begun_by_a_run_that_was_stopped_meanwhile() -> None:
    stopped = await paused()
    answers = {part.call_id: answered(part, "approved") for part in stopped.calls}
    again = run(CALL, earlier=Earlier(parts=stopped.parts, steps=1, usage=None, answers=answers))
    again.cancel()
    ended = await outcome(again)
    assert isinstance(ended, Ended)
    assert (ended.code, SENT) == ("cancelled", [])


async def test_where_nobody_can_be_asked_it_is_not_done() -> None:
    for rules in (NOBODY, structs.replace(ApprovalRules({"send": "always"}), people=False)):
        ended = await outcome(run(CALL, rules))
        assert isinstance(ended, Ended)
        assert NOBODY_TO_ASK in ended.text
        assert SENT == []

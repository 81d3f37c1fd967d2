"""Runs of cases: what is kept, what is asked again, and what a crash in the middle leaves."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.evals.cases import EvalCase
from antiphon.assistants.evals.checks import Contains, Python
from antiphon.assistants.evals.evaluation import EvalResult, Evaluation, Key, ResultFile
from antiphon.assistants.guardrails import pattern
from antiphon.assistants.prompts import Prompt, PromptManager
from antiphon.assistants.state import State
from antiphon.assistants.trial import Trials
from antiphon.errors import ModuleError, ValidationError
from antiphon.providers.registry import ProviderRegistry
from antiphon.testing.models import ScriptedModel
from antiphon.tools.base import tool
from tests.unit.assistants.evals.test_checks import HERE

MODEL = "scripted:one"


def case(text: str, *checks: Any, **fields: Any) -> EvalCase:
    return EvalCase(id=text, input=text, checks=checks, **fields)


def evaluation(trials: Trials, **options: Any) -> Evaluation:
    return Evaluation(trials, Assistant("guide", instructions="Be brief.", **options), judge=MODEL)


async def test_each_case_is_asked_of_each_model_as_often_as_wanted(trials: Trials, model: ScriptedModel) -> None:
    seen: list[EvalResult] = []
    cases = [case("!echo yes", Contains(value="yes")), case("!echo no", Contains(value="yes"))]
    results = await evaluation(trials).run(cases, ["demo", MODEL], repeat=2, keep=seen.append)
    assert [(each.id, each.model, each.run, each.passed) for each in results] == [
        (text, by, run, text == "!echo yes")
        for text in ("!echo yes", "!echo no")
        for by in ("demo", MODEL)
        for run in (1, 2)
    ]
    assert sorted(seen, key=lambda each: each.key) == sorted(results, key=lambda each: each.key)
    assert len(model.requests) == 4
    assert [message.text for message in model.requests[0].messages] == ["Be brief.", "!echo yes"]


async def test_no_more_run_at_once_than_allowed(trials: Trials) -> None:
    running = most = 0

    three = asyncio.Barrier(3)

    @tool
    async def wait() -> str:
        """Waits until three are here."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await three.wait()
        running -= 1
        return "done"

    cases = [EvalCase(id=str(number), input="!tool wait {}") for number in range(12)]
    await evaluation(trials, tools=[wait]).run(cases, ["demo"], concurrency=3)
    assert most == 3


async def test_what_cannot_be_judged_is_an_error_and_the_others_go_on(trials: Trials, model: ScriptedModel) -> None:
    model.fails("server").says("fine")
    broken = Python(value=f"{HERE}:fails")
    first, second = await evaluation(trials).run([case("a"), case("b", broken)], [MODEL], concurrency=1)
    assert (first.status, first.passed, bool(first.error)) == ("refused", False, True)
    assert (second.status, second.passed, second.error) == ("answered", False, None)
    assert second.checks[0].reason == "python failed itself: ZeroDivisionError: "


async def test_state_is_there_for_the_tools(trials: Trials) -> None:
    class Basket(State):
        items: list[str]

    @tool
    async def look(basket: Basket) -> str:
        """Looks into the basket."""
        return ", ".join(basket.items)

    asked = case("!tool look {}", Contains(value="tea, milk"), state={"Basket": {"items": ["tea", "milk"]}})
    (result,) = await evaluation(trials, tools=[look]).run([asked], ["demo"])
    assert (result.passed, result.tools) == (True, ("look",))


async def test_an_unknown_model_is_an_error_of_the_caller(trials: Trials) -> None:
    with pytest.raises(ModuleError):
        await evaluation(trials).run([case("a")], ["nobody:new"])


async def test_a_run_that_is_cut_is_gone_on_from(trials: Trials, tmp_path: Path) -> None:
    path, cases = tmp_path / "out.jsonl", [case(f"!echo {number}") for number in range(5)]
    kept = ResultFile(path)
    seen = 0

    def keep(result: EvalResult) -> None:
        nonlocal seen
        kept.add(result)
        seen += 1
        if seen == 3:
            task.cancel()

    task = asyncio.ensure_future(evaluation(trials).run(cases, ["demo"], concurrency=1, keep=keep))
    with pytest.raises(asyncio.CancelledError):
        await task
    kept.close()
    with path.open("ab") as file:
        file.write(b'{"model": "demo", "id": "torn')
    again = ResultFile(path)
    assert len(again.known) == 3
    rest = await evaluation(trials).run(cases, ["demo"], done=again.known, keep=again.add)
    again.close()
    assert [result.id for result in rest] == ["!echo 3", "!echo 4"]
    last = ResultFile(path)
    last.close()
    assert len(last.known) == len(path.read_bytes().splitlines()) == 5


async def test_what_was_changed_is_asked_again(trials: Trials) -> None:
    (one,) = await evaluation(trials).run([case("a")], ["demo"])
    assert await evaluation(trials).run([case("a")], ["demo"], done={one.key}) == []
    assert await evaluation(trials).run([case("a", Contains(value="b"))], ["demo"], done={one.key})
    other = Evaluation(trials, Assistant("guide", instructions="Be long."), judge=MODEL)
    assert await other.run([case("a")], ["demo"], done={one.key})


@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": 0.5},
        {"output": {"type": "object"}},
        {"strategy": "brief"},
        {"guardrails": [pattern("no digits", r"\d")]},
        {"team": [Assistant("helper", description="Helps.", instructions="Help.")]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_assistant_is_another_key(trials: Trials, changed: dict[str, Any]) -> None:
    keys = [list(evaluation(trials, **options).keys([case("a")], ["demo"])) for options in ({}, changed, changed)]
    assert keys[0] != keys[1] == keys[2]


def test_another_text_of_a_template_is_another_key() -> None:
    guide = Assistant("guide", instructions=Prompt("tone"))
    made: list[Key] = []
    for text in ("Be kind. It is {date}.", "Be brief. It is {date}."):
        prompts = PromptManager()
        prompts.register("tone", text)
        trials = Trials(ProviderRegistry(environ={}, plugged=()), prompts=prompts)
        made += Evaluation(trials, guide, judge=MODEL).keys([case("a")], ["demo"])
    assert made[0] != made[1]


def test_of_two_runs_one_has_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = ResultFile(path)
    with pytest.raises(ValidationError, match="Another run adds its results"):
        ResultFile(path)
    first.close()
    ResultFile(path).close()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(before := msgspec.json.encode(case("a")) + b"\n")
    with pytest.raises(ValidationError, match="something else than results"):
        ResultFile(path)
    assert path.read_bytes() == before
    with pytest.raises(ValidationError, match="cannot be written"):
        ResultFile(tmp_path)

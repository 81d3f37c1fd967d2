"""Answers of models side by side: what was said, which tools were called, what it took."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon.assistants.trial import Trial
from antiphon.cli.printable import printable
from antiphon.conversation.replay import Original
from antiphon.domain import ToolPart, Usage

_NARROWEST = 30
"""Characters of a column of text; where there is less room the answers stand below one another."""

_COMPARED = 1_000_000
"""Pairs of words; beyond that, words that come again and again are not compared, which would take minutes."""


class Shown(Struct, frozen=True, kw_only=True):
    """One answer, as people see it and as programs read it."""

    model: str
    status: str
    text: str
    tools: tuple[ToolPart, ...]
    usage: Usage
    elapsed_ms: float | None
    first_ms: float | None = None
    reason: str | None = None

    @property
    def cost(self) -> str:
        return cost_in_words(self.usage.cost)


def cost_in_words(cost: float | None) -> str:
    return "unknown" if cost is None else f"${cost:.6f}"


def as_it_was(original: Original) -> Shown:
    record, answer = original.past.record, original.answer
    return Shown(
        model=record.model or "",
        status=record.outcome,
        text=answer.text if answer else "",
        tools=original.calls,
        usage=record.usage,
        elapsed_ms=record.elapsed_ms,
        reason=record.reason,
    )


def as_it_is(trial: Trial) -> Shown:
    return Shown(
        model=trial.model,
        status=trial.ended.status,
        text=trial.ended.text,
        tools=trial.calls,
        usage=trial.ended.usage,
        elapsed_ms=trial.elapsed_ms,
        first_ms=trial.first_ms,
        reason=trial.ended.reason,
    )


def as_data(original: Original, answers: Sequence[Shown]) -> dict[str, Any]:
    turn = original.past.turn
    return {
        "turn_id": turn.id,
        "conversation_id": turn.conversation_id,
        "ticket": turn.ticket,
        "assistant": original.assistant.name,
        "question": turn.text,
        "original": msgspec.to_builtins(answers[0]),
        "answers": msgspec.to_builtins(answers[1:]),
    }


def show(console: Console, question: str, answers: Sequence[Shown]) -> None:
    """The first of them is the one that was given then; what is said otherwise is marked in the others."""
    console.print(Text(f"{printable(question)}\n", "bold"))
    if console.width // len(answers) >= _NARROWEST:
        table = Table(expand=True)
        for answer, title in zip(answers, _titles(answers), strict=True):
            table.add_column(Text(f"{title}\n{printable(answer.model)}"), ratio=1, overflow="fold")
        table.add_row(*(_text(answers[0], answer) for answer in answers), end_section=True)
        table.add_row(*map(_facts, answers))
        console.print(table)
        return
    for answer, title in zip(answers, _titles(answers), strict=True):
        console.print(Text(f"{title}: {printable(answer.model)}", "bold cyan"))
        console.print(_text(answers[0], answer))
        console.print(_facts(answer))
        console.print()


def _titles(answers: Sequence[Shown]) -> Iterable[str]:
    yield "then"
    yield from (f"again, {number}" if len(answers) > 2 else "again" for number in range(1, len(answers)))


def _text(first: Shown, answer: Shown) -> Text:
    """Its words; those that the first one does not have stand out."""
    if answer is first or answer.text == first.text:
        return Text(printable(answer.text))
    before, words, said = _words(first.text), _words(answer.text), Text()
    long = len(before) * len(words) > _COMPARED
    for kind, _, _, start, end in difflib.SequenceMatcher(a=before, b=words, autojunk=long).get_opcodes():
        said.append("".join(words[start:end]), "" if kind == "equal" else "green")
    return said


def _words(text: str) -> list[str]:
    """With the spaces behind them, so that they can be put together again."""
    return [word + " " for word in printable(text).split(" ")]


def _facts(answer: Shown) -> Text:
    usage, facts = answer.usage, Text(style="dim")
    facts.append(f"{answer.status}{'' if answer.reason is None else f': {printable(answer.reason)}'}\n")
    about = "about " if usage.estimated else ""
    facts.append(f"{about}{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out; cost {answer.cost}\n")
    if answer.elapsed_ms is not None:
        first = "" if answer.first_ms is None else f", the first word after {answer.first_ms:,.0f} ms"
        facts.append(f"{answer.elapsed_ms:,.0f} ms{first}\n")
    called = printable(", ".join(f"{part.name}({part.arguments}) {part.status}" for part in answer.tools))
    facts.append(f"tools: {called or 'none'}")
    return facts

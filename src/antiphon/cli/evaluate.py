"""`antiphon eval`: cases asked of models, the results kept as they come, and what they come to."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing, nullcontext

from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon.assistants.evals.cases import EvalCase, read_cases, write_cases
from antiphon.assistants.evals.checks import Judge
from antiphon.assistants.evals.evaluation import EvalResult, Evaluation, ResultFile
from antiphon.assistants.evals.summary import ModelSummary, summaries
from antiphon.cli.answers import cost_in_words
from antiphon.cli.aside import assistant_called, house_aside, in_memory
from antiphon.cli.options import EvalOptions
from antiphon.cli.printable import print_json, printable
from antiphon.conversation.replay import Replay, as_case
from antiphon.errors import NotFoundError
from antiphon.runtime.loops import run
from antiphon.storage.open import to_read
from antiphon.workspace import Workspace

_NAMED = 20
"""Cases that went wrong and are named; all of them are in --out."""


def evaluate(options: EvalOptions) -> None:
    """Exits with 1 when a model is right less often than `fail_under`, with 130 when it was stopped."""
    if options.from_conversation is not None:
        _export(options, options.from_conversation)
        return
    house = house_aside(options.config, in_memory, options.debug)
    cases = read_cases(options.file)
    results, stopped = run(_evaluate(house, cases, options))
    found = summaries(results)
    if options.as_json:
        print_json({"models": found, "results": results})
    elif results:
        _show(Console(highlight=False), found, results)
    if stopped:
        left = (
            " Ask the rest with the same --out." if options.out else " With --out, results are kept and gone on from."
        )
        sys.stderr.write(f"antiphon: stopped with {len(results)} results.{left}\n")
        sys.exit(130)
    if options.fail_under is not None and any(each.rate < options.fail_under for each in found):
        sys.exit(1)


async def _evaluate(house: Workspace, cases: Sequence[EvalCase], options: EvalOptions) -> tuple[list[EvalResult], bool]:
    """The results in the order of the cases, and whether somebody stopped it."""
    kept = ResultFile(options.out) if options.out else None
    with closing(kept) if kept else nullcontext():
        async with house.aside() as replay:
            assistant = assistant_called(options.assistant, house)
            models = options.models or [assistant.model or house.default_model]
            for model in (*models, *_judges(cases)):
                house.providers.resolve(model)
            evaluation = Evaluation(replay.trials, assistant, judge=options.judge or house.default_model)
            wanted = list(evaluation.keys(cases, models, repeat=options.repeat))
            known = {key: each for key, each in kept.known.items() if each.error is None} if kept else {}
            found = {key: known[key] for key in wanted if key in known}

            def keep(result: EvalResult) -> None:
                found[result.key] = result
                if kept is not None:
                    kept.add(result)

            stopped = False
            try:
                await evaluation.run(
                    cases, models, repeat=options.repeat, concurrency=options.concurrency, done=known, keep=keep
                )
            except asyncio.CancelledError:
                stopped = True  # Ctrl-C: what is there is shown
    return [found[key] for key in wanted if key in found], stopped


def _judges(cases: Sequence[EvalCase]) -> list[str]:
    checks = (check for case in cases for check in case.checks)
    return [check.model for check in checks if isinstance(check, Judge) and check.model is not None]


# --- cases out of a conversation ----------------------------------------------------------------------------------


def _export(options: EvalOptions, conversation_id: str) -> None:
    house = house_aside(options.config, to_read, options.debug)
    cases = run(_cases(house, conversation_id))
    count = write_cases(options.file, cases)
    sys.stdout.write(f"{count} cases written to {options.file}.\n")


async def _cases(house: Workspace, conversation_id: str) -> list[EvalCase]:
    async with house.aside() as replay:
        cases = [case async for case in _turns(house, replay, conversation_id)]
    if not cases:
        raise NotFoundError(f"No conversation {conversation_id[:80]!r} has a turn that a model answered.")
    return cases


async def _turns(house: Workspace, replay: Replay, conversation_id: str) -> AsyncIterator[EvalCase]:
    after = ""
    while page := await house.store.turns.page(conversation_id=conversation_id, after=after):
        for past in page:
            if past.record.outcome == "answered":
                yield as_case(await replay.original(past))
        after = page[-1].turn.id


# --- for people ---------------------------------------------------------------------------------------------------


def _show(console: Console, found: Sequence[ModelSummary], results: Sequence[EvalResult]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Model", "Right", "95 %", "Checks", "Mean", "Tokens in/out", "Cost", "Errors"):
        table.add_column(title, justify="left" if title in {"Model", "Checks"} else "right", overflow="fold")
    for each in found:
        checks = ", ".join(f"{kind} {right}/{count}" for kind, (right, count) in each.checks.items())
        table.add_row(
            each.model,
            f"{each.passed}/{each.answers} {each.rate:.0%}",
            f"{each.low:.0%}–{each.high:.0%}",
            checks,
            f"{each.mean_ms:,.0f} ms",
            f"{each.mean_input_tokens:,.0f}/{each.mean_output_tokens:,.0f}",
            cost_in_words(each.cost),
            str(each.errors),
        )
    console.print(table)
    wrong = [result for result in results if not result.passed]
    for result in wrong[:_NAMED]:
        console.print(Text(printable(f"\n✗ {result.id}, {result.model}"), "bold red"))
        for reason in (result.error, *(check.reason for check in result.checks)):
            if reason is not None:
                console.print(Text(printable(f"  {reason}")))
    if len(wrong) > _NAMED:
        console.print(f"\nand {len(wrong) - _NAMED} more that are not right.")

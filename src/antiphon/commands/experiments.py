"""`/experiments`: what came of prompts that are compared, for operators."""

from collections.abc import Iterator, Sequence

from antiphon.assistants.experiments import Experiments
from antiphon.assistants.findings import Outcomes, Report
from antiphon.commands.base import Command, CommandCall, CommandOutcome
from antiphon.storage.spending import NANOS

_HEAD = (
    "| Variant | People | Turns | 👍 | 👎 | Good, with its 95 % interval | Beside the first | Median | Cost |",
    "| --- | ---: | ---: | ---: | ---: | --- | --- | ---: | ---: |",
)


async def run(call: CommandCall, experiments: Experiments) -> CommandOutcome:
    if not call.person.operator:
        return CommandOutcome(text="Only an operator of this house sees its experiments.", refused=True)
    reports = [await experiments.report(call.argument)] if call.argument else await experiments.reports()
    if not reports:
        return CommandOutcome(text="There is no experiment here. The guide on experiments says how to begin one.")
    return CommandOutcome(text="\n\n".join("\n".join(_lines(report)) for report in reports))


def _lines(report: Report) -> Iterator[str]:
    until = f" until {report.until:%Y-%m-%d %H:%M} UTC" if report.until and report.state == "running" else ""
    winner = f", for `{report.winner}`" if report.winner else ""
    yield f"**{report.name}** is {report.state}{until}{winner}."
    yield ""
    yield from _HEAD
    yield from (_row(outcomes) for outcomes in report.variants)


def _row(outcomes: Outcomes) -> str:
    tally = outcomes.tally
    median = "" if tally.median_ms is None else f"{tally.median_ms / 1000:.1f} s"
    cost = "unknown" if tally.unpriced else f"${tally.nanos / NANOS:.4f}"
    cells: Sequence[object] = (
        f"`{tally.variant}`",
        tally.people,
        tally.turns,
        tally.up,
        tally.down,
        _share(outcomes),
        outcomes.finding if outcomes.p is None else f"{outcomes.finding} (p = {outcomes.p:.3f})",
        median,
        cost if tally.turns else "",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _share(outcomes: Outcomes) -> str:
    if outcomes.success is None or outcomes.interval is None:
        return ""
    low, high = outcomes.interval
    return f"{outcomes.success:.0%} ({low:.0%} to {high:.0%})"


command = Command(
    name="experiments", usage="/experiments [name]", summary="shows what came of prompts that are compared.", run=run
)

"""What came of an experiment, for people: shares with their intervals, and what differs from the first variant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from antiphon.assistants.prompts import Experiment
from antiphon.assistants.significance import Counted, compare, holm, wilson
from antiphon.storage.experiments import Tally

LEVEL = 0.05
"""A difference whose corrected p value is lower is shown as one."""

Finding = Literal["first", "not enough data", "no difference shown", "better", "worse"]
"""What is known of a variant beside the first one."""

State = Literal["running", "paused", "over", "decided", "gone"]
"""`gone`: nobody defines it any more, only its results are left."""


class Outcomes(Struct, frozen=True, kw_only=True):
    """One variant. `weight` is None for one that is gone; `success` is the share of thumbs up among all thumbs, with
    its 95 % interval, None without a thumb; `p` is that of the difference to the first variant, corrected by Holm's
    method for all that are compared, None where there is not enough to tell."""

    tally: Tally
    weight: float | None
    success: float | None
    interval: tuple[float, float] | None
    difference: float | None
    p: float | None
    finding: Finding


class Report(Struct, frozen=True, kw_only=True):
    """An experiment with the outcomes of its variants, the first one first."""

    name: str
    state: State
    until: datetime | None
    winner: str | None
    variants: tuple[Outcomes, ...]


def report_of(name: str, experiment: Experiment | None, tallies: Sequence[Tally], at: datetime) -> Report:
    """What came of an experiment by now; of one that is gone (None) what is stored, by name."""
    stored = {tally.variant: tally for tally in tallies}
    weights = {variant.name: variant.weight for variant in experiment.variants} if experiment else {}
    names = [*weights, *sorted(stored.keys() - weights.keys())]
    ordered = [stored.get(variant) or _nothing(variant) for variant in names]
    return Report(
        name=name,
        state=_state(experiment, at),
        until=experiment.until if experiment else None,
        winner=experiment.winner if experiment else None,
        variants=tuple(_outcomes(ordered, weights)),
    )


def _state(experiment: Experiment | None, at: datetime) -> State:
    if experiment is None:
        return "gone"
    if experiment.winner is not None:
        return "decided"
    if experiment.settled(at) is None:
        return "running"
    return "paused" if experiment.paused else "over"


def _outcomes(tallies: Sequence[Tally], weights: dict[str, float]) -> list[Outcomes]:
    counts = [_counted(tally) for tally in tallies]
    first = counts[0]
    found = [compare(first, each) if first and each else None for each in counts[1:]]
    corrected = iter(holm([each.p for each in found if each is not None]))
    outcomes = []
    for place, (tally, counted) in enumerate(zip(tallies, counts, strict=True)):
        beside = found[place - 1] if place else None
        p = next(corrected) if beside is not None else None
        difference = beside.difference if beside is not None else None
        outcomes.append(
            Outcomes(
                tally=tally,
                weight=weights.get(tally.variant),
                success=counted.share if counted else None,
                interval=wilson(*counted.effective) if counted else None,
                difference=difference,
                p=p,
                finding=_finding(difference, p) if place else "first",
            )
        )
    return outcomes


def _finding(difference: float | None, p: float | None) -> Finding:
    if difference is None or p is None:
        return "not enough data"
    if p >= LEVEL:
        return "no difference shown"
    return "better" if difference > 0 else "worse"


def _counted(tally: Tally) -> Counted | None:
    if not tally.judges:
        return None
    return Counted(
        judges=tally.judges,
        good=tally.up,
        all=tally.up + tally.down,
        good_good=tally.up_up,
        good_all=tally.up_all,
        all_all=tally.all_all,
    )


def _nothing(variant: str) -> Tally:
    counted = dict.fromkeys(Tally.__struct_fields__[1:-2], 0)
    return Tally(variant=variant, **counted)

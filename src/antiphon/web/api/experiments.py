"""`/api/v1/experiments`: prompts that are compared, and what came of it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from antiphon.assistants.experiments import Experiments
from antiphon.assistants.findings import Finding, Outcomes, Report, State
from antiphon.domain import Person
from antiphon.storage.spending import NANOS
from antiphon.web.api.shapes import Count, Elapsed, Shape
from antiphon.web.auth import CurrentPerson, operators_only
from antiphon.web.openapi import failures

Share = Annotated[float, Field(ge=0, le=1)]
ExperimentName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", examples=["tone"])]


class VariantShape(Shape):
    """What came of one prompt."""

    name: str = Field(examples=["brief"])
    weight: float | None = Field(ge=0, description="Null for one that is gone.")
    people: Count
    turns: Count
    answered: Count
    refused: Count
    interrupted: Count
    up: Count = Field(description="Thumbs up.")
    down: Count = Field(description="Thumbs down.")
    judges: Count = Field(description="People who have given these.")
    success: Share | None = Field(description="Of all thumbs those up; null without any.")
    interval: tuple[Share, Share] | None = Field(description="95 % interval of `success`.")
    difference: float | None = Field(ge=-1, le=1, description="Of `success` to that of the first variant.")
    p: Share | None = Field(description="Of the difference, corrected for several variants; null: not enough data.")
    finding: Finding = Field(description="Beside the first variant.")
    mean_ms: Elapsed | None = Field(description="Of answered turns.")
    median_ms: Elapsed | None = Field(description="Of answered turns.")
    input_tokens: Count
    output_tokens: Count
    cost: float | None = Field(description="US dollars; null when no price is known.")
    unpriced_turns: Count = Field(description="Turns of which nobody knows the price; `cost` is without them.")


class ExperimentShape(Shape):
    """Prompts that are compared."""

    name: str = Field(examples=["tone"])
    state: State = Field(description="`gone`: nobody defines it any more, and its results are left.")
    until: datetime | None
    winner: str | None
    variants: list[VariantShape] = Field(description="The one that others are compared with first.")


class ExperimentList(Shape):
    items: list[ExperimentShape]


def experiment_routes(experiments: Experiments, current: CurrentPerson) -> APIRouter:
    """The routes over `experiments`, for operators."""
    routes = APIRouter(prefix="/experiments", tags=["experiments"], responses=failures(403, 422, 503))
    Operator = Annotated[Person, Depends(operators_only(current))]  # noqa: N806 - a type

    @routes.get("")
    async def list_experiments(_: Operator) -> ExperimentList:
        """All experiments by name, with what came of them by now."""
        return ExperimentList(items=[_shown(report) for report in await experiments.reports()])

    @routes.get("/{name}", responses=failures(404))
    async def get_experiment(_: Operator, name: ExperimentName) -> ExperimentShape:
        """One experiment, with what came of it by now."""
        return _shown(await experiments.report(name))

    return routes


def _shown(report: Report) -> ExperimentShape:
    return ExperimentShape(
        name=report.name,
        state=report.state,
        until=report.until,
        winner=report.winner,
        variants=[_variant(outcomes) for outcomes in report.variants],
    )


def _variant(outcomes: Outcomes) -> VariantShape:
    tally = outcomes.tally
    priced = tally.turns > tally.unpriced or not tally.turns
    return VariantShape(
        name=tally.variant,
        weight=outcomes.weight,
        people=tally.people,
        turns=tally.turns,
        answered=tally.answered,
        refused=tally.refused,
        interrupted=tally.interrupted,
        up=tally.up,
        down=tally.down,
        judges=tally.judges,
        success=outcomes.success,
        interval=outcomes.interval,
        difference=outcomes.difference,
        p=outcomes.p,
        finding=outcomes.finding,
        mean_ms=tally.mean_ms,
        median_ms=tally.median_ms,
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        cost=tally.nanos / NANOS if priced else None,
        unpriced_turns=tally.unpriced,
    )

"""What results come to: how many answers were right, how sure that is, and what they took."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from antiphon.assistants.evals.evaluation import EvalResult
from antiphon.assistants.significance import wilson


class ModelSummary(Struct, frozen=True, kw_only=True):
    """Of one model. `low` and `high` bound the share that is right with 95 % certainty; `errors` could not be judged
    and count as wrong. `checks` are (right, all) by kind; means are of an answer; `cost` is None where some is unknown.
    """

    model: str
    answers: int
    passed: int
    rate: float
    low: float
    high: float
    errors: int
    checks: dict[str, tuple[int, int]]
    mean_ms: float
    mean_input_tokens: float
    mean_output_tokens: float
    cost: float | None


def summaries(results: Iterable[EvalResult]) -> list[ModelSummary]:
    """One for each model, in the order in which they come."""
    by_model: dict[str, list[EvalResult]] = {}
    for result in results:
        by_model.setdefault(result.model, []).append(result)
    return [_summary(model, found) for model, found in by_model.items()]


def _summary(model: str, results: Sequence[EvalResult]) -> ModelSummary:
    count, passed = len(results), sum(result.passed for result in results)
    low, high = wilson(passed, count)
    checks: dict[str, tuple[int, int]] = {}
    for check in (check for result in results for check in result.checks):
        right, everything = checks.get(check.type, (0, 0))
        checks[check.type] = (right + check.passed, everything + 1)
    costs = [result.cost for result in results if result.error is None or result.cost is not None]
    known = [cost for cost in costs if cost is not None]
    return ModelSummary(
        model=model,
        answers=count,
        passed=passed,
        rate=passed / count,
        low=low,
        high=high,
        errors=sum(result.error is not None for result in results),
        checks=checks,
        mean_ms=sum(result.elapsed_ms for result in results) / count,
        mean_input_tokens=sum(result.input_tokens for result in results) / count,
        mean_output_tokens=sum(result.output_tokens for result in results) / count,
        cost=sum(known) if len(known) == len(costs) else None,
    )

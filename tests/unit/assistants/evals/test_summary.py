"""What results come to."""

from typing import Any

from antiphon.assistants.evals.evaluation import Checked, EvalResult
from antiphon.assistants.evals.summary import summaries


def result(passed: bool, **fields: Any) -> EvalResult:
    values: dict[str, Any] = {"model": "demo", "id": "a", "run": 1, "digest": "", "status": "answered", "text": ""}
    return EvalResult(**values | {"passed": passed} | fields)


def test_a_model_has_its_share_its_checks_and_what_it_took() -> None:
    checks = (Checked(type="contains", passed=True), Checked(type="regex", passed=False, reason="no"))
    first, other = summaries(
        [
            result(True, checks=checks[:1], cost=0.5, elapsed_ms=100, input_tokens=10),
            result(False, checks=checks, cost=0.25, elapsed_ms=300, output_tokens=4),
            result(False, error="busy"),
            result(True, model="other", cost=None),
        ]
    )
    assert (first.model, first.answers, first.passed, first.errors) == ("demo", 3, 1, 1)
    assert first.checks == {"contains": (2, 2), "regex": (0, 1)}
    assert (first.cost, round(first.mean_ms), round(first.mean_input_tokens)) == (0.75, 133, 3)
    assert (other.rate, other.cost) == (1.0, None)
    assert summaries([]) == []

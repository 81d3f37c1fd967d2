"""The page of what was measured is made of what was measured, and leaves nothing of it out."""

from typing import Any

from benchmarks import page as measured


def test_the_page_is_made_of_the_results(page: Any) -> None:
    assert page("docs/reference/performance.md").text == measured.page(), "run .venv/bin/python -m benchmarks.page"


def test_everything_that_was_measured_is_on_it() -> None:
    assert {path.stem for path in measured.RESULTS.glob("*.json")} <= set(measured.ORDER)

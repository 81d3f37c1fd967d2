"""The page of the protocol's rules is what the tests prove, and no rule is left without a test or a reason."""

from typing import Any

from antiphon.testing.conformance.rules import RULES
from tests.docs import protocol_page


def test_the_page_is_what_the_tests_prove(page: Any) -> None:
    again = "run .venv/bin/python -m tests.docs.protocol_page"
    assert page("docs/reference/protocol.md").text == protocol_page.page(), again


def test_marks_name_rules_that_there_are() -> None:
    assert set(protocol_page.proofs()) - set(RULES) == set()


def test_every_rule_has_a_test_or_a_reason() -> None:
    proved = set(protocol_page.proofs())
    assert set(RULES) - proved - set(protocol_page.REASONS) == set()
    assert proved & set(protocol_page.REASONS) == set(), "these reasons are out of date"

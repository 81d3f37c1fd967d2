"""The checks: one for a rule, found by ID or family, and the rules they belong to."""

import re

import pytest

from antiphon.testing.conformance.registry import all_checks, chosen
from antiphon.testing.conformance.rules import FAMILIES, RULES


def test_every_rule_belongs_to_a_family_and_says_one_sentence() -> None:
    for rule, statement in RULES.items():
        assert re.fullmatch(r"[A-Z][A-Z0-9]-\d+", rule)
        assert rule.partition("-")[0] in FAMILIES
        assert statement.endswith(".")
        assert len(statement) < 120, rule


def test_more_than_a_hundred_rules_can_be_asked_of_anybody() -> None:
    checks = all_checks()
    assert len(checks) > 100
    assert [check.rule for check in checks] == [rule for rule in RULES if rule in {each.rule for each in checks}]
    assert {check.rule for check in checks if check.slow} == {"HB-4", "HB-6", "LP-12"}
    assert all(check.statement == RULES[check.rule] for check in checks)


def test_our_decisions_are_few_and_apart() -> None:
    ours = {check.rule for check in all_checks() if check.level == "ours"}
    assert {"AU-3", "BN-6", "JN-7", "MS-10", "LM-1", "LP-10"} <= ours
    assert len(ours) < 25


def test_checks_are_chosen_by_id_and_family() -> None:
    assert [each.rule for each in chosen("ms-4, PS")] == ["MS-4", "PS-1", "PS-4", "PS-5"]
    with pytest.raises(ValueError, match="no check is called JN-99, XY: --list shows them all"):
        chosen("JN-1,JN-99,XY")

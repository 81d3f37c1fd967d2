"""What a run found, for people and for programs."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from antiphon.testing.conformance.registry import Check
from antiphon.testing.conformance.rules import FAMILIES
from antiphon.testing.conformance.runner import Verdict


def table(verdicts: Sequence[Verdict]) -> str:
    """One line for each family, then each failure with what was said, then the sum."""
    lines = [f"{'':2}  {'family':<22}{'passed':>8}{'failed':>8}{'not offered':>13}"]
    for letters, name in FAMILIES.items():
        of = [each for each in verdicts if each.rule.partition("-")[0] == letters]
        if of:
            count = Counter(each.outcome for each in of)
            lines.append(f"{letters}  {name:<22}{count['passed']:>8}{count['failed']:>8}{count['not offered']:>13}")
    for verdict in verdicts:
        if verdict.outcome == "failed":
            lines += ["", *_failure(verdict)]
    return "\n".join([*lines, "", summary(verdicts)])


def _failure(verdict: Verdict) -> list[str]:
    level = "" if verdict.level == "must" else " (our decision, no rule of Phoenix)"
    return [
        f"{verdict.rule}{level}: {verdict.statement}",
        f"   expected  {verdict.expected}",
        f"   received  {verdict.received}",
        *(f"      {line}" for line in verdict.transcript),
    ]


def summary(verdicts: Sequence[Verdict]) -> str:
    """The sum in one sentence."""
    failed = [each.rule for each in verdicts if each.outcome == "failed" and each.level == "must"]
    apart = [each.rule for each in verdicts if each.outcome == "failed" and each.level == "ours"]
    offered = sum(each.outcome != "not offered" for each in verdicts)
    passed = sum(each.outcome == "passed" for each in verdicts)
    text = f"{passed} of {offered} rules hold"
    text += (
        f", {len(verdicts) - offered} are of parts that the server does not offer" if offered < len(verdicts) else ""
    )
    text += f"; broken: {', '.join(failed)}" if failed else ""
    return text + (f"; other than we decided: {', '.join(apart)}" if apart else "") + "."


def as_json(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a JSON list."""
    return msgspec.json.format(msgspec.json.encode(list(verdicts)), indent=2).decode()


def listing(checks: Sequence[Check]) -> str:
    """The checks with their rules, one a line."""
    return "\n".join(
        f"{each.rule:<6} {each.level:<5} {'slow' if each.slow else '':<5}{each.statement}" for each in checks
    )

"""What a run found, for people and for programs."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from antiphon.testing.conformance.registry import Check
from antiphon.testing.conformance.rules import FAMILIES
from antiphon.testing.conformance.runner import Finding


def table(findings: Sequence[Finding]) -> str:
    """One line for each family, then each failure with what was said, then the sum."""
    lines = [f"{'':2}  {'family':<22}{'passed':>8}{'failed':>8}{'not offered':>13}"]
    for letters, name in FAMILIES.items():
        of = [each for each in findings if each.rule.partition("-")[0] == letters]
        if of:
            count = Counter(each.outcome for each in of)
            lines.append(f"{letters}  {name:<22}{count['passed']:>8}{count['failed']:>8}{count['not offered']:>13}")
    for finding in findings:
        if finding.outcome == "failed":
            lines += ["", *_failure(finding)]
    return "\n".join([*lines, "", summary(findings)])


def _failure(finding: Finding) -> list[str]:
    level = "" if finding.level == "must" else " (our decision, no rule of Phoenix)"
    return [
        f"{finding.rule}{level}: {finding.statement}",
        f"   expected  {finding.expected}",
        f"   received  {finding.received}",
        *(f"      {line}" for line in finding.transcript),
    ]


def summary(findings: Sequence[Finding]) -> str:
    """The sum in one sentence."""
    failed = [each.rule for each in findings if each.outcome == "failed" and each.level == "must"]
    apart = [each.rule for each in findings if each.outcome == "failed" and each.level == "ours"]
    offered = sum(each.outcome != "not offered" for each in findings)
    passed = sum(each.outcome == "passed" for each in findings)
    text = f"{passed} of {offered} rules hold"
    text += (
        f", {len(findings) - offered} are of parts that the server does not offer" if offered < len(findings) else ""
    )
    text += f"; broken: {', '.join(failed)}" if failed else ""
    return text + (f"; other than we decided: {', '.join(apart)}" if apart else "") + "."


def as_json(findings: Sequence[Finding]) -> str:
    """The findings as a JSON list."""
    return msgspec.json.format(msgspec.json.encode(list(findings)), indent=2).decode()


def listing(checks: Sequence[Check]) -> str:
    """The checks with their rules, one a line."""
    return "\n".join(
        f"{each.rule:<6} {each.level:<5} {'slow' if each.slow else '':<5}{each.statement}" for each in checks
    )

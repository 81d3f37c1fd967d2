"""Makes `docs/reference/protocol.md` of the rules, the marks of the tests and the reasons below:

.venv/bin/python -m tests.docs.protocol_page
"""

import ast
from collections import defaultdict
from itertools import groupby
from pathlib import Path

from antiphon.testing.conformance.registry import all_checks
from antiphon.testing.conformance.rules import FAMILIES, RULES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "protocol.md"
OUTSIDE = "wire/test_conformance.py"

REASONS = {
    "MD-2": "internal to a server; MS-5, MS-6 and LV-1 are what is seen of it",
    "HB-7": "a habit of clients",
    "MS-6": "there is no such moment: a leave ends its channel at once",
    "LM-4": "Python frees what an idle channel does not hold",
    "PR-12": "a freedom, not a duty",
    "PS-3": "a way to build it; BC-3 and BC-5 are what comes of it",
    "TK-15": "one set holds all topics of a node, so there are no shards to agree on",
    "JS-12": "a habit of one client; LV-4 is what it needs",
}
"""Why no test proves a rule."""

HEAD = """# Protocol

The rules of the Phoenix protocol that the real-time part keeps, in our words, and the tests that prove each. What is
proved from outside can be asked of [any server](../guides/testing.md#does-a-server-speak-the-protocol) that runs
`examples/reference_room.py`. The sources are Phoenix 1.8.12, its JavaScript client, phoenix_pubsub, plug_crypto, the
clients of Supabase, and recordings of a running Phoenix. This page is made by `python -m tests.docs.protocol_page`.
"""


def proofs() -> dict[str, list[str]]:
    """The files with a mark of each rule, below `tests/`."""
    found = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for rule in _marks(ast.parse(path.read_text(encoding="utf-8"))):
            found[rule].add(path.relative_to(ROOT / "tests").as_posix())
    for check in all_checks():
        if not check.slow:
            found[check.rule].add(OUTSIDE)
    return {rule: sorted(files, key=lambda file: (file != OUTSIDE, file)) for rule, files in found.items()}


def _marks(tree: ast.Module) -> set[str]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    names = (call.args for call in calls if isinstance(call.func, ast.Name) and call.func.id == "rule")
    return {str(name.value) for args in names for name in args if isinstance(name, ast.Constant)}


def row(rule: str, files: list[str]) -> str:
    """One line of a table."""
    links = [
        f"[{'from outside' if file == OUTSIDE else Path(file).stem.removeprefix('test_')}](../../tests/{file})"
        for file in files
    ]
    status = "proved" if files else REASONS.get(rule, "not proved")
    return f"| {rule} | {RULES[rule]} | {status} | {', '.join(links)} |"


def page() -> str:
    """The whole page."""
    known = proofs()
    lines = [HEAD]
    for title, rules in groupby(RULES, key=lambda rule: FAMILIES[rule.partition("-")[0]]):
        lines += [f"## {title}\n", "| Rule | What holds | Status | Proved by |", "| --- | --- | --- | --- |"]
        lines += [*(row(rule, known.get(rule, [])) for rule in rules), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

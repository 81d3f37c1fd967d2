"""Which rule of the Phoenix protocol a test proves: the page `docs/reference/protocol.md` is made of these marks."""

import re

import pytest

ID = re.compile(r"[A-Z][A-Z0-9]-\d+")


def rule(*ids: str) -> pytest.MarkDecorator:
    """Marks a test with the IDs of the rules it proves, such as `@rule("JN-6", "JN-7")`."""
    wrong = [name for name in ids if not ID.fullmatch(name)]
    if wrong or not ids:
        raise ValueError(f"no ID of a rule: {wrong}")
    return pytest.mark.rule(*ids)

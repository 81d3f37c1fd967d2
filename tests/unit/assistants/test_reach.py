"""How far an expression has to see, told from its text."""

import math
import re

import pytest

from antiphon.assistants.reach import reach_of


@pytest.mark.parametrize(
    ("expression", "reach"),
    [
        ("", 0),
        ("forbidden", 9),
        (r"\bforbidden\b", 11),
        ("[a-z]{2,5}x", 6),
        ("acme-[a-z]{3,}", 8),
        ("acme-[a-z]{3,5}", 8),
        ("acme-(?:[a-z]{3,})", 8),
        ("acme(?:-[a-z]){3,5}", 14),
        ("a+b", math.inf),
        (r"a+\b", math.inf),
        ("(?:ab)+", math.inf),
        ("(?:a+|b){2}", math.inf),
        ("one|three|[0-9]*", 5),
        ("(?:a*){0}b", 1),
        ("(?i:ab)(?P<name>c)", 3),
        ("(?>ab)c++", 3),
        ("a(?=bc)", 3),
        ("a(?!b*)", math.inf),
        ("(?<=ab)c", 1),
        ("(?<!a{33})c", math.inf),
        ("^a", math.inf),
        ("a$", math.inf),
        (r"(a)\1", math.inf),
    ],
)
def test_a_reach_is_the_longest_match_that_is_needed(expression: str, reach: float) -> None:
    assert reach_of(expression, 32) == reach


def test_what_is_no_expression_is_said() -> None:
    with pytest.raises(re.error):
        reach_of("(", 32)

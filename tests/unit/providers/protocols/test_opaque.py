"""What only its vendor can read: kept under the name of a protocol, and given to no other."""

import pytest

from antiphon.providers.protocols.opaque import joined, sealed, unsealed


def test_a_part_comes_back_to_its_own_protocol_alone() -> None:
    kept = sealed("anthropic", ["A"])
    assert unsealed("anthropic", kept) == ["A"]
    assert unsealed("google", kept) is None


@pytest.mark.parametrize("old", [None, ["A"], "A", 5])
def test_what_was_kept_before_protocols_had_names_is_nobodys(old: object) -> None:
    assert unsealed("openai_chat", old) is None


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (None, {"x": [1]}, {"x": [1]}),
        ({"x": [1]}, None, {"x": [1]}),
        ({"x": [1]}, {"x": [2]}, {"x": [1, 2]}),
        ({"x": [1]}, {"y": [2]}, {"x": [1], "y": [2]}),
        ({"x": {"text": "s"}}, {"x": {"text": "t"}}, {"x": {"text": "t"}}),
        ("old", {"x": [2]}, {"x": [2]}),
        (None, None, None),
    ],
)
def test_the_parts_of_two_thoughts(first: object, second: object, both: object) -> None:
    assert joined(first, second) == both

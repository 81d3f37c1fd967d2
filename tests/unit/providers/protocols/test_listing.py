import json

import pytest

from antiphon.providers.protocols.listing import entries, window


@pytest.mark.parametrize("name", [None, 5, "", "n" * 201, "a\nb", "\x1b[2J", "\u202egpt", ["m"]])
def test_names_that_nobody_can_be_shown_are_left_out(name: object) -> None:
    body = json.dumps({"data": [{"id": name}, {"id": "m"}, {"name": "m"}, 5, None]}).encode()
    assert entries(body, "data", "id") == [{"id": "m"}]


def test_a_bare_list_is_one_where_vendors_have_that() -> None:
    assert entries(b'[{"id": "m"}]', "data", "id", bare=True) == [{"id": "m"}]
    with pytest.raises(ValueError, match="no list of models"):
        entries(b'[{"id": "m"}]', "data", "id")


def test_the_first_size_counts_that_is_one() -> None:
    assert window({"a": None, "b": "8k", "c": 0, "d": 8192, "e": 1}, "a", "b", "c", "d", "e") == 8192
    assert window({}, "a") is None

"""Queries as Phoenix reads them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.connect import decode_query, shown_headers


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a[b]=1", {"a": {"b": "1"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("token=user&vsn=2.0.0&token=session", {"token": "session", "vsn": "2.0.0"}),
        ("token=t&vsn=2.0.0&", {"token": "t", "vsn": "2.0.0"}),
        ("&&a=1", {"a": "1"}),
        ("a", {"a": ""}),
        ("a=%C3%A9+%2B", {"a": "é +"}),
        ("a%5Bb%5D=1", {"a": {"b": "1"}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("[a]=1", {"[a]": "1"}),
    ],
)
def test_tr_4_tr_5_nested_queries(query: str, params: dict[str, Any]) -> None:
    assert decode_query(query) == params


@pytest.mark.parametrize("query", ["a=%", "a=%zz", "%=1", "a=%ff", "a=%C3", "a" + "[b]" * 40 + "=1"])
def test_tr_13_malformed_queries(query: str) -> None:
    with pytest.raises(ValueError):
        decode_query(query)


@given(st.text(st.characters(codec="ascii", exclude_characters="%"), max_size=60))
def test_any_query_without_escapes_decodes_to_strings(query: str) -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for child in value.values() for leaf in leaves(child)]
        return [leaf for child in value for leaf in leaves(child)] if isinstance(value, list) else [value]

    assert all(isinstance(leaf, str) for leaf in leaves(decode_query(query)))


def test_ci_1_secret_headers_are_withheld() -> None:
    headers = {"x-real": "1", "user-agent": "u", "cookie": "c", "authorization": "a", "sec-websocket-key": "k"}
    assert shown_headers(headers) == {"x-real": "1", "user-agent": "u", "sec-websocket-key": "k"}

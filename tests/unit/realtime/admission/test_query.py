"""Queries as Phoenix reads them, and what nobody should send."""

import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.admission.query import decode_query
from tests.rules import rule


@rule("TR-4", "TR-5")
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
        ("a[b=1", {"a[b": "1"}),
        ("a[b]c=1", {"a[b]c": "1"}),
        ("a[]=1&a=2", {"a": "2"}),
        ("a[b]=1&a[]=2", {"a": ["2"]}),
        ("a=\xc3\xa9", {"a": "é"}),
        ("__proto__[x]=1", {"__proto__": {"x": "1"}}),
        ("a=1=2", {"a": "1=2"}),
        ("=1", {"": "1"}),
    ],
)
def test_queries_nest(query: str, params: dict[str, Any]) -> None:
    assert decode_query(query) == params


@rule("TR-13")
@pytest.mark.parametrize(
    "query", ["a=%", "a=%zz", "a=%e", "%=1", "a=%ff", "a=%C3", "%ff=1", "a=\xff", "a" + "[b]" * 40 + "=1"]
)
def test_a_malformed_query_is_refused(query: str) -> None:
    with pytest.raises(ValueError):
        decode_query(query)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for child in value.values() for leaf in leaves(child)]
    return [leaf for child in value for leaf in leaves(child)] if isinstance(value, list) else [value]


@rule("TR-4")
@given(st.text(st.characters(codec="ascii", exclude_characters="%"), max_size=60))
def test_any_query_without_escapes_decodes_to_strings(query: str) -> None:
    assert all(isinstance(leaf, str) for leaf in leaves(decode_query(query)))


@rule("TR-4", "TR-13")
@given(st.text(st.sampled_from("ab[]=&%+c3a9\xff"), max_size=60) | st.text(st.characters(codec="latin-1")))
def test_any_query_is_strings_or_refused(query: str) -> None:
    try:
        params = decode_query(query)
    except ValueError:
        return
    assert all(isinstance(leaf, str) for leaf in leaves(params))


@rule("TR-4")
@given(st.dictionaries(st.text(), st.text()))
def test_what_a_client_encodes_is_what_is_read(params: dict[str, str]) -> None:
    plain = {f"k{n}{key.translate({91: 40})}": value for n, (key, value) in enumerate(params.items())}
    assert decode_query(urlencode(plain)) == plain


@rule("TR-4")
@pytest.mark.parametrize(
    "query", ["a" + "[" * 50_000 + "]=1", "a[]=1&" * 10_000, "&" * 60_000, "a" * 60_000, "[]" * 30_000]
)
def test_a_hostile_query_costs_no_more_than_its_length(query: str) -> None:
    before = time.process_time()
    with suppress(ValueError):
        decode_query(query)
    assert time.process_time() - before < 1

"""What an application is told of a connection, and how it says no."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.admission.connect import ConnectRequest, Peer, Refused, Uri, connect_info, cookies, gathered
from antiphon.realtime.admission.origin import Arrival
from antiphon.realtime.config import PhoenixConfig
from tests.phoenix import configured
from tests.rules import rule

HEADERS = {
    "host": "chat.example.com:4000",
    "user-agent": "u",
    "x-real": "1",
    "sec-websocket-key": "k",
    "traceparent": "00-1",
    "tracestate": "s",
    "cookie": "c=1",
    "authorization": "Bearer secret",
}


def request(**changes: Any) -> ConnectRequest:
    asked: dict[str, Any] = {
        "transport": "websocket",
        "path": "/socket/websocket",
        "query": "a=1",
        "variables": {},
        "headers": HEADERS,
        "arrival": Arrival("http", HEADERS["host"], "192.0.2.1"),
        "peer": Peer("192.0.2.9", 5000),
    }
    return ConnectRequest(**{**asked, **changes})


@rule("CI-1")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("peer", Peer("192.0.2.9", 5000)),
        ("uri", Uri("http", "chat.example.com", 4000, "/socket/websocket", "a=1")),
        ("user_agent", "u"),
        ("x_headers", {"x-real": "1"}),
        ("sec_websocket_headers", {"sec-websocket-key": "k"}),
        ("trace_headers", {"traceparent": "00-1", "tracestate": "s"}),
    ],
)
def test_each_key_is_shown_when_it_is_asked_for(key: Any, value: Any) -> None:
    params = {"vsn": "2.0.0"}
    nothing = connect_info(PhoenixConfig(), request(), params)
    one = connect_info(configured(connect_info=(key,)), request(), params)
    assert nothing.params == params
    assert not getattr(nothing, key)
    assert getattr(one, key) == value
    assert "secret" not in repr(one)
    assert "c=1" not in repr(one)


@rule("CI-1", "AU-1", "AU-6")
def test_tokens_are_not_among_the_headers() -> None:
    config = configured(connect_info=("sec_websocket_headers", "x_headers"))
    offer = "phoenix,  base64url.bearer.phx.c2VjcmV0, sip"
    headers = {"sec-websocket-protocol": offer, "x-phoenix-authtoken": "c2VjcmV0", "x-a": "1"}
    info = connect_info(config, request(headers=headers), {})
    assert info.sec_websocket_headers == {"sec-websocket-protocol": "phoenix, sip"}
    assert info.x_headers == {"x-a": "1"}


@rule("CI-1")
def test_constants_are_handed_on() -> None:
    config = configured(connect_constants={"region": "eu"})
    assert connect_info(config, request(), {}).constants == {"region": "eu"}


@rule("CI-1")
@pytest.mark.parametrize(
    ("scheme", "host", "expected"),
    [
        ("https", "ex.com", ("ex.com", 443)),
        ("http", "[::1]:81", ("::1", 81)),
        ("http", "", ("", 80)),
        ("http", "ex.com:port", ("", None)),
        ("http", "[", ("", None)),
    ],
)
def test_the_uri_is_made_of_what_the_client_says(scheme: str, host: str, expected: Any) -> None:
    config = configured(connect_info=("uri",))
    uri = connect_info(config, request(arrival=Arrival(scheme, host, "")), {}).uri
    assert uri is not None
    assert (uri.host, uri.port) == expected


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", {}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1; a=2", {"a": "1"}),
        ('a="x y";b', {"a": "x y"}),
        ("=1; c=a=b", {"c": "a=b"}),
        (";;;", {}),
    ],
)
def test_cookies(header: str, found: dict[str, str]) -> None:
    assert cookies(header) == found


@given(st.text())
def test_any_header_is_cookies(header: str) -> None:
    assert all(isinstance(value, str) for value in cookies(header).values())


def test_repeated_headers_are_joined_as_http_says() -> None:
    pairs = [("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1"), ("cookie", "b=2")]
    assert gathered(pairs) == {"x-a": "1, 2", "cookie": "a=1; b=2"}


@rule("TR-9")
def test_a_refusal_is_403_and_empty_unless_it_says_more() -> None:
    plain, full = Refused(), Refused(429, "slow down", {"Retry-After": "5"})
    assert (plain.status, plain.body, plain.headers) == (403, b"", {})
    assert (full.status, full.body, full.headers) == (429, b"slow down", {"retry-after": "5"})


@rule("TR-9")
@pytest.mark.parametrize("status", [0, 101, 200, 204, 600])
def test_a_refusal_is_no_success(status: int) -> None:
    with pytest.raises(ValueError, match="refusal"):
        Refused(status)


@rule("TR-9")
@pytest.mark.parametrize(
    "headers",
    [
        {"x": "1\r\nset-cookie: a=1"},
        {"x": "1\n"},
        {"x\r\ny": "1"},
        {"x:": "1"},
        {"": "1"},
        {"x": "é🎵"},
        {"Content-Length": "0"},
        {"transfer-encoding": "chunked"},
        {"connection": "keep-alive"},
    ],
)
def test_a_refusal_cannot_break_http(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        Refused(403, headers=headers)

"""Which pages may connect: the matrix of the protocol's section 3."""

from typing import Any

import pytest

from antiphon.errors import ConfigError
from antiphon.realtime.admission.origin import Arrival, OriginPolicy
from antiphon.realtime.config import PhoenixConfig
from tests.phoenix import configured
from tests.rules import rule

REMOTE = Arrival("http", "chat.example.com:4000", "192.0.2.1")
LOOPBACK = Arrival("http", "localhost:4000", "127.0.0.1")


def allows(origin: str | None, arrival: Arrival = REMOTE, **settings: Any) -> bool:
    return OriginPolicy(configured(**settings)).allows(origin, arrival)


@rule("OR-1")
@pytest.mark.parametrize("origins", ["same-host", "same-connection", "any", ("//a.com",)])
def test_no_origin_is_allowed(origins: Any) -> None:
    assert allows(None, origins=origins)


@rule("OR-1")
def test_any_allows_everything() -> None:
    assert allows("https://evil.com", origins="any")
    assert allows("null", origins="any")


@rule("OR-2")
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://ex.com", True),
        ("http://ex.com:8080", True),
        ("https://EX.com", True),
        ("https://a.ex.com", False),
        ("https://ex.com.evil.com", False),
    ],
)
def test_the_public_host_whatever_scheme_and_port(origin: str, allowed: bool) -> None:
    assert allows(origin, public_host="Ex.com") is allowed


@rule("OR-2")
def test_without_a_public_host_the_host_that_was_asked_for() -> None:
    assert allows("https://chat.example.com")
    assert not allows("https://example.com")


LOOPBACK_PAGES = ["http://localhost:5173", "http://127.0.0.1:4000", "http://[::1]:4000", "http://app.localhost"]


@rule("OR-2")
@pytest.mark.parametrize("origin", LOOPBACK_PAGES)
def test_loopback_pages_reach_a_loopback_server(origin: str) -> None:
    assert allows(origin, LOOPBACK)


@rule("OR-2")
def test_a_rebound_name_does_not_reach_a_loopback_server() -> None:
    assert not allows("http://evil.com:4000", Arrival("http", "evil.com:4000", "127.0.0.1"))
    assert not allows("http://localhost:4000", Arrival("http", "evil.com:4000", "127.0.0.1"))
    assert not allows("http://evil.com:4000", Arrival("http", "evil.com:4000", "::ffff:127.0.0.1"))
    assert allows("http://chat.com", Arrival("http", "chat.com", "127.0.0.1"), public_host="chat.com")


@rule("OR-3", "OR-4")
@pytest.mark.parametrize(
    ("entry", "origin", "allowed"),
    [
        ("https://ex.com", "https://ex.com", True),
        ("https://ex.com", "https://ex.com:443", True),
        ("https://ex.com", "http://ex.com", False),
        ("https://ex.com", "https://ex.com:444", False),
        ("https://ex.com:444", "https://ex.com:444", True),
        ("http://ex.com", "http://ex.com:80", True),
        ("//ex.com", "https://ex.com:999", True),
        ("//ex.com:81", "http://ex.com:81", True),
        ("//ex.com:81", "http://ex.com", False),
        ("//*.ex.com", "https://ex.com", True),
        ("//*.ex.com", "https://a.b.ex.com", True),
        ("//*.ex.com", "https://prefix-ex.com", False),
        ("//ex.com", "https://a.ex.com", False),
    ],
)
def test_lists(entry: str, origin: str, allowed: bool) -> None:
    assert allows(origin, origins=("//first.com", entry)) is allowed


@rule("OR-5")
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://h:4000", True),
        ("https://h:4000", False),
        ("http://h:4001", False),
        ("http://x:4000", False),
        ("ws://h:4000", False),
    ],
)
def test_same_connection(origin: str, allowed: bool) -> None:
    assert allows(origin, Arrival("http", "h:4000", "192.0.2.1"), origins="same-connection") is allowed


@rule("OR-6")
def test_a_callable_decides_alone() -> None:
    policy = OriginPolicy(PhoenixConfig(), lambda page: page.scheme == "app")
    assert policy.allows("app://", REMOTE)
    assert not policy.allows("https://chat.example.com", REMOTE)


@rule("OR-7")
@pytest.mark.parametrize("origin", ["null", "", "file://", "http://", "http://[", "http://ex.com:port"])
@pytest.mark.parametrize("origins", ["same-host", "same-connection", ("//*.ex.com",)])
def test_origins_without_a_host_are_refused(origin: str, origins: Any) -> None:
    assert not allows(origin, origins=origins)


@pytest.mark.parametrize(
    "entry", ["ex.com", "https://ex.com:eighty", "//ex.com:0", "https://ex.com:99999", "https://[ex.com"]
)
def test_an_entry_that_cannot_be_read_is_a_start_up_error(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"ex\.com"):
        OriginPolicy(configured(origins=(entry,)))

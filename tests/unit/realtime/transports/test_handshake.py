"""The upgrade request and its answers."""

import pytest

from antiphon.realtime.transports import handshake

REQUEST = (
    b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nhost: h\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def request(*headers: bytes, without: bytes = b"none") -> handshake.UpgradeRequest:
    lines = [line for line in (REQUEST + b"".join(headers)).split(b"\r\n") if not line.startswith(without)]
    return handshake.parse_request(b"\r\n".join(lines) + b"\r\n")


def test_the_request_is_taken_apart() -> None:
    parsed = request(b"X-Twice: a\r\n", b"x-twice: b\r\n")
    assert (parsed.method, parsed.path, parsed.query) == ("GET", "/socket/websocket", "vsn=2.0.0")
    assert parsed.headers["x-twice"] == "a, b"
    assert parsed.problem is None


def test_tr_11_the_answer_of_the_rfc() -> None:
    answer = handshake.accept(request())
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"protocol" not in answer.lower().replace(b"switching protocols", b"")
    assert b"permessage-deflate" not in handshake.accept(request(b"sec-websocket-extensions: permessage-deflate\r\n"))


@pytest.mark.parametrize(
    "offer",
    [b"phoenix", b"phoenix, base64url.bearer.phx.dG9rZW4", b"other,phoenix", b"bearer.%%, phoenix"],
)
def test_au_3_phoenix_is_answered_when_offered(offer: bytes) -> None:
    assert b"sec-websocket-protocol: phoenix\r\n" in handshake.accept(
        request(b"sec-websocket-protocol: " + offer + b"\r\n")
    )


def test_au_3_other_protocols_are_not_answered() -> None:
    assert b"sec-websocket-protocol" not in handshake.accept(request(b"sec-websocket-protocol: graphql-ws\r\n"))


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (b"connection", "connection"),
        (b"upgrade", "upgrade"),
        (b"sec-websocket-version", "version"),
        (b"sec-websocket-key", "key"),
    ],
)
def test_tr_7_what_is_no_upgrade_is_told_why(missing: bytes, named: str) -> None:
    problem = request(without=missing).problem
    assert problem is not None
    assert named in problem


@pytest.mark.parametrize("key", [b"short", b"!!!!", b"dGhlIHNhbXBsZSBub25j"])
def test_tr_7_a_key_is_sixteen_bytes(key: bytes) -> None:
    assert request(b"sec-websocket-key: " + key + b"\r\n", without=b"sec-websocket-key: dG").problem is not None


def test_a_refusal_is_a_whole_http_answer() -> None:
    assert handshake.refuse(403) == (
        b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: 0\r\nconnection: close\r\n\r\n"
    )
    assert b"sec-websocket-version: 13\r\n" in handshake.refuse(400, "why")

"""The upgrade request and its answers."""

import pytest

from antiphon.realtime.transports import handshake
from tests.rules import rule

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
    assert handshake.problem(parsed.headers) is None


@rule("TR-11")
def test_the_answer_of_the_rfc() -> None:
    answer = handshake.accept(request())
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"sec-websocket-protocol" not in answer
    assert b"sec-websocket-extensions" not in answer


@rule("TR-11", "AU-1")
def test_what_was_negotiated_is_named() -> None:
    answer = handshake.accept(request(), "permessage-deflate", "phoenix")
    assert b"sec-websocket-protocol: phoenix\r\n" in answer
    assert b"sec-websocket-extensions: permessage-deflate\r\n" in answer


@rule("TR-7")
@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (b"connection", "connection"),
        (b"upgrade", "upgrade"),
        (b"sec-websocket-version", "version"),
        (b"sec-websocket-key", "key"),
    ],
)
def test_what_is_no_upgrade_is_told_why(missing: bytes, named: str) -> None:
    problem = handshake.problem(request(without=missing).headers)
    assert problem is not None
    assert named in problem


@rule("TR-7")
@pytest.mark.parametrize("key", [b"short", b"!!!!", b"dGhlIHNhbXBsZSBub25j"])
def test_a_key_is_sixteen_bytes(key: bytes) -> None:
    parsed = request(b"sec-websocket-key: " + key + b"\r\n", without=b"sec-websocket-key: dG")
    assert handshake.problem(parsed.headers) == "sec-websocket-key must be 16 bytes in base64"


def test_a_refusal_is_a_whole_http_answer() -> None:
    assert handshake.refuse(403) == (
        b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: 0\r\nconnection: close\r\n\r\n"
    )
    assert b"sec-websocket-version: 13\r\n" in handshake.refuse(400, "why")


@rule("TR-9")
def test_a_refusal_says_what_the_application_says() -> None:
    answer = handshake.refuse(499, b'{"why": 1}', {"content-type": "application/json", "retry-after": "3"})
    assert answer.startswith(b"HTTP/1.1 499 ")
    assert answer.count(b"content-type: ") == 1
    assert b"content-type: application/json\r\n" in answer
    assert b"retry-after: 3\r\n" in answer
    assert b"content-length: 10\r\n" in answer
    assert answer.endswith(b'\r\n\r\n{"why": 1}')

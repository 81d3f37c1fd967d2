"""The HTTP side: the record for programs, errors of one shape, and whom it answers at all."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from antiphon.adapters.base import ChannelAdapter
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import LONGEST, Visitors

NOWHERE = "/api/v1/conversations/01M7YTFAF3A5C20VBDC381VVAW"
"""A conversation that does not exist, by an id that could."""

STRANGERS = [
    "evil.example",
    "evil.example:4000",
    "127.0.0.1.evil.example",
    "10.0.0.1",
    "",
    "[::2]",
    "loc alhost",
    "[",
    "0",
]


@pytest.fixture
async def http(here: Workspace) -> AsyncIterator[aiohttp.ClientSession]:
    session = aiohttp.ClientSession(here.url)
    read = session._request

    async def whole(*args: Any, **options: Any) -> aiohttp.ClientResponse:
        answer = await read(*args, **options)
        # To its end, so that its connection is free again.
        await answer.read()
        return answer

    session._request = whole  # type: ignore[method-assign]
    yield session
    await session.close()


async def problem(answer: aiohttp.ClientResponse, status: int) -> dict[str, Any]:
    """The body of an error, which has the one shape all errors have."""
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = await answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    assert body["detail"]
    return body


# --- the record ---------------------------------------------------------------------------------------------------


async def test_conversations_are_listed_read_renamed_and_deleted(
    here: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    older = await visitors.enter(here.url, client_id="a")
    newer = await visitors.enter(here.url, client_id="b")
    await newer.ask("!echo one")
    listed = (await (await http.get("/api/v1/conversations")).json())["items"]
    assert [item["id"] for item in listed] == [newer.conversation_id, older.conversation_id]
    path = f"/api/v1/conversations/{older.conversation_id}"
    assert (await (await http.get(path)).json()) == listed[1]
    renamed = await (await http.patch(path, json={"title": "  Tides  and times "})).json()
    assert renamed["title"] == "Tides and times"
    assert renamed["updated_at"] == listed[1]["updated_at"]
    assert (await http.delete(path)).status == 204
    for method in ("GET", "DELETE"):
        await problem(await http.request(method, path), 404)
    await problem(await http.get(f"{path}/messages"), 404)
    assert len((await (await http.get("/api/v1/conversations")).json())["items"]) == 1


async def test_messages_come_in_pages(here: Workspace, http: aiohttp.ClientSession, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    for number in range(5):
        await visitor.ask(f"!echo {number}")
    path = f"/api/v1/conversations/{visitor.conversation_id}/messages"
    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = await (await http.get(path, params={"limit": "3", **before})).json()
        seen = [message["text"] for message in page["items"]] + seen
        if not page["more"]:
            break
        before = {"before": str(min(message["position"] for message in page["items"]))}
    assert seen == [message["text"] for message in visitor.shown()]


async def test_what_there_is_to_talk_to(http: aiohttp.ClientSession) -> None:
    assistants = (await (await http.get("/api/v1/assistants")).json())["items"]
    assert assistants[0]["name"] == "guide"
    assert assistants[0]["capabilities"] == []
    assert {"calculator", "clock", "recall", "remember", "search_conversations", "search_manual"} <= set(
        assistants[0]["tools"]
    )
    models = await (await http.get("/api/v1/models")).json()
    demo = {"id": "demo", "provider": "demo", "model": "demo", "resting": None, "exhausted": None}
    assert models == {"default": "demo", "items": [demo]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/nothing.html", None, 404),
        ("POST", "/api/v1/conversations", b"{}", 405),
        ("GET", "/api/v1/conversations?limit=0", None, 422),
        ("GET", "/api/v1/conversations?limit=x", None, 422),
        ("GET", "/api/v1/conversations/a%20b", None, 422),
        ("PATCH", NOWHERE, b"{", 422),
        ("PATCH", NOWHERE, b'{"title": ""}', 422),
        ("PATCH", NOWHERE, b'{"title": " \\n "}', 422),
        ("PATCH", NOWHERE, b'{"title": "a\\u0000b"}', 422),
        ("PATCH", NOWHERE, b'{"title": "\\ud800"}', 422),
        ("PATCH", NOWHERE, b'{"title": "a", "owner": "me"}', 422),
        ("PATCH", NOWHERE, b'{"title": "a"}', 404),
        ("PATCH", NOWHERE, b'"\xff"', 400),
        ("GET", f"{NOWHERE}/messages?before=0", None, 422),
        ("GET", f"{NOWHERE}/messages?before={2**53}", None, 422),
        ("GET", f"{NOWHERE}/messages?limit=101", None, 422),
        ("GET", NOWHERE.lower(), None, 422),
        ("GET", "/api/v1/search", None, 422),
        ("GET", "/api/v1/search?q=%20%00", None, 422),
        ("GET", f"/api/v1/search?q={'a' * 1_001}", None, 422),
        ("GET", "/api/v1/search?q=a&limit=51", None, 422),
        ("GET", "/api/v1/search?q=a&in=secrets", None, 422),
        ("GET", "/api/v1/search?q=a&in=facts&in=facts&in=facts&in=facts", None, 422),
    ],
)
async def test_every_error_has_one_shape(
    http: aiohttp.ClientSession, method: str, path: str, body: bytes | None, status: int
) -> None:
    headers = {"content-type": "application/json"} if body else {}
    answer = await http.request(method, path, data=body, headers=headers)
    await problem(answer, status)


async def test_a_method_that_is_not_there_names_all_that_are(http: aiohttp.ClientSession) -> None:
    answer = await http.put(NOWHERE)
    await problem(answer, 405)
    head, got = await http.head("/api/v1/models"), await http.get("/api/v1/models")
    assert (head.status, head.headers["content-length"], await head.read()) == (200, got.headers["content-length"], b"")
    assert answer.headers["allow"] == "DELETE, GET, PATCH, HEAD"


async def test_what_was_sent_is_not_said_again(http: aiohttp.ClientSession) -> None:
    answer = await http.patch(NOWHERE, json={"title": ["the secret"]})
    assert "the secret" not in str(await problem(answer, 422))


async def test_a_store_that_is_gone_is_a_problem_too(here: Workspace, http: aiohttp.ClientSession) -> None:
    await here.store.stop()
    refused = await http.get("/api/v1/conversations")
    assert int(refused.headers["retry-after"]) > 0
    body = await problem(refused, 503)
    assert body["code"] == "service"
    while (await http.get("/ready")).status != 503:  # an answer holds for a second
        await asyncio.sleep(0.05)
    assert (await http.get("/health")).status == 200
    assert (await http.head("/health")).status == (await http.head("/")).status == 200
    await here.store.start()
    assert (await http.get("/api/v1/conversations")).status == 200


async def test_the_schema_describes_every_route(http: aiohttp.ClientSession) -> None:
    schema = await (await http.get("/openapi.json")).json()
    assert schema["openapi"].startswith("3.1")
    paths = schema["paths"]
    assert set(paths) == {
        "/api/v1/conversations",
        "/api/v1/conversations/{conversation_id}",
        "/api/v1/conversations/{conversation_id}/messages",
        "/api/v1/approvals",
        "/api/v1/approvals/{approval_id}",
        "/api/v1/assistants",
        "/api/v1/models",
        "/api/v1/people",
        "/api/v1/people/{person_id}",
        "/api/v1/people/{person_id}/memory",
        "/api/v1/people/{person_id}/memory/{fact_id}",
        "/api/v1/search",
        "/api/v1/files",
        "/api/v1/files/{file_id}",
        "/api/v1/messages/{message_id}/feedback",
        "/api/v1/experiments",
        "/api/v1/experiments/{name}",
        "/api/v1/usage",
        "/api/v1/plugins",
        "/api/v1/publish",
        "/api/v1/presence/{topic}",
        "/api/v1/realtime/sockets",
        "/api/v1/realtime/sockets/{socket}/disconnect",
        "/api/v1/realtime/channels",
        "/api/v1/realtime/topics",
        "/api/v1/realtime/nodes",
    }
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    known = set(schema["components"]["schemas"])
    for reference in _references(schema):
        assert reference.removeprefix("#/components/schemas/") in known


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in _references(item)]
    return [found for item in value for found in _references(item)] if isinstance(value, list) else []


async def test_numbers_and_checks(here: Workspace, http: aiohttp.ClientSession, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    await visitor.ask("!echo one")
    ready = await (await http.get("/ready")).json()
    assert (ready["status"], ready["draining"]) == ("healthy", False)
    assert [check["name"] for check in ready["checks"]] == ["store"]
    assert "elapsed_ms" in (await (await http.get("/health/deep")).json())["checks"][0]
    text = await (await http.get("/metrics")).text()
    for line in (
        'antiphon_turns_total{outcome="answered"}',
        'antiphon_messages_total{adapter="web"}',
        'antiphon_deliveries_total{adapter="web",result="delivered"}',
        "antiphon_turns_running 0.0",
    ):
        assert line in text


# --- whom it answers ----------------------------------------------------------------------------------------------


async def raw(url: str, head: str) -> bytes:
    """The head of the answer to a request as it stands."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        async with asyncio.timeout(LONGEST):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


@pytest.mark.parametrize("path", ["/", "/api/v1/conversations", "/health", "/metrics", "/docs", "/nothing"])
@pytest.mark.parametrize("host", STRANGERS)
async def test_a_name_that_is_not_ours_is_refused(here: Workspace, host: str, path: str) -> None:
    """DNS rebinding: a page gives its own name to our address, and reads what we say to that name."""
    head = await raw(here.url, f"GET {path} HTTP/1.1\nhost: {host}")
    assert head.startswith((b"HTTP/1.1 403", b"HTTP/1.1 400"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:4000", "app.localhost", "127.8.8.8"])
async def test_our_own_names_are_answered(here: Workspace, host: str) -> None:
    assert (await raw(here.url, f"GET /health HTTP/1.1\nhost: {host}")).startswith(b"HTTP/1.1 200")


async def test_the_refusal_says_what_to_do(here: Workspace, http: aiohttp.ClientSession) -> None:
    answer = await http.get("/", headers={"host": "evil.example"})
    body = await problem(answer, 403)
    assert body["detail"] == (
        "This server does not answer to the name “evil.example”. Use 127.0.0.1 or localhost, or set "
        "realtime.security.public_host to the name that people type."
    )


async def test_the_name_that_a_proxy_brings_is_answered_when_it_is_set(house: Serving) -> None:
    async with house(realtime={"security": {"public_host": "chat.example"}}) as workspace:
        assert (await raw(workspace.url, "GET / HTTP/1.1\nhost: chat.example")).startswith(b"HTTP/1.1 200")
        assert (await raw(workspace.url, "GET / HTTP/1.1\nhost: other.example")).startswith(b"HTTP/1.1 403")
        change = f"DELETE {NOWHERE} HTTP/1.1\nhost: chat.example\norigin: https://"
        assert (await raw(workspace.url, f"{change}chat.example")).startswith(b"HTTP/1.1 404")
        assert (await raw(workspace.url, f"{change}evil.example")).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "x", "http://["])
async def test_a_page_from_elsewhere_changes_nothing(
    here: Workspace, http: aiohttp.ClientSession, visitors: Visitors, origin: str
) -> None:
    visitor = await visitors.enter(here.url)
    path = f"/api/v1/conversations/{visitor.conversation_id}"
    headers = {"origin": origin, "content-type": "text/plain"}
    for method in ("DELETE", "PATCH", "POST", "PUT"):
        await problem(await http.request(method, path, headers=headers, data=b"{}"), 403)
    answer = await http.get(path, headers=headers)
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers
    own = {"origin": here.url}
    assert (await http.delete(path, headers=own)).status == 204


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1", "http://127.0.0.1:4000", 101),
        ("localhost:4000", "http://localhost:5173", 101),
        ("127.0.0.1", "https://evil.example", 403),
        ("evil.example", "http://evil.example", 403),
        ("evil.example", "http://127.0.0.1", 403),
        ("127.0.0.1", "null", 403),
    ],
)
async def test_the_socket_keeps_the_same_rules(here: Workspace, host: str, origin: str, status: int) -> None:
    head = await raw(
        here.url,
        f"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\nhost: {host}\norigin: {origin}\nconnection: Upgrade\n"
        "upgrade: websocket\nsec-websocket-version: 13\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert head.startswith(f"HTTP/1.1 {status}".encode())


async def test_what_browsers_are_told(http: aiohttp.ClientSession) -> None:
    for path in ("/", "/c/01ABC", "/docs", "/health", "/api/v1/models", "/nothing", "/openapi.json"):
        headers = (await http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert len(headers.getall("content-security-policy")) == 1, path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
    assert (await http.get("/api/v1/models")).headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe-inline" not in (await http.get("/")).headers["content-security-policy"]


# --- the page -----------------------------------------------------------------------------------------------------


async def test_the_page_is_cached_by_its_content(http: aiohttp.ClientSession) -> None:
    first = await http.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = await http.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, await again.read()) == (304, b"")
    deep = await http.get("/c/anything/at/all")
    assert await deep.read() == await first.read()
    head = await http.head("/")
    assert (head.status, await head.read()) == (200, b"")
    assert (await http.post("/")).status in {404, 405}
    assert (await http.get("/../../etc/passwd")).status == 404
    assert (await http.get("/%2e%2e/%2e%2e/etc/passwd")).status == 404


def test_the_web_is_an_adapter(house: Serving) -> None:
    async def build() -> ChannelAdapter:
        async with house() as workspace:
            return workspace.adapters["web"]

    assert asyncio.run(build()).capabilities.idempotent

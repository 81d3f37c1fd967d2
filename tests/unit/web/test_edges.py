"""The parts of the HTTP edge alone: bodies, headers, files, errors."""

import asyncio
import gzip
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from antiphon.errors import NotFoundError, ProcessingError, ServiceError, ValidationError
from antiphon.realtime.admission.origin import OriginPolicy
from antiphon.realtime.config import PhoenixConfig
from antiphon.telemetry.logs import get_logger
from antiphon.web.app import WebApp
from antiphon.web.config import ServerSettings
from antiphon.web.guard import Guard
from antiphon.web.limits import BodyLimit
from antiphon.web.problems import install
from antiphon.web.static import StaticPage
from tests.phoenix import configured

log = get_logger(__name__)


class Client:
    """Speaks ASGI: one request, its body in pieces."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.read = 0

    async def ask(
        self, *pieces: bytes, method: str = "POST", path: str = "/", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        waiting = list(pieces) or [b""]
        sent: list[Message] = []

        async def receive() -> Message:
            piece = waiting.pop(0)
            self.read += len(piece)
            return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": method, "path": path, "scheme": "http", "query_string": b"", "root_path": "",
            "server": ("127.0.0.1", 4000), "client": ("127.0.0.1", 1), "http_version": "1.1",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        await self._app(scope, receive, send)
        start = sent[0]
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body


async def reads_all(scope: Scope, receive: Receive, send: Send) -> None:
    more = True
    size = 0
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    await PlainTextResponse(str(size))(scope, receive, send)


# --- bodies -------------------------------------------------------------------------------------------------------


@given(pieces=st.lists(st.binary(max_size=60), min_size=1, max_size=6), announced=st.booleans())
def test_a_body_passes_up_to_the_limit_and_not_beyond(pieces: list[bytes], announced: bool) -> None:
    size = sum(map(len, pieces))
    client = Client(BodyLimit(reads_all, 100))
    headers = {"content_length": str(size)} if announced else {}
    status, _, body = asyncio.run(client.ask(*pieces, **headers))
    assert (status, body) == (200, str(size).encode()) if size <= 100 else status == 413
    if announced and size > 100:
        assert client.read == 0


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "101", "99999999999999999999"])
async def test_a_nonsensical_length_is_refused(length: str) -> None:
    status, headers, _ = await Client(BodyLimit(reads_all, 100)).ask(b"x", content_length=length)
    assert status == 413
    assert headers["content-type"] == "application/problem+json"


async def test_an_application_that_swallows_the_cut_does_not_answer() -> None:
    async def swallows(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await reads_all(scope, receive, send)
        except Exception:  # noqa: BLE001 - as frameworks do
            await PlainTextResponse("bad body", 400)(scope, receive, send)

    status, _, body = await Client(BodyLimit(swallows, 100)).ask(b"x" * 60, b"x" * 60)
    assert status == 413
    assert b"bad body" not in body


async def test_an_answer_under_way_is_not_replaced() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await receive()

    status, _, body = await Client(BodyLimit(early, 100)).ask(b"x" * 60, b"x" * 60)
    assert (status, body) == (200, b"")


# --- whom it answers ----------------------------------------------------------------------------------------------


def guarded(names: frozenset[str] = frozenset(), **settings: Any) -> Client:
    return Client(Guard(reads_all, names, OriginPolicy(configured(**settings)), log.warning))


@given(host=st.text(st.characters(max_codepoint=255), max_size=20), origin=st.text(st.characters(max_codepoint=127)))
def test_no_header_gets_through_by_being_strange(host: str, origin: str) -> None:
    status, _, _ = asyncio.run(
        guarded().ask(host=host.encode("latin-1").decode("latin-1"), origin=origin, method="DELETE")
    )
    assert status in {200, 403}
    if status == 200:
        name = host.lower()
        assert any(mine in name for mine in ("localhost", "127.", "::1", "0:1"))


async def test_a_list_of_origins_counts_here_too() -> None:
    client = guarded(origins=("https://mine.example",))
    assert (await client.ask(host="localhost", origin="https://mine.example"))[0] == 200
    assert (await client.ask(host="localhost", origin="https://other.example"))[0] == 403
    assert (await client.ask(host="localhost", origin="https://other.example", method="GET"))[0] == 200
    assert (await client.ask(host="localhost"))[0] == 200


async def test_who_judges_pages_by_itself_is_asked_by_them_but_not_under_another_name() -> None:
    policy = OriginPolicy(configured())
    own = Guard(reads_all, frozenset(), policy, log.warning, judges=lambda scope: scope["path"] == "/own")
    evil = {"origin": "http://evil.example"}
    assert (await Client(own).ask(path="/own", host="localhost", **evil))[0] == 200
    assert (await Client(own).ask(path="/owner", host="localhost", **evil))[0] == 403
    assert (await Client(own).ask(path="/own", host="evil.example", **evil))[0] == 403


async def test_an_answer_keeps_the_policy_it_brings() -> None:
    async def own(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Content-Security-Policy": "default-src 'self'"}
        await PlainTextResponse("x", headers=headers)(scope, receive, send)

    _, headers, _ = await Client(Guard(own, frozenset(), OriginPolicy(PhoenixConfig()), log.warning)).ask(
        host="localhost"
    )
    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("example.com", False),
    ],
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert ServerSettings(host=host).is_loopback is loopback


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (NotFoundError("Not here."), 404, "Not here."),
        (ValidationError("Not so."), 422, "Not so."),
        (ServiceError("disk /dev/sda1", public="The disk is full."), 503, "The disk is full."),
        (ProcessingError("internal path", public="It did not work."), 422, "It did not work."),
        (RuntimeError("the secret"), 500, "Something went wrong here. The log has the details."),
    ],
)
async def test_an_error_becomes_a_problem(
    error: Exception, status: int, detail: str, logged: list[MutableMapping[str, Any]]
) -> None:
    app = FastAPI()
    install(app)

    @app.get("/fails")
    async def fails() -> None:
        raise error

    client = Client(app)
    try:
        found, headers, body = await client.ask(method="GET", path="/fails")
    except RuntimeError:
        return  # starlette answers, then lets the server see the error; the answer is proven over HTTP
    assert (found, headers["content-type"]) == (status, "application/problem+json")
    assert detail.encode() in body
    assert b"/dev/sda1" not in body


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "a number that is too long"),
        (b'["\xff"]', "no UTF-8"),
        (b"[", "JSON decode error"),
    ],
)
async def test_a_body_that_cannot_be_read_is_told_why(body: bytes, told: str) -> None:
    app = FastAPI()
    install(app)

    @app.post("/says")
    async def says(said: list[Any]) -> list[Any]:
        return said

    status, _, answer = await Client(app).ask(body, path="/says", **{"content-type": "application/json"})
    assert status in {400, 422}
    assert told in answer.decode()


# --- files --------------------------------------------------------------------------------------------------------


def test_files_are_compressed_cached_and_found_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>" + "x" * 3000)
    (tmp_path / "assets" / "app-1234.js").write_text("let a = 1;" * 500)
    (tmp_path / "assets" / "small.css").write_text("a{}")
    (tmp_path / "logo.png").write_bytes(b"\x89PNG" * 1000)
    (tmp_path / ".secret").write_text("no")
    page = StaticPage(tmp_path)
    index, script, small = page.find("/"), page.find("/assets/app-1234.js"), page.find("/assets/small.css")
    picture = page.find("/logo.png")
    assert index is not None
    assert script is not None
    assert small is not None
    assert picture is not None
    assert page.find("/c/01ABC") is index
    assert page.find("/index.html") is index
    assert gzip.decompress(script.compressed or b"") == script.body
    assert small.compressed is None
    assert picture.compressed is None
    headers = {asset.etag: dict(asset.headers) for asset in (index, script)}
    assert headers[index.etag][b"cache-control"] == b"no-cache"
    assert b"immutable" in headers[script.etag][b"cache-control"]
    for path in ("/.secret", "/assets", "/../x", "/assets/../.secret", "//index.html", "/c"):
        assert page.find(path) is None


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("br;q=1, *;q=0.1", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("br, gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
    ],
)
async def test_only_who_takes_gzip_gets_it(tmp_path: Path, accepted: str, compressed: bool) -> None:
    _, headers, body = await page_of(tmp_path).ask(method="GET", accept_encoding=accepted)
    assert (headers.get("content-encoding") == "gzip") is compressed
    assert (gzip.decompress(body) if compressed else body) == b"x" * 3000


@pytest.mark.parametrize(("known", "status"), [("*", 304), ("ETAG", 304), ('"a", W/ETAG', 304), ('"a"', 200)])
async def test_what_a_browser_has_is_not_sent_again(tmp_path: Path, known: str, status: int) -> None:
    client = page_of(tmp_path)
    _, headers, _ = await client.ask(method="GET")
    found, _, body = await client.ask(method="GET", if_none_match=known.replace("ETAG", headers["etag"]))
    assert (found, body == b"") == (status, status == 304)


def page_of(folder: Path) -> Client:
    (folder / "index.html").write_text("x" * 3000)
    return Client(WebApp(StaticPage(folder), FastAPI(), max_body_bytes=100))


def test_a_page_that_was_not_built_says_so(tmp_path: Path) -> None:
    index = StaticPage(tmp_path).find("/")
    assert index is not None
    assert b"The page is not built" in index.body

"""Who is let in, over TCP: every check, in its order, by upgrade and by a request that is none."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import SplitResult

import msgspec
import pytest
from websockets.asyncio.client import connect

from antiphon.errors import ConfigError, ServiceError
from antiphon.realtime.admission.connect import ConnectInfo, ConnectRequest, Peer, Refused, Sessions
from antiphon.realtime.admission.origin import Arrival
from antiphon.realtime.channel import Channel
from antiphon.realtime.config import PhoenixConfig
from antiphon.realtime.phoenix import Phoenix
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured
from tests.rules import rule

UPGRADE = {
    "host": "localhost",
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PLAIN = {"host": "localhost", "connection": "close"}
BEARER = "base64url.bearer.phx."

both_ways = pytest.mark.parametrize("headers", [UPGRADE, PLAIN], ids=["upgrade", "plain"])


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes


class Door:
    """A served application that keeps what its `on_connect` was told."""

    def __init__(self, app: Phoenix, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics
        self.told: list[ConnectInfo] = []
        self.answer: Callable[[ConnectInfo], Any] = lambda _: None
        app.on_connect(self.let_in)

    async def let_in(self, info: ConnectInfo) -> Any:
        self.told.append(info)
        await asyncio.sleep(0)
        return self.answer(info)

    async def ask(
        self, target: str = "/socket/websocket?vsn=2.0.0", method: str = "GET", headers: Mapping[str, str] = UPGRADE
    ) -> Answer:
        """The answer to one request, whose connection is then cut."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.app.port)
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1"))
        try:
            async with asyncio.timeout(5):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *rest = head.rstrip().split("\r\n")
                found = dict(line.lower().split(": ", 1) for line in rest)
                status = int(first.split(" ")[1])
                size = 0 if status == 101 or method == "HEAD" else int(found["content-length"])
                return Answer(status, found, await reader.readexactly(size))
        finally:
            writer.transport.abort()


Serve = Callable[..., Any]


@pytest.fixture
async def door() -> AsyncIterator[Serve]:
    """Serves applications; `settings` are those of `PhoenixConfig`."""
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def serving(app: Phoenix) -> AsyncIterator[None]:
            await app.listen("127.0.0.1", 0)
            try:
                yield
            finally:
                await app.stop()

        async def start(
            *, check_origin: Any = None, sessions: Sessions | None = None, channel: Any = Channel, **settings: Any
        ) -> Door:
            metrics = Metrics()
            config = configured(close_seconds=1.0, **settings)
            app = Phoenix(config, check_origin=check_origin, sessions=sessions, metrics=metrics)
            app.channel("room:*")(channel)
            found = Door(app, metrics)
            await stack.enter_async_context(serving(app))
            return found

        yield start


# --- where ----------------------------------------------------------------------------------------------------------


@rule("TR-1", "TR-6")
async def test_variables_of_the_mount_join_the_parameters_and_win(door: Serve) -> None:
    live = await door(mount="/houses/:house/rooms/:room_id", websocket_path="live/:lang")
    answer = await live.ask("/houses/7/rooms/a%20b/live/en?vsn=2.0.0&room_id=8&x[y]=1&lang[]=de")
    assert answer.status == 101
    assert live.told[0].params == {"vsn": "2.0.0", "house": "7", "room_id": "a b", "lang": "en", "x": {"y": "1"}}


@rule("TR-1", "TR-14")
@both_ways
async def test_another_path_is_not_found(door: Serve, headers: dict[str, str]) -> None:
    live = await door()
    for path in ("/", "/socket", "/socket/", "/socket/websocket/x", "/socket/longpoll", "/Socket/websocket"):
        assert (path, (await live.ask(f"{path}?vsn=2.0.0", headers=headers)).status) == (path, 404)
    assert live.told == []


@rule("TR-13")
@both_ways
@pytest.mark.parametrize("target", ["/x%ff/websocket?vsn=2.0.0", "/x/websocket?vsn=2.0.0&a=%zz", "/x/websocket?a=%ff"])
async def test_what_cannot_be_decoded_is_400(door: Serve, target: str, headers: dict[str, str]) -> None:
    live = await door(mount="/:name")
    assert (await live.ask(target, headers=headers)).status == 400
    assert live.told == []


@rule("TR-8")
@both_ways
async def test_other_methods_than_get_are_400_and_empty(door: Serve, headers: dict[str, str]) -> None:
    live = await door()
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"):
        answer = await live.ask(method=method, headers=headers)
        assert (method, answer.status, answer.body) == (method, 400, b"")
    assert live.told == []


# --- in which order -------------------------------------------------------------------------------------------------


@rule("TR-7", "OR-8", "TR-3", "AU-4", "AU-5")
@pytest.mark.parametrize("upgrade", [True, False], ids=["upgrade", "plain"])
async def test_the_first_check_that_fails_answers(door: Serve, upgrade: bool, logged: list[Any]) -> None:
    """Everything is wrong at first, and put right one by one."""
    live = await door(auth_token=True, subprotocols=("sip",))
    live.answer = lambda info: refuse(429) if "full" in info.params else None
    headers = {**UPGRADE, "sec-websocket-version": "12"} if upgrade else dict(PLAIN)
    headers |= {"origin": "https://evil.example", "sec-websocket-protocol": BEARER + "%%, xmpp"}
    query = "vsn=9.0.0&full=1"

    async def answered() -> tuple[int, list[str]]:
        logged.clear()
        answer = await live.ask(f"/socket/websocket?{query}", headers=headers)
        assert answer.status == 400 or answer.body == b""
        return answer.status, [line["event"] for line in logged if line["log_level"] == "warning"]

    assert await answered() == (403, ["realtime.origin_refused"])
    assert "https://evil.example" in str(logged)
    del headers["origin"]
    assert await answered() == (403, ["realtime.token_unreadable"])
    headers["sec-websocket-protocol"] = BEARER + "YQ, xmpp"
    assert await answered() == (403, ["realtime.subprotocol_refused"])
    headers["sec-websocket-protocol"] = BEARER + "YQ, sip"
    assert await answered() == (403, ["realtime.version_refused"])
    assert live.told == []
    query = "vsn=2.0.0&full=1"
    assert await answered() == (429, [])
    assert len(live.told) == 1
    query = "vsn=2.0.0"
    assert await answered() == (400, [])
    assert len(live.told) == 2


def refuse(*answer: Any) -> None:
    raise Refused(*answer)


@rule("TR-7")
async def test_what_is_no_upgrade_is_told_what_it_lacks(door: Serve) -> None:
    live = await door()
    plain = await live.ask(headers=PLAIN)
    assert (plain.status, plain.body) == (400, b"the connection header does not say upgrade")
    for name in ("upgrade", "sec-websocket-version", "sec-websocket-key"):
        answer = await live.ask(headers={key: value for key, value in UPGRADE.items() if key != name})
        assert answer.status == 400
        assert name.encode() in answer.body
        assert answer.headers["sec-websocket-version"] == "13"
    assert len(live.told) == 4


SERVED = ["vsn=2.0.0", "vsn=2.0.7", "vsn=2.0.0%2Bbuild1", "vsn=1.0.0", "", "vsn=9&vsn=2.0.0&"]
NOT_SERVED = [
    *(f"vsn={text}" for text in ("2", "2.0", "abc", "3.0.0", "123.1.1", "2.1.0", "2.0.0-rc.1", "1.1.0", "", "02.0.0")),
    *(f"vsn={text}" for text in ("%202.0.0", "2.0.0%0A", "2.0.0+build1", "%D9%A2.0.0")),
    *("vsn[]=2.0.0", "vsn[a]=2.0.0", "vsn=2.0.0&vsn=9"),
]


@rule("TR-2", "TR-3", "TR-5")
@both_ways
async def test_versions(door: Serve, headers: dict[str, str]) -> None:
    live = await door()
    for query in SERVED:
        answer = await live.ask(f"/socket/websocket?{query}", headers=headers)
        assert (query, answer.status) == (query, 101 if headers is UPGRADE else 400)
    assert len(live.told) == len(SERVED)
    for query in NOT_SERVED:
        answer = await live.ask(f"/socket/websocket?{query}", headers=headers)
        assert (query, answer.status, answer.body) == (query, 403, b"")
    assert len(live.told) == len(SERVED)


# --- what connect says ----------------------------------------------------------------------------------------------


@rule("TR-9")
@both_ways
async def test_a_refusal_may_answer_anything(door: Serve, headers: dict[str, str]) -> None:
    live = await door()
    live.answer = lambda _: refuse(429, '{"why": "full"}', {"Content-Type": "application/json", "retry-after": "7"})
    answer = await live.ask(headers=headers)
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {"why": "full"}
    assert b'antiphon_ws_refused_total{status="429"} 1.0' in live.metrics.render()


@rule("TR-9", "TR-12")
@both_ways
@pytest.mark.parametrize(
    ("outcome", "status", "event"),
    [
        (lambda _: refuse(), 403, None),
        (lambda _: "yes", 403, "realtime.connect_returned_nonsense"),
        (lambda _: True, 403, "realtime.connect_returned_nonsense"),
        (lambda _: 1 / 0, 500, "realtime.connect_failed"),
        (lambda _: refuse(200), 500, "realtime.connect_failed"),
    ],
)
async def test_every_other_outcome_is_a_refusal(
    door: Serve, outcome: Any, status: int, event: str | None, headers: dict[str, str], logged: list[Any]
) -> None:
    live = await door()
    live.answer = outcome
    answer = await live.ask(headers=headers)
    assert (answer.status, answer.body) == (status, b"")
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ([event] if event else [])


@rule("TR-9")
async def test_a_part_that_cannot_be_used_says_when_to_come_back(door: Serve) -> None:
    def unavailable(_: Any) -> None:
        raise ServiceError("the store restarts", retry_after=1.2)

    live = await door()
    live.answer = unavailable
    answer = await live.ask()
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "2", b"")


@rule("TR-10")
@pytest.mark.parametrize("found", [7, b"user:1", ["user:1"], True])
async def test_an_id_that_is_no_text_is_refused(door: Serve, found: Any, logged: list[Any]) -> None:
    live = await door()
    live.app.socket_id = lambda _: found
    assert (await live.ask()).status == 403
    assert [line["event"] for line in logged] == ["realtime.socket_id_is_no_string"]


@rule("TR-10")
async def test_an_id_that_fails_is_refused_and_leaves_nothing(door: Serve, logged: list[Any]) -> None:
    live = await door()
    live.app.socket_id = lambda socket: socket.assigns["missing"]
    assert (await live.ask()).status == 500
    assert [line["event"] for line in logged] == ["realtime.socket_id_failed"]
    assert b"antiphon_ws_sockets 0.0" in live.metrics.render()


@rule("TR-12")
@pytest.mark.parametrize("late", [True, False])
async def test_a_defect_of_ours_is_500_and_leaves_nothing(
    door: Serve, late: bool, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    live = await door()
    if not late:
        live.app.admission.on_connect = None

    def fails(*_: Any) -> None:
        raise RuntimeError("the secret of the socket")

    monkeypatch.setattr(live.app.sockets, "opened", fails)
    answer = await live.ask()
    assert (answer.status, answer.body) == (500, b"")
    assert [line["event"] for line in logged] == ["realtime.handshake_failed"]
    async with asyncio.timeout(5):
        while live.app.sockets:
            await asyncio.sleep(0.001)


@rule("TR-9", "DC-5")
async def test_who_waits_for_connect_while_the_server_stops_is_told(door: Serve) -> None:
    live = await door()
    waiting = asyncio.Event()

    async def never(_: ConnectInfo) -> None:
        waiting.set()
        await asyncio.Event().wait()

    live.app.admission.on_connect = never
    asking = asyncio.create_task(live.ask())
    await waiting.wait()
    await live.app.stop()
    assert (await asking).status == 503


# --- from which page ------------------------------------------------------------------------------------------------


async def from_page(live: Door, origin: str, **headers: str) -> int:
    return (await live.ask(headers={**UPGRADE, "origin": origin, **headers})).status


@rule("OR-8", "OR-3")
@both_ways
async def test_a_page_from_elsewhere_is_refused_empty_and_logged(
    door: Serve, headers: dict[str, str], logged: list[Any]
) -> None:
    live = await door(origins=("https://ex.com",))
    answer = await live.ask(headers={**headers, "origin": "https://evil.com/" + "x" * 500})
    assert (answer.status, answer.body) == (403, b"")
    (line,) = logged
    assert line["event"] == "realtime.origin_refused"
    assert line["origin"].startswith("https://evil.com/")
    assert len(line["origin"]) == 200
    assert await from_page(live, "https://ex.com") == 101


@rule("OR-5")
async def test_the_same_connection_is_the_same_scheme_host_and_port(door: Serve) -> None:
    live = await door(origins="same-connection")
    host = f"localhost:{live.app.port}"
    assert await from_page(live, f"http://{host}", host=host) == 101
    for other in (f"https://{host}", f"ws://{host}", "http://localhost:1", "http://127.0.0.1", "null"):
        assert await from_page(live, other, host=host) == 403


@rule("OR-6")
async def test_a_callable_may_be_given_more_and_may_fail(door: Serve, logged: list[Any]) -> None:
    def is_app(scheme: str, page: SplitResult) -> bool:
        return {"app": True, "evil": False}[page.scheme] and page.scheme == scheme

    live = await door(check_origin=partial(is_app, "app"))
    assert await from_page(live, "app://") == 101
    assert await from_page(live, "evil://") == 403
    assert await from_page(live, "https://localhost") == 500
    assert [line["event"] for line in logged] == ["realtime.origin_refused", "realtime.connect_failed"]


@rule("OR-9")
async def test_one_channel_behind_two_doors_keeps_their_policies_apart(door: Serve) -> None:
    class Shared(Channel):
        pass

    one = await door(channel=Shared, origins=("https://one.com",))
    two = await door(channel=Shared, origins=("https://two.com",))
    for _ in range(2):
        assert [await from_page(live, "https://one.com") for live in (one, two)] == [101, 403]
        assert [await from_page(live, "https://two.com") for live in (one, two)] == [403, 101]


async def no_session(_: Mapping[str, str]) -> None:
    return None


@rule("OR-10")
def test_neither_the_origin_nor_the_csrf_token_checked_is_a_start_up_error() -> None:
    unchecked, checked = Sessions(no_session, None), Sessions(no_session, lambda *_: True)
    anyone = configured(origins="any")
    with pytest.raises(ConfigError, match="origins"):
        Phoenix(anyone, sessions=unchecked, metrics=Metrics())
    Phoenix(anyone, sessions=checked, metrics=Metrics())
    Phoenix(anyone, sessions=unchecked, check_origin=lambda _: False, metrics=Metrics())
    Phoenix(PhoenixConfig(), sessions=unchecked, metrics=Metrics())


# --- with which token -----------------------------------------------------------------------------------------------


def offering(*entries: str) -> dict[str, str]:
    return {**UPGRADE, "sec-websocket-protocol": ", ".join(entries)}


@rule("AU-1", "AU-2")
@pytest.mark.parametrize("token", ["token", "~~?", "~>>"])
async def test_a_token_comes_with_the_sub_protocols(door: Serve, token: str) -> None:
    live = await door(auth_token=True)
    entry = BEARER + b64encode(token.encode()).decode().rstrip("=")
    answer = await live.ask(headers=offering("phoenix", entry))
    assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, "phoenix")
    assert live.told[0].auth_token == token


@rule("AU-1", "AU-3")
@pytest.mark.parametrize("entry", [BEARER + "dG9rZW4", BEARER + "%%", "bearer"])
async def test_the_option_is_off_unless_it_is_on(door: Serve, entry: str) -> None:
    live = await door()
    answer = await live.ask(headers=offering("phoenix", entry))
    assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, "phoenix")
    assert live.told[0].auth_token is None


@rule("AU-4")
async def test_two_tokens_are_none_and_a_broken_one_is_refused(door: Serve) -> None:
    live = await door(auth_token=True)
    assert (await live.ask(headers=offering(BEARER + "YQ", "phoenix", BEARER + "Yg"))).status == 101
    assert live.told[0].auth_token is None
    answer = await live.ask(headers=offering("phoenix", BEARER + "%%"))
    assert (answer.status, answer.body) == (403, b"")
    assert len(live.told) == 1


@rule("AU-3", "AU-5")
async def test_the_best_sub_protocol_that_is_offered_is_named(door: Serve) -> None:
    live = await door(subprotocols=("sip", "xmpp"))
    for offer, named in ((["xmpp", "sip"], "sip"), (["xmpp"], "xmpp"), (["mqtt", "phoenix"], "phoenix")):
        answer = await live.ask(headers=offering(*offer))
        assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, named)
    none = await live.ask()
    assert none.status == 101
    assert "sec-websocket-protocol" not in none.headers
    assert (await live.ask(headers=offering("mqtt"))).status == 403


@rule("AU-6")
@pytest.mark.parametrize("on", [True, False])
async def test_long_poll_brings_the_token_as_it_is(on: bool) -> None:
    live = Door(Phoenix(configured(auth_token=on, subprotocols=("sip",)), metrics=Metrics()), Metrics())
    admitted = await live.app.admission.admit(
        ConnectRequest(
            transport="longpoll",
            path="/socket/longpoll",
            query="vsn=2.0.0",
            variables={},
            headers={"x-phoenix-authtoken": "~~? as it is", "sec-websocket-protocol": BEARER + "%%"},
            arrival=Arrival("http", "localhost", "127.0.0.1"),
            peer=None,
        )
    )
    assert admitted.subprotocol is None
    assert live.told[0].auth_token == ("~~? as it is" if on else None)


# --- what connect is told -------------------------------------------------------------------------------------------


@rule("CI-1")
async def test_connect_is_told_what_it_asked_for_and_nothing_else(door: Serve) -> None:
    secrets = {"cookie": "a=secret", "authorization": "Bearer secret", "proxy-authorization": "secret"}
    shown = {"x-a": "1", "user-agent": "u", "traceparent": "00-1", "tracestate": "s"}
    quiet = await door()
    assert (await quiet.ask(headers={**UPGRADE, **secrets, **shown})).status == 101
    assert quiet.told == [ConnectInfo(params={"vsn": "2.0.0"})]

    keys = ("peer", "uri", "user_agent", "x_headers", "sec_websocket_headers", "trace_headers")
    curious = await door(connect_info=keys, connect_constants={"region": "eu"})
    assert (
        await curious.ask("/socket/websocket?vsn=2.0.0&a=%20", headers={**UPGRADE, **secrets, **shown})
    ).status == 101
    (info,) = curious.told
    assert "secret" not in repr(info)
    assert info.peer == Peer("127.0.0.1", info.peer.port)
    assert (info.uri.scheme, info.uri.host, info.uri.port) == ("http", "localhost", 80)
    assert (info.uri.path, info.uri.query) == ("/socket/websocket", "vsn=2.0.0&a=%20")
    assert (info.user_agent, info.x_headers, info.constants) == ("u", {"x-a": "1"}, {"region": "eu"})
    assert info.trace_headers == {"traceparent": "00-1", "tracestate": "s"}
    assert info.sec_websocket_headers["sec-websocket-version"] == "13"


SESSIONS: dict[str, dict[str, Any]] = {"s1": {"user": 7, "csrf": "right"}}


async def load(cookies: Mapping[str, str]) -> Mapping[str, Any] | None:
    await asyncio.sleep(0)
    return SESSIONS.get(cookies.get("sid", ""))


def is_right(session: Mapping[str, Any], token: str) -> bool:
    return bool(session["csrf"] == token)


@rule("CI-2")
@both_ways
@pytest.mark.parametrize(
    ("check", "cookie", "query", "user"),
    [
        (is_right, "sid=s1", "_csrf_token=right", 7),
        (is_right, "other=1; sid=s1", "_csrf_token=right", 7),
        (is_right, "sid=s1", "_csrf_token=wrong", None),
        (is_right, "sid=s1", "_csrf_token[]=right", None),
        (is_right, "sid=s1", "", None),
        (is_right, "sid=gone", "_csrf_token=right", None),
        (is_right, "", "_csrf_token=right", None),
        (None, "sid=s1", "", 7),
        (None, "sid=gone", "", None),
    ],
)
async def test_a_session_counts_only_with_its_csrf_token(
    door: Serve, check: Any, cookie: str, query: str, user: int | None, headers: dict[str, str]
) -> None:
    live = await door(sessions=Sessions(load, check))
    answer = await live.ask(f"/socket/websocket?vsn=2.0.0&{query}", headers={**headers, "cookie": cookie})
    assert answer.status == (101 if headers is UPGRADE else 400)
    session = live.told[0].session
    assert (session and session["user"]) == user


@rule("CI-2", "TR-12")
async def test_a_session_store_that_fails_is_500(door: Serve, logged: list[Any]) -> None:
    async def fails(_: Mapping[str, str]) -> None:
        raise RuntimeError("the secret of the store")

    live = await door(sessions=Sessions(fails, None))
    assert (await live.ask()).status == 500
    assert [line["event"] for line in logged] == ["realtime.connect_failed"]


async def test_assigns_of_connect_are_those_of_the_socket(door: Serve) -> None:
    class Room(Channel):
        async def on_join(self, payload: Any, socket: Any) -> Any:
            return {"user": self.assigns["user"]}

    live = await door(sessions=Sessions(load, is_right), channel=Room)
    live.answer = lambda info: {"user": info.session["user"]}
    url = f"ws://127.0.0.1:{live.app.port}/socket/websocket?vsn=2.0.0&_csrf_token=right"
    async with connect(url, proxy=None, additional_headers={"cookie": "sid=s1"}) as client:
        await client.send('["1","1","room:1","phx_join",{}]')
        assert json.loads(await client.recv())[4] == {"status": "ok", "response": {"user": 7}}


@rule("DC-5")
@both_ways
async def test_while_it_drains_nobody_is_let_in(door: Serve, headers: dict[str, str]) -> None:
    live = await door()
    await live.app.drain()
    assert (await live.ask(headers=headers)).status == 503
    assert live.told == []

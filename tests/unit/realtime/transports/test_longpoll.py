"""Long-poll as clients see it: sessions, polls, posts and every way they end, with clients that vanish and flood."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from antiphon.errors import ConfigError
from antiphon.realtime.tokens.token import Token
from antiphon.realtime.transports.longpoll_session import MOST_AT_ONCE
from tests.rules import rule
from tests.unit.realtime.transports.polling import NDJSON, Poller

Open = Callable[..., Awaitable[Poller]]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
async def live(serve: Any) -> Any:
    """A server whose polls wait for a moment only."""
    return await serve(longpoll=True, longpoll_window=0.3)


@pytest.fixture
def client(http: aiohttp.ClientSession) -> Callable[..., Poller]:
    return lambda live, query="vsn=2.0.0": Poller(http, address(live), query)


@pytest.fixture
async def poller(live: Any, client: Callable[..., Poller]) -> Poller:
    return await client(live).open()


def address(live: Any) -> str:
    return f"http://127.0.0.1:{live.app.port}/socket/longpoll"


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.001)


# --- answers --------------------------------------------------------------------------------------------------------


@rule("LP-1")
async def test_every_answer_has_the_headers(poller: Poller) -> None:
    asked = [
        await poller.ask("GET", x_phoenix_longpoll_token=poller.token or ""),
        await poller.ask("GET"),
        await poller.ask("GET", "vsn=9.0.0"),
        await poller.ask("POST", body=b""),
        await poller.ask("OPTIONS"),
        await poller.ask("PUT"),
        await poller.ask("GET", "vsn=2.0.0&crash=1"),
    ]
    for _, headers, body in asked:
        assert headers["content-type"] == "application/json; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["access-control-allow-origin"] == "*"
        assert headers["content-length"] == str(len(body))
    assert [status for status, _, _ in asked] == [200, 200, 200, 200, 200, 400, 500]


@rule("LP-2")
async def test_a_preflight_may_use_what_it_asks_for(poller: Poller) -> None:
    wanted = "x-phoenix-longpoll-token, content-type"
    status, headers, body = await poller.ask("OPTIONS", access_control_request_headers=wanted)
    assert (status, body) == (200, b"")
    assert headers["access-control-allow-headers"] == wanted
    assert headers["access-control-allow-methods"] == "get, post, options"
    assert headers["access-control-max-age"] == "3600"


@rule("LP-2", "OR-8")
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
async def test_a_page_from_elsewhere_is_refused_before_anything_else(
    live: Any, poller: Poller, method: str, logged: list[Any]
) -> None:
    token = poller.token or ""
    answer = await poller.said(method, origin="http://evil.example", x_phoenix_longpoll_token=token)
    assert answer == {"status": 403}
    assert [line["origin"] for line in logged] == ["http://evil.example"]
    assert len(live.app.longpoll.sessions) == 1


@rule("LP-3")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_400(poller: Poller, method: str) -> None:
    status, _, body = await poller.ask(method)
    assert (status, body) == (400, b"")


@rule("TR-1")
async def test_it_is_off_unless_it_is_on(serve: Any, client: Any) -> None:
    live = await serve()
    assert (await client(live).ask("GET"))[0] == 404


@rule("TR-1", "TR-6")
async def test_the_mount_and_the_path_may_have_variables(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, mount="/at/:place", longpoll_path="poll/:who")
    poller = client(live)
    poller.url = f"http://127.0.0.1:{live.app.port}/at/home/poll/%C3%A9va"
    await poller.open()
    reply = await poller.join("room:1", {"assigns": True})
    params = reply[4]["response"]["assigns"]["params"]
    assert params == {"vsn": "2.0.0", "place": "home", "who": "éva"}


@rule("TR-13", "TR-5")
async def test_a_query_that_cannot_be_read_is_400_and_an_empty_pair_is_nothing(live: Any, client: Any) -> None:
    poller = client(live)
    for query in ("vsn=2.0.0&a=%zz", "vsn=2.0.0&a=%ff"):
        status, _, _ = await raw_get(live, f"/socket/longpoll?{query}")
        assert status == 400
    assert (await poller.said("GET", "vsn=2.0.0&"))["status"] == 410
    assert (await poller.said("GET", "&&vsn=2.0.0&token="))["status"] == 410


async def raw_get(live: Any, target: str) -> tuple[int, str, bytes]:
    """As it is, without a client that repairs it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", live.app.port)
    writer.write(f"GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), head.decode(), body


# --- sessions -------------------------------------------------------------------------------------------------------


@rule("LP-4", "LP-18")
async def test_a_session_begins_with_the_parameters_of_its_first_request(live: Any, client: Any) -> None:
    poller = await client(live, "vsn=2.0.0&user[name]=ann").open()
    poller.query = "vsn=1.0.0&refuse=403"
    reply = await poller.join("room:1", {"assigns": True})
    assert reply[4]["response"]["assigns"]["params"] == {"vsn": "2.0.0", "user": {"name": "ann"}}


@rule("LP-4", "TR-3", "TR-9", "TR-10")
@pytest.mark.parametrize("query", ["vsn=3.0.0", "vsn=2.0.0&refuse=403", "vsn=2.0.0&refuse=429", "vsn=2.0.0&id=seven"])
async def test_a_refusal_is_403_whatever_it_was(live: Any, client: Any, query: str) -> None:
    assert await client(live, query).said("GET") == {"status": 403}
    assert len(live.app.sockets) == 0


@rule("TR-12", "LP-17")
@pytest.mark.parametrize(("query", "status"), [("crash=1", 500), ("unavailable=1", 503)])
async def test_what_is_the_fault_of_the_server_is_no_refusal(live: Any, client: Any, query: str, status: int) -> None:
    found, _, body = await client(live, f"vsn=2.0.0&{query}").ask("GET")
    assert (found, body) == (status, b""), "clients that are told 403 never come back"


@rule("AU-6")
async def test_the_token_of_the_client_is_read_when_the_session_is_made(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, auth_token=True, longpoll_window=0.2)
    seen = []

    async def connect(info: Any) -> None:
        seen.append(info.auth_token)

    live.app.on_connect(connect)
    poller = client(live)
    answer = await poller.said("GET", x_phoenix_authtoken="plain~>>")
    poller.token = answer["token"]
    await poller.said("GET", x_phoenix_authtoken="another", x_phoenix_longpoll_token=poller.token)
    assert seen == ["plain~>>"]


@rule("LP-8")
async def test_the_header_goes_before_the_query_and_the_last_of_the_query_wins(poller: Poller) -> None:
    token = poller.token or ""
    body = b'[null,"1","phoenix","heartbeat",{}]'
    answers = [
        await poller.said("POST", f"token=mine&vsn=2.0.0&token={token}", body),
        await poller.said("POST", "vsn=2.0.0&token=stale", body, x_phoenix_longpoll_token=token),
        await poller.said("POST", f"vsn=2.0.0&token={token}&token=mine", body),
        await poller.said("POST", f"vsn=2.0.0&token={token}", body, x_phoenix_longpoll_token="stale"),
    ]
    assert [answer["status"] for answer in answers] == [200, 200, 410, 410]


@rule("LP-14", "LP-4", "LP-6")
async def test_a_bad_token_is_a_session_that_is_gone(live: Any, poller: Poller, logged: list[Any]) -> None:
    secret, node = live.app.longpoll.sessions._secret, live.app.cluster.node
    good = poller.token or ""
    for token in (
        "null", "undefined", "a.b.c", "SFMyNTY..", good[:-1], good + "x", "x" * 60_000,
        Token.sign("another secret, as long as it has to be", "antiphon long-poll", (node, "x")),
        Token.sign(secret, "another salt", (node, "x")),
        Token.sign(secret, "antiphon long-poll", (node, "x"), signed_at=1, max_age=60),
        Token.sign(secret, "antiphon long-poll", (node, "no such session")),
        Token.sign(secret, "antiphon long-poll", ("no such node", "x")),
    ):  # fmt: skip
        assert (await poller.said("POST", body=b"", x_phoenix_longpoll_token=token))["status"] == 410
        answer = await poller.said("GET", x_phoenix_longpoll_token=token)
        assert (answer["status"], answer["messages"]) == (410, [])
        assert answer["token"] not in {token, good}
    complaints = [line for line in logged if line["event"] == "realtime.longpoll_token_refused"]
    assert len(complaints) == 1, "who shows many must not fill the log"
    assert await poller.post([None, "1", "phoenix", "heartbeat", {}]) == 200


@rule("LP-14")
async def test_a_token_lives_for_two_weeks_and_hides_nothing(live: Any, poller: Poller) -> None:
    secret = live.app.longpoll.sessions._secret
    node, session = Token.verify(secret, "antiphon long-poll", poller.token, max_age=14 * 86_400)
    assert node == live.app.cluster.node
    assert len(session) >= 16


async def test_a_short_secret_is_no_secret(serve: Any) -> None:
    with pytest.raises((ConfigError, ValueError), match="20"):
        await serve(longpoll=True, secret="too short")


@rule("LP-12", "DC-1")
async def test_a_session_that_is_not_polled_is_over_however_much_it_posts(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=0.1, longpoll_inactive_seconds=0.3, idle_seconds=0.2)
    poller = await client(live).open()
    await poller.join("room:1")
    while (status := await poller.post([None, "1", "phoenix", "heartbeat", {}])) == 200:
        await asyncio.sleep(0.02)
    assert status == 410
    assert await live.ended() == ("room:1", "closed")
    assert (await poller.get())["status"] == 410
    assert len(live.app.longpoll.sessions) == 1, "the new one, of that last poll"
    await until(lambda: len(live.app.longpoll.sessions) == 0)
    assert len(live.app.sockets) == 0


@rule("LP-12")
async def test_a_poll_that_waits_keeps_its_session(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=1.0, longpoll_inactive_seconds=0.2, idle_seconds=0.1)
    poller = await client(live).open()
    assert (await poller.get())["status"] == 204


# --- polls ----------------------------------------------------------------------------------------------------------


@rule("LP-5", "LP-16", "MD-4", "MD-5")
async def test_frames_come_as_texts_in_their_order(live: Any, poller: Poller) -> None:
    assert await poller.post(["1", "1", "room:1", "phx_join", {}], ["1", "2", "room:1", "mixed", {}]) == 200
    answer = await poller.get()
    assert (answer["status"], answer["token"]) == (200, poller.token)
    frames = [json.loads(text) for text in answer["messages"]]
    frames += await poller.frames(6 - len(frames))
    assert [frame[3] for frame in frames] == ["phx_reply", "pushed", "message", "pushed", "message", "phx_reply"]
    assert [frame[4].get("n") for frame in frames[1:5]] == [1, 2, 3, 4]
    assert frames[5][4] == {"status": "ok", "response": {"n": 5}}
    assert await poller.get() == {"status": 204, "token": poller.token, "messages": []}


@rule("LP-5")
async def test_a_poll_that_waits_is_answered_at_once(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10)
    poller = await client(live).open()
    await poller.join("room:1")
    poll = asyncio.create_task(poller.get())
    await until(lambda: session(live)._poll is not None)
    live.app.broadcast("room:1", "message", {"n": "é🎵"})
    assert [json.loads(text)[4] for text in (await poll)["messages"]] == [{"n": "é🎵"}]


def session(live: Any) -> Any:
    """The only one."""
    (found,) = live.app.longpoll.sessions._sessions.values()
    return found


@rule("LP-13")
async def test_the_second_poll_takes_over(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=1.0)
    poller = await client(live).open()
    await poller.join("room:1")
    first = asyncio.create_task(poller.get())
    await until(lambda: len(session(live)._polls) == 1)
    second = asyncio.create_task(poller.get())
    await until(lambda: len(session(live)._polls) == 2)
    live.app.broadcast("room:1", "message", {"n": 1})
    assert len((await second)["messages"]) == 1
    assert not first.done()
    assert (await first) == {"status": 204, "token": poller.token, "messages": []}


async def test_a_client_that_vanishes_in_a_poll_loses_nothing(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10)
    poller = await client(live).open()
    await poller.join("room:1")
    vanishing = asyncio.create_task(poller.get())
    await until(lambda: len(session(live)._polls) == 1)
    vanishing.cancel()
    await until(lambda: not session(live)._polls)
    live.app.broadcast("room:1", "message", {"n": 1})
    assert (await poller.frames(1))[0][4] == {"n": 1}


async def test_a_flood_of_polls_is_answered_from_the_oldest_on(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10)
    poller = await client(live).open()
    await poller.join("room:1")
    polls = [asyncio.create_task(poller.get()) for _ in range(30)]
    done, waiting = await asyncio.wait(polls, timeout=1)
    assert (len(done), len(session(live)._polls)) == (30 - MOST_AT_ONCE, MOST_AT_ONCE)
    assert {poll.result()["status"] for poll in done} == {204}
    live.app.broadcast("room:1", "message", {"n": 1})
    (served,), _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert len(served.result()["messages"]) == 1
    session(live).close(1001)
    await asyncio.wait(waiting)


async def test_a_flood_of_posts_behind_a_slow_one_is_not_kept(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10)
    poller = await client(live).open()
    slow = asyncio.create_task(poller.post(["1", "1", "room:1", "phx_join", {"gate": "join"}]))
    await live.reached("join")
    posts = [asyncio.create_task(poller.post([None, "2", "phoenix", "heartbeat", {}])) for _ in range(30)]
    done, waiting = await asyncio.wait(posts, timeout=1)
    assert {post.result() for post in done} == {408}
    live.open("join")
    assert {await slow, *[await post for post in waiting]} == {200}
    assert len(waiting) == MOST_AT_ONCE - 1


@rule("LP-11", "V1-6", "BC-8")
async def test_bytes_are_left_out_and_nothing_else_is_lost(live: Any, poller: Poller, logged: list[Any]) -> None:
    await poller.join("room:1")
    wire = await live.wire()
    await wire.join("room:1")
    live.app.broadcast("room:1", "message", {"n": 1})
    live.app.broadcast("room:1", "file", b"\xff\x00")
    live.app.broadcast("room:1", "message", {"n": 2})
    assert [frame[4] for frame in await poller.frames(2)] == [{"n": 1}, {"n": 2}]
    await wire.expect([None, None, "room:1", "message", {"n": 1}])
    assert (await wire.connection.recv())[-2:] == b"\xff\x00"
    assert [line["event"] for line in logged].count("realtime.unsayable") == 1
    assert b"antiphon_ws_unsayable_total 1.0" in live.metrics.render()


@rule("LP-11", "ER-4")
async def test_bytes_for_this_client_alone_fail_at_the_sender(poller: Poller) -> None:
    await poller.join("room:1")
    assert await poller.post(["1", "2", "room:1", "echo", {"a": 1}], ["1", "3", "room:1", "bytes", {}]) == 200
    reply, error = await poller.frames(2)
    assert (reply[1], reply[4]["response"]) == ("2", {"a": 1})
    assert error[3] == "phx_error"


@rule("BC-11")
async def test_a_client_that_does_not_come_back_is_let_go_when_too_much_waits(
    serve: Any, client: Any, logged: list[Any]
) -> None:
    live = await serve(longpoll=True, blocked_bytes=4096)
    poller, other = await client(live).open(), await live.wire()
    await poller.join("room:1")
    await other.join("room:1")
    for number in range(40):
        live.app.broadcast("room:1", "message", {"n": number, "text": "x" * 200})
        assert (await other.receive())[4]["n"] == number
    assert await live.ended() == ("room:1", "closed")
    assert [line["limit"] for line in logged if line["event"] == "realtime.slow_consumer"] == ["bytes"]
    assert b'antiphon_ws_closed_total{code="1013"} 1.0' in live.metrics.render()
    assert (await poller.get())["status"] == 410


@rule("BC-11")
async def test_many_small_frames_are_too_many_too(serve: Any, client: Any, logged: list[Any]) -> None:
    live = await serve(longpoll=True, blocked_messages=10)
    poller = await client(live).open()
    await poller.join("room:1")
    for number in range(11):
        live.app.broadcast("room:1", "message", {"n": number})
    assert await live.ended() == ("room:1", "closed")
    assert [line["limit"] for line in logged if line["event"] == "realtime.slow_consumer"] == ["messages"]


async def test_a_poll_that_waits_takes_whatever_comes_at_once(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10, blocked_bytes=4096)
    poller = await client(live).open()
    await poller.join("room:1")
    poll = asyncio.create_task(poller.get())
    await until(lambda: session(live)._poll is not None)
    for number in range(100):
        live.app.broadcast("room:1", "message", {"n": number, "text": "x" * 200})
    assert len((await poll)["messages"]) == 100


# --- posts ----------------------------------------------------------------------------------------------------------


@rule("LP-6", "LP-15", "HB-1")
async def test_error_replies_come_with_the_poll(poller: Poller) -> None:
    assert await poller.post(["1", "1", "nowhere", "x", {}], [None, "2", "phoenix", "heartbeat", {}]) == 200
    assert await poller.frames(2) == [
        [None, "1", "nowhere", "phx_reply", {"status": "error", "response": {"reason": "unmatched topic"}}],
        [None, "2", "phoenix", "phx_reply", {"status": "ok", "response": {}}],
    ]


@rule("LP-7")
async def test_a_post_waits_for_its_joins_and_for_no_handler(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10)
    poller = await client(live).open()
    post = asyncio.create_task(
        poller.post(["1", "1", "room:1", "phx_join", {"gate": "join"}], ["1", "2", "room:1", "gated", {"gate": "on"}])
    )
    await live.reached("join")
    assert not post.done()
    live.open("join")
    assert await post == 200
    live.open("on")
    assert [frame[1] for frame in await poller.frames(2)] == ["1", "2"]


@rule("LP-7")
async def test_a_body_that_comes_drop_by_drop_is_not_waited_for(live: Any, poller: Poller) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", live.app.port)
    head = f"POST /socket/longpoll?token={poller.token} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n["
    writer.write(head.encode())
    async with asyncio.timeout(5):
        assert (await reader.readuntil(b"}")).endswith(b'{"status":408}')
    writer.close()
    assert await poller.post([None, "2", "phoenix", "heartbeat", {}]) == 200


@rule("LP-7")
async def test_a_join_that_takes_longer_than_the_window_is_408_and_what_follows_is_not_handled(
    live: Any, poller: Poller
) -> None:
    slow = ["1", "1", "room:1", "phx_join", {"gate": "join"}]
    assert await poller.post(slow, [None, "2", "phoenix", "heartbeat", {}]) == 408
    live.open("join")
    assert [frame[1] for frame in await poller.frames(1)] == ["1"], "the join itself goes on"
    assert (await poller.get())["status"] == 204


@rule("LP-7", "MD-3")
async def test_posts_wait_for_each_other(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10)
    poller = await client(live).open()
    posts = [asyncio.create_task(poller.post(["1", "1", "room:1", "phx_join", {"gate": "join"}]))]
    await live.reached("join")
    for ref in "234":
        posts.append(asyncio.create_task(poller.post([None, ref, "phoenix", "heartbeat", {}])))
        await until(lambda: len(session(live)._turn._waiters or ()) == len(posts) - 1)
    live.open("join")
    assert await asyncio.gather(*posts) == [200] * 4
    assert [frame[1] for frame in await poller.frames(4)] == ["1", "2", "3", "4"]


async def test_a_client_is_not_read_from_while_its_handlers_are_behind(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=0.3, max_queued_frames=4)
    poller = await client(live).open()
    await poller.join("room:1")
    busy = [["1", str(ref), "room:1", "gated", {"gate": "on"}] for ref in range(2, 12)]
    assert await poller.post(*busy) == 408
    live.open("on")
    assert [frame[1] for frame in await poller.frames(5)] == ["2", "3", "4", "5", "6"]
    assert await poller.post(["1", "99", "room:1", "echo", {}]) == 200


@rule("LP-9")
async def test_a_hundred_frames_are_handled_and_no_more(poller: Poller) -> None:
    frames: list[list[Any]] = [[None, str(number), "phoenix", "heartbeat", {}] for number in range(120)]
    assert await poller.post(*frames) == 200
    assert [frame[1] for frame in await poller.frames(100)] == [str(number) for number in range(100)]
    assert (await poller.get())["status"] == 204


@rule("LP-9", "BN-1", "JN-12")
async def test_other_lines_are_base64_of_binary_frames(poller: Poller) -> None:
    await poller.join("room:1")
    frame = b"\0\1\1\6\4" + b"12room:1size" + b"\1\2\xff"
    assert await poller.post_body(b'["1","1","room:1","silent",{}]\r\n' + b64encode(frame)) == 200
    assert (await poller.frames(1))[0][4]["response"] == {"size": 3}


@rule("LP-9", "LP-19", "V1-1")
@pytest.mark.parametrize("kind", ["", "application/json", "text/plain", "application/x-www-form-urlencoded"])
async def test_any_other_body_is_one_frame(live: Any, client: Any, kind: str) -> None:
    headers = {"content-type": kind}
    new = await client(live).open()
    assert await new.post_body(b'[null, "1",\n"phoenix", "heartbeat", {}]', **headers) == 200
    assert (await new.frames(1))[0][1] == "1"
    old = await client(live, "").open()
    body = b'{"topic":"phoenix","event":"heartbeat","payload":{},"ref":7}'
    assert await old.post_body(body, **headers) == 200
    assert (await old.frames(1))[0]["ref"] == 7


@rule("LP-10")
async def test_blank_lines_are_nothing(poller: Poller) -> None:
    beat = b'[null,"1","phoenix","heartbeat",{}]'
    assert await poller.post_body(b"\n\r\n" + beat + b"\n\n\n" + beat + b"\r\n\n") == 200
    assert len(await poller.frames(2)) == 2
    assert await poller.post_body(b"\n" * 1_000_000) == 200
    assert await poller.post_body(b"") == 200


@rule("LP-10", "LM-2")
@pytest.mark.parametrize(
    "body",
    [b"!no base64!", b"AAA", b"[\xff]", b"x" * 8_000_001, b"[" + b"x" * 1_048_577, b64encode(bytes(1_048_577))],
    ids=["other letters", "no padding", "no UTF-8", "a large body", "a large text", "large bytes"],
)
async def test_a_body_that_cannot_be_read_is_400_and_harms_nothing(poller: Poller, body: bytes) -> None:
    status, _, content = await poller.ask("POST", None, body, x_phoenix_longpoll_token=poller.token or "", **NDJSON)
    assert (status, content) == (400, b"")
    assert await poller.post([None, "1", "phoenix", "heartbeat", {}]) == 200


@rule("LM-2")
async def test_a_body_that_does_not_say_how_large_it_is_is_cut_off(poller: Poller) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    headers = {"x-phoenix-longpoll-token": poller.token or ""}
    try:
        async with asyncio.timeout(10), poller.http.post(poller.url, data=endless(), headers=headers) as answer:
            assert answer.status == 400
    except aiohttp.ClientError:
        pass  # the server hung up while it was still being sent
    assert await poller.post([None, "1", "phoenix", "heartbeat", {}]) == 200


async def test_a_client_that_vanishes_in_a_post_has_said_nothing(live: Any, poller: Poller) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", live.app.port)
    head = f"POST /socket/longpoll HTTP/1.1\r\nhost: localhost\r\nx-phoenix-longpoll-token: {poller.token}\r\n"
    writer.write(f"{head}content-length: 1000\r\n\r\n".encode() + b'[null,"9","phoenix","heartbeat",{}]')
    await writer.drain()
    writer.close()
    assert await poller.post([None, "1", "phoenix", "heartbeat", {}]) == 200
    assert (await poller.frames(1))[0][1] == "1"


# --- ends -----------------------------------------------------------------------------------------------------------


@rule("ER-6", "ER-7")
@pytest.mark.parametrize("body", [b"[not json", b"{}", b'["1","1"]', b"[" * 5000, b"[1,1,1,1,1]", b"\0"])
async def test_bad_input_ends_the_whole_session(live: Any, poller: Poller, body: bytes, logged: list[Any]) -> None:
    await poller.join("room:1")
    poll = asyncio.create_task(poller.get())
    assert await poller.post_body(body, **{"content-type": "text/plain"}) == 410
    assert (await poll)["status"] in {204, 410}
    assert await live.ended() == ("room:1", "closed")
    assert b'antiphon_ws_closed_total{code="1011"} 1.0' in live.metrics.render()
    assert [line["event"] for line in logged] == ["realtime.bad_frame"]
    assert (await poller.get())["status"] == 410


@rule("ER-4", "ER-1")
async def test_a_crash_comes_with_the_next_poll(live: Any, poller: Poller) -> None:
    await poller.join("room:1")
    assert await poller.post(["1", "2", "room:1", "crash", {}]) == 200
    before, error = await poller.frames(2)
    assert (before[3], error) == ("before", ["1", "1", "room:1", "phx_error", {"reason": "channel_crash"}])
    assert await poller.post(["1", "3", "room:1", "echo", {}]) == 200
    assert (await poller.frames(1))[0][4]["response"] == {"reason": "unmatched topic"}


@rule("DC-3", "DC-2")
async def test_who_is_disconnected_gets_a_new_session_with_the_next_poll(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10)
    poller = await client(live, "vsn=2.0.0&id=user:1").open()
    await poller.join("room:1")
    poll = asyncio.create_task(poller.get())
    await until(lambda: session(live)._poll is not None)
    assert live.app.disconnect("user:1") == 1
    assert (await poll)["status"] == 204, "it is not kept waiting for nothing"
    assert await live.ended() == ("room:1", "closed")
    assert await poller.post([None, "1", "phoenix", "heartbeat", {}]) == 410
    answer = await poller.get()
    assert answer["status"] == 410
    assert answer["token"] != poller.token
    assert live.app.disconnect("user:1") == 1


@rule("DC-5", "LP-17")
async def test_draining_ends_sessions_and_tells_clients_to_come_back(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, longpoll_window=10)
    waiting, posting = await client(live).open(), await client(live).open()
    poll = asyncio.create_task(waiting.get())
    post = asyncio.create_task(posting.post(["1", "1", "room:1", "phx_join", {"gate": "never"}]))
    await live.reached("never")
    await until(lambda: any(each._polls for each in live.app.longpoll.sessions._sessions.values()))
    await live.app.drain()
    assert (await poll)["status"] == 204
    assert await post == 200
    assert await posting.post([None, "1", "phoenix", "heartbeat", {}]) == 410
    status, _, body = await waiting.ask("GET", x_phoenix_longpoll_token=waiting.token or "")
    assert (status, body) == (503, b"")
    assert len(live.app.sockets) == 0


async def test_a_flood_of_sessions_meets_the_limit_and_fades(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True, max_connections=5, longpoll_inactive_seconds=0.3, idle_seconds=0.2)
    answers = await asyncio.gather(*(client(live).ask("GET") for _ in range(30)))
    statuses = [status for status, _, _ in answers]
    assert 1 <= statuses.count(200) <= 5
    assert statuses.count(200) + statuses.count(503) == 30
    assert all(headers["retry-after"] for status, headers, _ in answers if status == 503)
    assert b'antiphon_ws_turned_away_total{limit="connections"}' in live.metrics.render()
    await until(lambda: len(live.app.sockets) == 0)
    await client(live).open()


async def test_a_client_that_is_being_let_in_while_the_server_stops_is_not(serve: Any, client: Any) -> None:
    live = await serve(longpoll=True)
    asking = asyncio.create_task(client(live, "vsn=2.0.0&gate=door").ask("GET"))
    await live.reached("door")
    assert len(live.app.sockets) == 1, "who is being let in counts"
    await live.app.drain()
    live.open("door")
    assert (await asking)[0] == 503
    assert len(live.app.sockets) == 0


async def test_sessions_and_sockets_are_counted_alike(live: Any, poller: Poller) -> None:
    await poller.join("room:1")
    assert b"antiphon_ws_sockets 1.0" in live.metrics.render()
    assert b"antiphon_ws_channels 1.0" in live.metrics.render()
    await live.app.drain()
    assert b"antiphon_ws_sockets 0.0" in live.metrics.render()
    assert b"antiphon_ws_channels 0.0" in live.metrics.render()

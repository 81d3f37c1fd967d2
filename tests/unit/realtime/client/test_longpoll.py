"""Long-poll against a server that does only what it is told: cut, gone, full, forbidden, slow or mad."""

import asyncio
import base64
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from antiphon.errors import ServiceError
from antiphon.realtime.client.push import ConnectionLostError
from tests.rules import rule

OPENED = {"status": 410, "token": "t1", "messages": []}


class Polled:
    """A server whose answers a test gives, in their order; each request waits for one."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: asyncio.Queue[tuple[web.Request, bytes, asyncio.Future[web.Response | None]]] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        answer: asyncio.Future[web.Response | None] = asyncio.get_running_loop().create_future()
        self.requests.put_nowait((request, await request.read(), answer))
        given = await answer
        if given is None:
            assert request.transport is not None
            request.transport.abort()
        return given or web.Response()

    async def next(self, method: str) -> "Asked":
        """The next request of this method that somebody waits for; the others wait too."""
        passed: list[tuple[web.Request, bytes, asyncio.Future[web.Response | None]]] = []
        async with asyncio.timeout(5):
            while (found := await self.requests.get())[0].method != method or found[2].done():
                passed.append(found)
        for each in passed:
            self.requests.put_nowait(each)
        return Asked(*found)


class Asked:
    """One request, and what to do with it."""

    def __init__(self, request: web.Request, body: bytes, answer: "asyncio.Future[web.Response | None]") -> None:
        self.request = request
        self.lines = body.decode().split("\n")
        self._answer = answer

    def say(self, status: int, *messages: Any) -> None:
        texts = [each if isinstance(each, str) else json.dumps(each) for each in messages]
        self.give(web.json_response({"status": status, "token": "t1", "messages": texts}))

    def give(self, response: web.Response | None) -> None:
        """None cuts the connection."""
        self._answer.set_result(response)


@pytest.fixture
async def polled(clients: AsyncExitStack) -> Any:
    made = Polled()
    app = web.Application(client_max_size=8_000_000)
    app.router.add_route("*", "/socket/longpoll", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await clients.aclose()
    await runner.cleanup()


async def opened(polled: Polled, client_of: Any, **options: Any) -> Any:
    opening = asyncio.create_task(client_of(polled.port, transport="longpoll", **options))
    (await polled.next("GET")).say(410)
    return await opening


async def joined(polled: Polled, client: Any, topic: str = "room:1") -> Any:
    channel = client.channel(topic)
    joining = asyncio.create_task(channel.join())
    post = await polled.next("POST")
    join = json.loads(post.lines[0])
    (await polled.next("GET")).say(200, [join[0], join[1], topic, "phx_reply", {"status": "ok", "response": {}}])
    post.say(200)
    await joining
    return channel


@rule("LP-5", "LP-8", "LP-18")
async def test_every_request_shows_the_session_and_what_the_client_came_in_with(polled: Polled, client_of: Any) -> None:
    opening = asyncio.create_task(
        client_of(polled.port, transport="longpoll", params={"token": "mine"}, headers={"X-A": "1"}, token="secret")
    )
    first = await polled.next("GET")
    assert first.request.query_string == "token=mine&vsn=2.0.0"
    assert "x-phoenix-longpoll-token" not in first.request.headers
    first.say(410)
    await opening
    poll = await polled.next("GET")
    assert poll.request.query_string == "token=mine&vsn=2.0.0&token=t1"
    for asked in (first, poll):
        assert (asked.request.headers["X-A"], asked.request.headers["X-Phoenix-AuthToken"]) == ("1", "secret")
    assert poll.request.headers["X-Phoenix-LongPoll-Token"] == "t1"


@rule("LP-9")
async def test_one_post_at_a_time_and_what_waits_goes_with_the_next(polled: Polled, client_of: Any) -> None:
    client = await opened(polled, client_of)
    channel = await joined(polled, client)
    sending = [asyncio.create_task(channel.send("a", n)) for n in range(205)]
    first = await polled.next("POST")
    sending.append(asyncio.create_task(channel.send("bytes", b"\xff\n[")))
    posts = [first]
    for _ in range(2):
        posts[-1].say(200)
        posts.append(await polled.next("POST"))
    assert polled.requests.qsize() <= 1  # the poll
    posts[-1].say(200)
    await asyncio.gather(*sending)
    assert first.request.headers["Content-Type"] == "application/x-ndjson"
    assert [len(post.lines) for post in posts] == [100, 100, 6]
    *texts, binary = [line for post in posts for line in post.lines]
    assert [json.loads(line)[4] for line in texts] == list(range(205))
    assert base64.b64decode(binary).endswith(b"\xff\n[")


@rule("LM-2")
async def test_a_body_is_no_larger_than_a_proxy_takes_unless_a_frame_is(polled: Polled, client_of: Any) -> None:
    client = await opened(polled, client_of)
    channel = await joined(polled, client)
    sending = [asyncio.create_task(channel.send("a", "x" * size)) for size in (600_000, 600_000, 1_500_000, 10)]
    sizes = []
    for _ in sending:
        post = await polled.next("POST")
        sizes.append([len(line) // 100_000 for line in post.lines])
        post.say(200)
    await asyncio.gather(*sending)
    assert sizes == [[6], [6], [15], [0]]


async def break_poll(asked: Asked, how: str) -> None:
    match how:
        case "cut":
            asked.give(None)
        case "gone":
            asked.say(410)
        case "forbidden":
            asked.say(403)
        case "broken":
            asked.give(web.Response(status=502, text="bad gateway"))
        case "busy":
            asked.give(web.Response(status=503, headers={"Retry-After": "0"}))
        case "mad":
            asked.give(web.Response(text="<html>sign in to this network</html>"))
        case "large":
            asked.say(200, "x" * 3000)
        case "larger":
            asked.give(web.Response(body=b" " * 9000))


@rule("JS-9", "LP-17")
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("cut", 1006),
        ("gone", 3410),
        ("forbidden", 1008),
        ("broken", 1011),
        ("busy", 1013),
        ("mad", 1011),
        ("large", 1009),
        ("larger", 1009),
    ],
)
async def test_a_poll_that_fails_ends_the_session_and_the_next_one_begins(
    polled: Polled, client_of: Any, until: Any, how: str, code: int
) -> None:
    """Not even the poll is made again on the same session: what its answer carried would be missed."""
    client = await opened(polled, client_of, max_message_bytes=2000)
    channel = await joined(polled, client)
    waiting = asyncio.create_task(channel.push("echo"))
    (await polled.next("POST")).say(200)
    await break_poll(await polled.next("GET"), how)
    with pytest.raises(ConnectionLostError):
        await waiting
    assert client.close_code == code
    again = await polled.next("GET")
    assert "x-phoenix-longpoll-token" not in again.request.headers
    again.say(410)
    assert json.loads((await polled.next("POST")).lines[0])[3] == "phx_join"


@rule("JS-9", "LP-6", "LP-7")
@pytest.mark.parametrize(("how", "code"), [("cut", 1006), ("gone", 3410), ("too slow", 1011), ("broken", 1011)])
async def test_what_a_post_without_a_good_answer_carried_is_not_sent_again(
    polled: Polled, client_of: Any, how: str, code: int
) -> None:
    client = await opened(polled, client_of)
    channel = await joined(polled, client)
    lost = [asyncio.create_task(work) for work in (channel.send("one", {}), channel.push("two", {}))]
    post = await polled.next("POST")
    assert [json.loads(line)[3] for line in post.lines] == ["one", "two"]
    behind = asyncio.create_task(channel.send("three", {}))
    await asyncio.sleep(0)
    match how:
        case "cut":
            post.give(None)
        case "gone":
            post.say(410)
        case "too slow":
            post.say(408)
        case "broken":
            post.give(web.Response(status=400))
    for work in (*lost, behind):
        with pytest.raises(ConnectionLostError):
            await work
    assert client.close_code == code
    (await polled.next("GET")).say(410)
    assert [json.loads(line)[3] for line in (await polled.next("POST")).lines] == ["phx_join"]


async def test_an_answer_that_does_not_come_is_given_up(polled: Polled, client_of: Any, until: Any) -> None:
    client = await opened(polled, client_of, poll_seconds=0.1)
    await until(lambda: client.close_code == 1006)


@rule("JS-3")
async def test_a_server_that_answers_polls_and_no_heartbeat_is_noticed(
    polled: Polled, client_of: Any, until: Any
) -> None:
    client = await opened(polled, client_of, heartbeat_seconds=0.05)
    (await polled.next("POST")).say(200)
    await until(lambda: client.close_code == 4000)


async def test_a_server_that_names_a_time_is_left_alone_for_so_long(polled: Polled, client_of: Any) -> None:
    await opened(polled, client_of)
    (await polled.next("GET")).give(web.Response(status=503, headers={"Retry-After": "1"}))
    began = asyncio.get_running_loop().time()
    await polled.next("GET")
    assert asyncio.get_running_loop().time() - began >= 0.99


async def test_empty_answers_do_not_make_it_spin(polled: Polled, client_of: Any) -> None:
    await opened(polled, client_of)
    began = asyncio.get_running_loop().time()
    for _ in range(4):
        (await polled.next("GET")).say(204)
    assert asyncio.get_running_loop().time() - began >= 0.29


@rule("LP-4")
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, {"status": 403}), "refused the connection with HTTP 403"),
        ((404, {}), "refused the connection with HTTP 404"),
        ((307, {}), "refused the connection with HTTP 307"),
        ((200, {"status": 200}), "is not long-poll"),
        ((200, {"state": 410}), "is not long-poll"),
        ((200, {"status": 410, "messages": 7}), "is not long-poll"),
        ((200, {"status": 410}), "is not long-poll"),
    ],
    ids=str,
)
async def test_a_session_that_cannot_be_had_is_one_sentence(
    polled: Polled, client_of: Any, answer: Any, sentence: str
) -> None:
    opening = asyncio.create_task(client_of(polled.port, transport="longpoll", params={"secret": "abc"}))
    status, said = answer
    (await polled.next("GET")).give(web.json_response(said, status=status, headers={"Location": "/elsewhere"}))
    with pytest.raises(ServiceError, match=sentence) as caught:
        await opening
    assert "abc" not in str(caught.value)

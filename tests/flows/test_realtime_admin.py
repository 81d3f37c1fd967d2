"""The live side from outside: publishing over HTTP, seeing who is there, and the topic of the operators."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from antiphon.realtime.channel import Channel
from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.push import PushError
from antiphon.telemetry.health import HealthChecker
from antiphon.web.channels import admin
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import LONGEST, Visitors

PUBLISH = "/api/v1/publish"
HELLO = {"topic": "room:1", "event": "message", "payload": {"text": "Hello"}}


class Room(Channel):
    async def after_join(self) -> None:
        await self.track("somebody", {"at": "the window"})


@pytest.fixture
async def house_with_room(here: Workspace) -> Workspace:
    here.phoenix.route("room:*", Room)
    return here


@pytest.fixture
async def http(house_with_room: Workspace) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(house_with_room.url) as session:
        yield session


async def entered(workspace: Workspace, visitors: Visitors, topic: str) -> tuple[ClientChannel, "asyncio.Queue[Any]"]:
    """A client that is in the topic, and what it hears there."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    channel = (await visitors.connect(workspace.url)).channel(topic)
    channel.on(None, lambda event, payload: heard.put_nowait((event, payload)))
    await channel.join()
    return channel, heard


async def until(heard: "asyncio.Queue[Any]", event: str) -> Any:
    async with asyncio.timeout(LONGEST):
        while True:
            name, payload = await heard.get()
            if name == event:
                return payload


async def post(http: aiohttp.ClientSession, body: Any, status: int = 200, key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    async with http.post(PUBLISH, json=body, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


async def get(http: aiohttp.ClientSession, path: str, **query: Any) -> Any:
    async with http.get(f"/api/v1/{path}", params=query) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


# --- publishing ---------------------------------------------------------------------------------------------------


async def test_what_is_published_reaches_the_members_of_the_topic(
    house_with_room: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    _, heard = await entered(house_with_room, visitors, "room:1")
    _, other = await entered(house_with_room, visitors, "room:2")
    assert await post(http, HELLO) == {"items": [{"topic": "room:1", "members": 1}], "nodes": 0}
    assert await until(heard, "message") == {"text": "Hello"}
    several = [{**HELLO, "payload": {"n": n}, "topic": f"room:{1 + n % 2}"} for n in range(100)]
    assert len((await post(http, several))["items"]) == 100
    assert [(await until(heard, "message"))["n"] for _ in range(50)] == list(range(0, 100, 2))
    assert [(await until(other, "message"))["n"] for _ in range(50)] == list(range(1, 100, 2))


async def test_the_same_key_is_one_broadcast_and_one_answer(
    house_with_room: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    _, heard = await entered(house_with_room, visitors, "room:1")
    answers = await asyncio.gather(*(post(http, HELLO, key="k1") for _ in range(2)), return_exceptions=True)
    first = next(answer for answer in answers if isinstance(answer, dict))
    await entered(house_with_room, visitors, "room:1")
    assert await post(http, HELLO, key="k1") == first, "as it was then, though there are more members now"
    await post(http, {**HELLO, "event": "last"})
    assert await until(heard, "message") == {"text": "Hello"}
    assert "message" not in {heard.get_nowait()[0] for _ in range(heard.qsize())}
    conflict = await post(http, {**HELLO, "payload": {}}, 409, key="k1")
    assert conflict["detail"] == "This Idempotency-Key came with another body before. Choose a new one."
    await post(http, {**HELLO, "payload": {}}, key="k2")


async def test_of_a_list_all_is_published_or_nothing(
    house_with_room: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    _, heard = await entered(house_with_room, visitors, "room:1")
    await post(http, [HELLO, {**HELLO, "topic": "conversation:1"}], 403)
    await post(http, {**HELLO, "event": "last"})
    await until(heard, "last")
    assert heard.empty()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"topic": "conversation:new"}, 403),
        ({"topic": "conversation:01M7YTFAF3A5C20VBDC381VVAW"}, 403),
        ({"topic": "conversations"}, 403),
        ({"topic": "admin"}, 403),
        ({"topic": "nowhere"}, 404),
        ({"topic": "phoenix"}, 404),
        ({"topic": ""}, 422),
        ({"topic": "room:\ud800"}, 422),
        ({"topic": "room:" + "x" * 200}, 422),
        ({"event": "phx_close"}, 422),
        ({"event": "presence_diff"}, 422),
        ({"event": ""}, 422),
        ({"payload": [1]}, 422),
        ({"payload": {"text": "\udc00"}}, 422),
        ({"payload": {"n": float("nan")}}, 422),
        ({"payload": None}, 422),
        ({"more": 1}, 422),
    ],
)
async def test_what_cannot_be_published_says_why(
    house_with_room: Workspace, http: aiohttp.ClientSession, change: dict[str, Any], status: int
) -> None:
    problem = await post(http, HELLO | change, status)
    assert (problem["status"], bool(problem["detail"])) == (status, True)


async def test_payloads_have_a_depth_and_lists_a_length(http: aiohttp.ClientSession) -> None:
    nested: dict[str, Any] = {}
    for _ in range(120):
        nested = {"n": nested}
    assert "nested 100 deep" in (await post(http, {**HELLO, "payload": nested}, 422))["detail"]
    await post(http, [HELLO] * 101, 422)
    await post(http, [], 422)
    await post(http, HELLO, 422, key="two words")


# --- who is there -------------------------------------------------------------------------------------------------


async def test_the_lists_say_who_is_there_page_by_page(
    house_with_room: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    for number in range(5):
        await entered(house_with_room, visitors, f"room:{number % 3}")
    for path, size in (("sockets", 5), ("channels", 5), ("topics", 3)):
        items: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await get(http, f"realtime/{path}", limit=2, cursor=cursor, nodes="all")
            assert len(page["items"]) <= 2
            assert page["missing"] == []
            items, cursor = items + page["items"], page["cursor"]
        assert len(items) == len({str(item) for item in items}) == size
    assert [(item["topic"], item["members"]) for item in items] == [("room:0", 2), ("room:1", 2), ("room:2", 1)]
    (socket, *_) = (await get(http, "realtime/sockets"))["items"]
    assert socket["transport"] == "websocket"
    assert (socket["version"], socket["channels"], socket["queued_bytes"], socket["blocked"]) == ("2.0.0", 1, 0, False)
    (joined, *_) = (await get(http, "realtime/channels"))["items"]
    assert (joined["socket"], joined["topic"], joined["pattern"]) == (socket["id"], "room:0", "room:*")
    assert (joined["channel"], joined["state"]) == ("Room", "joined")
    (node,) = (await get(http, "realtime/nodes"))["items"]
    assert (node["sockets"], node["channels"], node["topics"], node["draining"]) == (5, 5, 3, False)


async def test_who_is_present_in_a_topic(
    house_with_room: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    await entered(house_with_room, visitors, "room:a/b")
    page = await get(http, "presence/room:a%2Fb")
    assert [(item["key"], item["metas"][0]["at"]) for item in page["items"]] == [("somebody", "the window")]
    assert (await get(http, "presence/room:nobody"))["items"] == []


async def test_an_operator_closes_a_socket_and_its_client_comes_back(
    house_with_room: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    await entered(house_with_room, visitors, "room:1")
    (socket,) = (await get(http, "realtime/sockets"))["items"]
    path = f"/api/v1/realtime/sockets/{socket['id']}/disconnect"
    async with http.post(path) as answer:
        assert answer.status == 204
    async with asyncio.timeout(LONGEST):
        while [item["id"] for item in (await get(http, "realtime/sockets"))["items"]] in ([], [socket["id"]]):
            await asyncio.sleep(0.01)
    async with http.post(path) as answer:
        assert answer.status == 404


async def test_only_operators_see_any_of_it(
    house: Serving, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.web.auth.is_operator", lambda _: False)
    monkeypatch.setattr(admin, "is_operator", lambda _: False)
    async with house() as workspace, aiohttp.ClientSession(workspace.url) as http:
        await post(http, HELLO, 403)
        for path in ("realtime/sockets", "realtime/channels", "realtime/topics", "realtime/nodes", "presence/room:1"):
            async with http.get(f"/api/v1/{path}") as answer:
                assert answer.status == 403
        with pytest.raises(PushError, match="operators"):
            await entered(workspace, visitors, "admin")


# --- the topic of the operators -----------------------------------------------------------------------------------


async def test_the_admin_topic_shows_numbers_and_what_changes(
    here: Workspace, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "EVERY_SECONDS", 0.02)
    channel, heard = await entered(here, visitors, "admin")
    counters = await until(heard, "counters")
    assert counters["sockets"] == 1
    assert counters["turns"] == {"running": 0, "queued": 0}
    assert (counters["status"], counters["draining"]) == ("healthy", False)
    checks: HealthChecker = here.health
    well = True

    async def check() -> str:
        assert well
        return "fine"

    checks.register("the boiler", check, critical=False)
    await until(heard, "counters")
    well = False
    assert (await until(heard, "alert"))["healthy"] is False
    well = True
    assert await until(heard, "alert") == {"alert": "the boiler", "healthy": True, "detail": "fine"}
    checks.unregister("the boiler")  # it is the process's, and other houses of it come later
    here.monitoring._stalled("a loop in the kitchen")
    assert "a loop in the kitchen" in (await until(heard, "alert"))["detail"]
    await channel.leave()
    async with asyncio.timeout(LONGEST):
        while any(task.get_name() == "admin feed" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)

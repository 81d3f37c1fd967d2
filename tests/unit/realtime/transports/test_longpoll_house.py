"""Long-poll in the house: on the same port as the page and the API, and in front of what reads bodies."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.rules import rule
from tests.serving import Served
from tests.unit.realtime.transports.polling import Poller


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def house(served: Served) -> Served:
    return served.start()


@rule("TR-1", "LP-16", "LP-19")
async def test_a_conversation_without_a_websocket(house: Served, http: aiohttp.ClientSession) -> None:
    poller = await Poller(http, f"{house.url}/socket/longpoll").open()
    made = await poller.join("conversation:new", {"client_id": "c1"})
    topic = f"conversation:{made[4]['response']['conversation']['id']}"
    assert (await poller.join(topic))[4]["status"] == "ok"
    # As a form, which FastAPI would read; it is one frame all the same.
    body = json.dumps(["1", "2", topic, "message", {"text": "é🎵 as ever"}]).encode()
    assert await poller.post_body(body, **{"content-type": "application/x-www-form-urlencoded"}) == 200
    events: list[Any] = []
    async with asyncio.timeout(20):
        while not events or events[-1][3] != "turn_end":
            events += await poller.frames(1)
    assert events[-1][4]["status"] == "answered"
    assert {"message", "turn_start", "delta", "phx_reply"} <= {event[3] for event in events}


@rule("OR-8", "LP-2", "LP-3")
async def test_who_may_come_in(house: Served, http: aiohttp.ClientSession) -> None:
    poller = await Poller(http, f"{house.url}/socket/longpoll").open()
    assert await poller.said("GET", origin="http://evil.example") == {"status": 403}
    assert (await poller.ask("GET", host="evil.example"))[0] == 403, "a name of somebody else for our address"
    assert (await poller.said("GET", origin=house.url))["status"] == 410
    assert (await poller.ask("OPTIONS"))[0] == 200
    assert (await poller.ask("DELETE"))[0] == 400


@rule("OR-8", "OR-9", "LP-2")
async def test_pages_of_others_are_refused_in_the_words_of_what_they_ask(
    house: Served, http: aiohttp.ClientSession
) -> None:
    """By the mount of the socket where it is one, by the house everywhere else; what they send is not even read."""
    poller = await Poller(http, f"{house.url}/socket/longpoll").open()
    frame = json.dumps(["1", "1", "conversations", "phx_join", {}]).encode()
    token = {"x_phoenix_longpoll_token": poller.token or ""}
    evil = {"origin": "http://evil.example"}
    assert await poller.said("POST", body=frame, **token, **evil) == {"status": 403}
    assert (await poller.ask("POST", body=frame, **token, host="evil.example"))[0] == 403
    assert (await poller.ask("POST", body=frame, **token, host="evil.example", origin="http://evil.example"))[0] == 403
    assert (await poller.join("conversations"))[1] == "1", "the first join that came in"
    said = json.dumps({"messages": [{"topic": "t", "event": "e", "payload": {}}]})
    for path, answer in (("/realtime/v1/api/broadcast", {"message": "Forbidden"}), ("/api/v1/publish", None)):
        async with http.post(house.url + path, data=said, headers=evil) as refused:
            body = await refused.json(content_type=None)
            assert refused.status == 403
            assert answer in (body, None)
    async with http.post(f"{house.url}/realtime/v1/api/broadcast", data=said, headers={"origin": house.url}) as taken:
        assert taken.status == 202


@rule("DC-5")
async def test_the_house_does_not_wait_for_polls_when_it_stops(house: Served, http: aiohttp.ClientSession) -> None:
    poller = await Poller(http, f"{house.url}/socket/longpoll").open()
    await poller.join("conversations")
    poll = asyncio.create_task(poller.get())
    await asyncio.wait({poll}, timeout=0.2)
    begun = asyncio.get_running_loop().time()
    await asyncio.to_thread(house.stop)
    assert (await poll)["status"] == 204
    assert asyncio.get_running_loop().time() - begun < 8, "a poll waits for ten seconds"


async def test_it_can_be_turned_off(served: Served, http: aiohttp.ClientSession) -> None:
    served.variables["ANTIPHON_REALTIME__TRANSPORT__LONGPOLL"] = "false"
    served.start()
    assert (await Poller(http, f"{served.url}/socket/longpoll").ask("GET"))[0] == 404

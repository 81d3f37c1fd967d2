"""A client that loses its connection at any moment ends up with exactly what was said, and is told when it did not."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from antiphon.errors import ServiceError
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.client.websocket import WebSocketTransport
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import Visitor, Visitors

TOKENS = 60


async def cut(visitor: Visitor) -> None:
    """Breaks the connection under the client, which mends it by itself."""
    joins = visitor.joins
    connection = visitor.client._connection
    assert connection is not None
    websocket = connection.transport
    assert isinstance(websocket, WebSocketTransport)
    transport = websocket._socket._response.connection.transport  # type: ignore[union-attr]
    assert transport is not None
    transport.abort()
    await visitor.see(lambda: visitor.joins > joins)


def test_whatever_is_cut_the_text_is_whole(house: Serving) -> None:
    """Disconnects at any positions of the stream, several times, also behind its end."""
    with asyncio.Runner() as runner:
        entered = house()
        workspace = runner.run(entered.__aenter__())
        count = 0

        async def play(cuts: list[int], pace: int) -> None:
            nonlocal count
            count += 1
            visitors = Visitors()
            visitor = await visitors.enter(workspace.url, client_id=f"p{count}")
            receipt = await visitor.say(f"!slow {pace} !reason !long {TOKENS}")
            turn_id = receipt["turn_id"]
            for position in sorted(cuts):
                await visitor.see(lambda: visitor.seq.get(turn_id, 0) >= position or ended(visitor, turn_id))  # noqa: B023
                before = set(visitor.messages)
                await cut(visitor)
                assert visitor.joined["recovered"] is True
                assert before <= set(visitor.messages)
            answer = await visitor.see(lambda: ended(visitor, turn_id))
            assert answer["text"]
            # Who was there when it ended has heard it all; who was away has the message itself.
            if visitor.joins == 1 or turn_id in {turn["turn_id"] for turn in visitor.joined["turns"]}:
                await visitor.until("turn_end", turn_id=turn_id)
                assert visitor.said[turn_id] == answer["text"]
            newcomer = await visitors.enter(workspace.url, visitor.conversation_id)
            assert [m["text"] for m in newcomer.shown()] == [m["text"] for m in visitor.shown()]
            assert [m["id"] for m in newcomer.shown()] == [m["id"] for m in visitor.shown()]
            await visitors.close()

        @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(
            cuts=st.lists(st.integers(0, TOKENS + 40), max_size=4),
            pace=st.sampled_from([0, 1, 3]),
        )
        @example(cuts=[0, 1, 1, 2], pace=3)
        @example(cuts=[200], pace=0)
        def any_cuts(cuts: list[int], pace: int) -> None:
            runner.run(play(cuts, pace))

        try:
            any_cuts()
        finally:
            runner.run(entered.__aexit__(None, None, None))


def ended(visitor: Visitor, turn_id: str) -> dict[str, Any] | None:
    """The answer of a turn, once it is there."""
    for message in visitor.messages.values():
        if message["turn_id"] == turn_id and message["role"] == "assistant":
            return message
    return None


async def test_every_position_of_a_running_turn_can_be_taken_up(here: Workspace, visitors: Visitors) -> None:
    """`since` = {turn_id, seq} for every seq there is: what comes is what lies behind it, to the letter."""
    first = await visitors.enter(here.url)
    receipt = await first.say("!slow 20 !long 400")
    turn_id = receipt["turn_id"]
    await first.see(lambda: first.seq.get(turn_id, 0) >= 25)
    pieces = {payload["seq"]: payload["text"] for payload in first.named("delta", turn_id)}
    for seq in range(26):
        since = {"turn_id": turn_id, "seq": seq}
        late = await visitors.join(await visitors.connect(here.url), first.conversation_id, since=since)
        assert late.joined["recovered"] is True
        assert [turn["turn_id"] for turn in late.joined["turns"]] == [turn_id]
        delta = await late.until("delta", turn_id=turn_id)
        await first.see(lambda: first.seq[turn_id] >= delta["seq"])  # noqa: B023
        pieces |= {payload["seq"]: payload["text"] for payload in first.named("delta", turn_id)}
        assert delta["text"] == "".join(pieces[number] for number in range(seq + 1, delta["seq"] + 1))
        await late.client.close()
    await first.channel.push("cancel", {"turn_id": turn_id})


async def test_a_cursor_gives_what_was_missed_and_no_more(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    for number in range(4):
        await visitor.ask(f"!echo {number}")
    client = await visitors.connect(here.url)

    async def since(value: Any) -> tuple[list[int], bool]:
        channel = client.channel(visitor.channel.topic, {"since": value})
        reply = await channel.join()
        return [message["position"] for message in reply["messages"]], reply["recovered"]

    assert await since("8") == ([], True)
    assert await since("6") == ([7, 8], True)
    # Its answer changed the status of question 5, so that comes along.
    assert await since("5") == ([5, 6, 7, 8], True)
    assert await since("0") == (list(range(1, 9)), True)
    strangers: tuple[Any, ...] = ("9", "-1", "x", 7, None, [], {"turn_id": "unknown", "seq": 3}, {"seq": 1})
    for stranger in strangers:
        assert await since(stranger) == (list(range(1, 9)), False)


async def test_more_was_missed_than_a_page_holds(house: Serving, visitors: Visitors) -> None:
    async with house() as workspace:
        visitor = await visitors.enter(workspace.url)
        for number in range(4):
            await visitor.ask(f"!echo {number}")
        channel = (await visitors.connect(workspace.url)).channel(visitor.channel.topic, {"since": "1", "limit": 3})
        reply = await channel.join()
        assert reply["recovered"] is False
        assert [message["position"] for message in reply["messages"]] == [6, 7, 8]


async def test_what_happens_while_the_record_is_read_comes_behind_it(
    here: Workspace, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer goes on between the snapshot and the reply to the join: nothing is missing, nothing comes twice."""
    talker = await visitors.enter(here.url)
    receipt = await talker.say("!slow 5 !long 100")
    turn_id = receipt["turn_id"]
    await talker.see(lambda: talker.seq.get(turn_id, 0) >= 10)
    read = here.history.since

    async def slow(*args: Any, **options: Any) -> Any:
        page = await read(*args, **options)
        reached = talker.seq[turn_id]
        await talker.see(lambda: talker.seq[turn_id] >= reached + 10)
        return page

    monkeypatch.setattr(here.history, "since", slow)
    late = await visitors.enter(here.url, talker.conversation_id)
    answer = await late.answer(turn_id)
    assert late.said[turn_id] == answer["text"]
    first = late.named("delta", turn_id)[0]
    assert first["seq"] >= 20
    assert late.events[0][0] == "delta"


async def test_a_turn_that_ends_while_the_record_is_read(
    here: Workspace, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    talker = await visitors.enter(here.url)
    receipt = await talker.say("!slow 5 !long 40")
    read = here.history.since

    async def slow(*args: Any, **options: Any) -> Any:
        page = await read(*args, **options)
        await talker.until("turn_end", turn_id=receipt["turn_id"])
        return page

    monkeypatch.setattr(here.history, "since", slow)
    late = await visitors.enter(here.url, talker.conversation_id)
    answer = await late.answer(receipt["turn_id"])
    assert late.joined["turns"] == []
    assert [message["text"] for message in late.shown()] == ["!slow 5 !long 40", answer["text"]]


async def test_a_client_without_a_server_waits_for_it(free_port: int) -> None:
    client = PhoenixClient(f"http://127.0.0.1:{free_port}/socket")
    with pytest.raises(ServiceError, match="is the server running"):
        await client.connect()

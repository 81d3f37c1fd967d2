"""The whole house on PostgreSQL, whose server is killed, cut off and taken by another while people talk."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.realtime.client.push import PushError
from tests.postgres import PostgresServer, address_of, administer
from tests.proxy import Proxy
from tests.serving import LONGEST, Served, Visitors, until_ready

PATIENCE = {"ANTIPHON_DATABASE__CONNECT_SECONDS": "0.5", "ANTIPHON_DATABASE__ANSWER_SECONDS": "1"}


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Served]:
    """`antiphon serve` with a PostgreSQL database of its own, not started yet."""
    server = Served(tmp_path, ANTIPHON_DATABASE__URL=postgres_url, **PATIENCE)
    yield server
    server.end()


async def test_a_conversation_and_a_restart(on_postgres: Served, visitors: Visitors, postgres_url: str) -> None:
    on_postgres.start()
    visitor = await visitors.enter(on_postgres.url)
    assert (await visitor.ask("!echo the tide comes in"))["text"] == "the tide comes in"
    status = (await visitor.ask("/status"))["text"]
    assert on_postgres.stop() == 0
    on_postgres.start()
    again = await visitors.enter(on_postgres.url, visitor.conversation_id)
    assert [message["text"] for message in again.shown()] == [message["text"] for message in visitor.shown()]
    host, port = address_of(postgres_url)
    assert f"{host}:{port}" in on_postgres.log
    assert "secret-word" not in on_postgres.log + status


async def test_a_second_server_is_refused_and_finds_the_first(
    on_postgres: Served, tmp_path: Path, postgres_url: str
) -> None:
    on_postgres.start()
    (tmp_path / "second").mkdir()
    second = Served(tmp_path / "second", ANTIPHON_DATABASE__URL=postgres_url, **PATIENCE)
    second.launch()
    assert await asyncio.to_thread(second.process.wait, LONGEST) == 1
    assert (
        f"Another process ({on_postgres.process.pid}, {on_postgres.url}) answers from this database already"
        in second.log
    )
    on_postgres.kill()
    second.start()
    assert second.stop() == 0


async def test_a_server_killed_while_people_talk(
    tmp_path: Path, own_postgres: PostgresServer, visitors: Visitors
) -> None:
    """What was accepted is answered once; what could not be is refused with a sentence; it heals by itself."""
    served = Served(tmp_path, ANTIPHON_DATABASE__URL=own_postgres.url(), **PATIENCE)
    try:
        served.start()
        talking = [await visitors.enter(served.url, client_id=f"c{number}") for number in range(5)]
        running = [(await visitor.say("!slow 2 !long 600"))["turn_id"] for visitor in talking]
        for visitor, turn_id in zip(talking, running, strict=True):
            await visitor.until("delta", turn_id=turn_id)
        await asyncio.to_thread(own_postgres.stop, signal.SIGKILL)
        with pytest.raises(PushError, match="The database"):
            await talking[0].say("while it is down", client_id="down")
        body = await until_ready(served, 503)
        assert "secret-word" not in json.dumps(body)
        await asyncio.to_thread(own_postgres.start)
        await until_ready(served, 200)
        for visitor, turn_id in zip(talking, running, strict=True):
            answer = await visitor.until("message", turn_id=turn_id, role="assistant")
            assert (answer["status"], answer["text"]) == ("answered", visitor.said[turn_id])
        receipt = await talking[0].say("while it is down", client_id="down")
        assert (await talking[0].answer(receipt["turn_id"]))["status"] == "answered"
        fresh = await visitors.enter(served.url, talking[0].conversation_id)
        assert [message["role"] for message in fresh.shown()] == ["user", "assistant"] * 2
        assert len(await administer(own_postgres.url(), "SELECT FROM inbox WHERE state != 'ended'")) == 0
        assert served.log.count("store.unreachable") >= 1
        assert "secret-word" not in served.log
        assert served.stop() == 0
    finally:
        served.end()


async def test_a_house_that_was_cut_off_and_replaced_stops(
    tmp_path: Path, postgres_url: str, visitors: Visitors
) -> None:
    host, port = address_of(postgres_url)
    async with Proxy(host, port) as proxy:
        far = postgres_url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
        first = Served(tmp_path, ANTIPHON_DATABASE__URL=far, **PATIENCE)
        (tmp_path / "second").mkdir()
        second = Served(tmp_path / "second", ANTIPHON_DATABASE__URL=postgres_url, **PATIENCE)
        try:
            await asyncio.to_thread(first.start)
            visitor = await visitors.enter(first.url)
            await visitor.ask("!echo one")
            await proxy.refuse()
            await asyncio.to_thread(second.start)
            await proxy.restore()
            assert await asyncio.to_thread(first.process.wait, LONGEST) == 1
            assert f"Another process ({second.process.pid}, {second.url}) answers from this database now" in first.log
            there = await visitors.enter(second.url, visitor.conversation_id)
            assert (await there.ask("!echo two"))["text"] == "two"
        finally:
            first.end()
            second.end()


def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path, free_port: int) -> None:
    url = f"postgresql://me:secret-word@127.0.0.1:{free_port}/house"
    served = Served(tmp_path, ANTIPHON_DATABASE__URL=url, **PATIENCE)
    served.launch()
    assert served.process.wait(LONGEST) == 1
    assert "antiphon: The database does not answer: check that the server runs" in served.log
    assert "Traceback" not in served.log
    assert "secret-word" not in served.log

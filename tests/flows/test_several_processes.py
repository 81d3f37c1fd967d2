"""N equal processes on one PostgreSQL and one Redis, or NATS: to every client they are one house, and any may die."""

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from antiphon.errors import AntiphonError
from tests.nats_server import NatsServer
from tests.postgres import administer
from tests.redis_server import RedisServer
from tests.serving import LONGEST, Program, Served, Visitor, Visitors, environment
from tests.soaking import SOAK_SECONDS, rounds

Broker = RedisServer | NatsServer

ON_BOTH_BROKERS = pytest.mark.parametrize("broker", ["redis", "nats"], indirect=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker:
    """Through what the processes hear of each other: the Redis that they share, or a NATS beside it."""
    found: Broker = request.getfixturevalue(getattr(request, "param", "redis"))
    return found


@pytest.fixture
def house(tmp_path: Path, postgres_url: str, redis: RedisServer, broker: Broker) -> Iterator[list[Served]]:
    """Three processes of one house, each with a port of its own, not started yet."""
    made = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        made.append(
            Served(
                tmp_path / str(number),
                ANTIPHON_DATABASE__URL=postgres_url,
                ANTIPHON_CLUSTER__URL=broker.url,
                ANTIPHON_REDIS__URL=redis.url,
                ANTIPHON_LOG_FORMAT="json",
            )
        )
    yield made
    for served in made:
        served.end()


@pytest.fixture
async def started(house: list[Served]) -> list[Served]:
    await asyncio.gather(*(asyncio.to_thread(served.start) for served in house))
    return house


async def unended(url: str) -> int:
    return len(await administer(url, "SELECT FROM inbox WHERE state != 'ended'"))


@ON_BOTH_BROKERS
async def test_a_conversation_from_three_sides(started: list[Served], visitors: Visitors) -> None:
    """Messages, deltas, lists, commands and stops reach everybody, wherever they are."""
    first = await visitors.enter(started[0].url)
    others = [await visitors.enter(served.url, first.conversation_id) for served in started[1:]]
    turn_id = (await first.say("!slow 1 !long 900"))["turn_id"]
    await others[0].until("delta", turn_id=turn_id)
    late = await visitors.enter(started[2].url, first.conversation_id)
    assert [turn["status"] for turn in late.joined["turns"]] == ["running"]
    behind = (await others[1].say("!echo from the third"))["turn_id"]
    for visitor in (first, *others, late):
        answer = await visitor.answer(turn_id)
        assert (answer["status"], answer["text"]) == ("answered", visitor.said[turn_id])
        assert (await visitor.answer(behind))["text"] == "from the third"
    assert [message["text"] for message in late.shown()][-2:] == ["!echo from the third", "from the third"]
    assert "demo" in (await others[0].ask("/model demo:demo"))["text"]
    for visitor in (first, *others):
        assert "chosen by: conversation" in (await visitor.ask("/model"))["text"]
    slow = (await first.say("!slow 20 !long 3000"))["turn_id"]
    await others[1].until("delta", turn_id=slow)
    await others[1].channel.push("cancel", {"turn_id": slow})
    assert (await first.answer(slow))["status"] == "interrupted"


@ON_BOTH_BROKERS
async def test_a_client_goes_on_elsewhere_at_the_exact_position(started: list[Served], visitors: Visitors) -> None:
    first = await visitors.enter(started[0].url)
    turn_id = (await first.say("!slow 2 !long 1500"))["turn_id"]
    await first.see(lambda: first.seq.get(turn_id, 0) > 100)
    since = {"turn_id": turn_id, "seq": 50}
    again = await visitors.enter(started[1].url, first.conversation_id, since=since)
    assert again.joined["recovered"] is True
    whole = await first.answer(turn_id)
    await again.answer(turn_id)
    assert whole["text"].endswith(again.said[turn_id])
    assert len(again.said[turn_id]) < len(whole["text"])


async def test_who_is_here_is_known_on_every_process(started: list[Served], visitors: Visitors) -> None:
    first = await visitors.enter(started[0].url)
    second = await visitors.enter(started[1].url, first.conversation_id)
    await first.see(lambda: first.connections == 2)
    await second.see(lambda: second.connections == 2)
    for visitor in (first, second):
        assert "on 2 connections" in (await visitor.ask("Who is here?"))["text"]
    await second.client.close()
    await first.see(lambda: first.connections == 1)


async def test_the_list_of_conversations_is_kept_on_every_process(started: list[Served], visitors: Visitors) -> None:
    client = await visitors.connect(started[1].url)
    heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    channel = client.channel("conversations")
    channel.on(None, lambda event, payload: heard.put_nowait((event, payload)))
    await channel.join()
    other = await visitors.connect(started[0].url)
    conversation_id = await visitors.new_conversation(other)
    async with asyncio.timeout(LONGEST):
        event, payload = await heard.get()
    assert (event, payload["conversation"]["id"]) == ("created", conversation_id)


@ON_BOTH_BROKERS
async def test_a_process_that_dies_is_made_up_for(started: list[Served], visitors: Visitors, postgres_url: str) -> None:
    """Its answers are interrupted with what they had, what waited is answered, and nobody has to start anything."""
    first = await visitors.enter(started[0].url)
    turn_id = (await first.say("!slow 10 !long 3000"))["turn_id"]
    watching = await visitors.enter(started[1].url, first.conversation_id)
    waiting = (await watching.say("!echo still there"))["turn_id"]
    await watching.see(lambda: watching.seq.get(turn_id, 0) > 100)
    started[0].kill()
    cut = await watching.answer(turn_id)
    assert cut["status"] == "interrupted"
    assert cut["text"]
    assert (await watching.answer(waiting))["text"] == "still there"
    assert await unended(postgres_url) == 0


async def test_a_process_that_stops_is_not_missed(started: list[Served], visitors: Visitors) -> None:
    first = await visitors.enter(started[0].url)
    watching = await visitors.enter(started[1].url, first.conversation_id)
    turn_id = (await first.say("!slow 10 !long 3000"))["turn_id"]
    waiting = (await watching.say("!echo still there"))["turn_id"]
    await watching.until("delta", turn_id=turn_id)
    assert await asyncio.to_thread(started[0].stop) == 0
    assert (await watching.answer(turn_id))["status"] == "interrupted"
    assert (await watching.answer(waiting))["text"] == "still there"
    assert "watch.taken_over" in started[1].log + started[2].log


@ON_BOTH_BROKERS
async def test_answers_survive_the_restart_of_the_broker(
    started: list[Served], visitors: Visitors, broker: Broker
) -> None:
    people = [await visitors.enter(served.url, client_id=f"c{at}") for at, served in enumerate(started)]
    turns = [(await visitor.say("!slow 2 !long 800"))["turn_id"] for visitor in people]
    for visitor, turn_id in zip(people, turns, strict=True):
        await visitor.until("delta", turn_id=turn_id)
    await asyncio.to_thread(broker.restart)
    for visitor in people:
        await visitor.see(lambda visitor=visitor: visitor.shown()[-1]["role"] == "assistant")  # type: ignore[misc]
        assert [message["status"] for message in visitor.shown()] == ["answered", "answered"]


@ON_BOTH_BROKERS
async def test_what_the_broker_did_not_carry_is_made_up_for(
    started: list[Served], visitors: Visitors, broker: Broker
) -> None:
    """Who watches from another process while the broker is gone joins again when it is back, and has everything."""
    first = await visitors.enter(started[0].url)
    watching = await visitors.enter(started[1].url, first.conversation_id)
    client = await visitors.connect(started[2].url)
    listed = client.channel("conversations")
    await listed.join()
    turn_id = (await first.say("!slow 1 !long 600"))["turn_id"]
    await watching.until("delta", turn_id=turn_id)
    broker.kill()
    answer = await first.answer(turn_id)
    assert watching.named("turn_end", turn_id) == []
    joins = watching.joins
    broker.start()
    await watching.see(lambda: watching.joins > joins)
    assert [message["text"] for message in watching.shown()] == ["!slow 1 !long 600", answer["text"]]
    assert {message["status"] for message in watching.shown()} == {"answered"}
    assert (await watching.ask("!echo on"))["text"] == "on"
    await first.see(lambda: any(message["text"] == "on" for message in first.shown()))


# --- kill -9 of random ones, under load ---------------------------------------------------------------------------


class Speaker:
    """Says one thing after the other in its own conversation, each again until it is acknowledged by some process."""

    def __init__(self, visitors: Visitors, house: list[Served], name: str, dice: Random) -> None:
        self.receipts: dict[str, dict[str, Any]] = {}
        self.conversation_id: str | None = None
        self._visitors = visitors
        self._house = house
        self._name = name
        self._dice = dice

    async def speak(self, over: asyncio.Event) -> None:
        number = 0
        while not over.is_set():
            number += 1
            await self.say(f"{self._name}-{number}", self._dice.choice(["!echo {}", "!slow 3 !long 60", "!long 30"]))

    async def say(self, key: str, saying: str) -> None:
        while key not in self.receipts:
            try:
                async with asyncio.timeout(3):
                    visitor = await self._enter()
                    self.receipts[key] = await visitor.say(saying.format(key), key)
                    await visitor.answer(self.receipts[key]["turn_id"])
            except (AntiphonError, OSError, TimeoutError):
                await asyncio.sleep(0.05)

    async def _enter(self) -> Visitor:
        served = self._dice.choice(self._house)
        visitor = await self._visitors.enter(served.url, self.conversation_id, client_id=self._name)
        self.conversation_id = visitor.conversation_id
        return visitor


@pytest.mark.timeout(240 + SOAK_SECONDS)
async def test_whoever_is_killed_every_message_has_one_outcome(started: list[Served], postgres_url: str) -> None:
    for seed in rounds(1):
        await kill_at_random(started, postgres_url, Random(seed))


async def kill_at_random(house: list[Served], postgres_url: str, dice: Random) -> None:
    visitors, over = Visitors(), asyncio.Event()
    speakers = [Speaker(visitors, house, f"s{dice.randrange(10**9)}", dice) for _ in range(8)]
    talking = [asyncio.create_task(speaker.speak(over)) for speaker in speakers]
    try:
        for _ in range(6):
            await asyncio.sleep(0.3 + dice.random())
            dead = dice.choice(house)
            await asyncio.to_thread(dead.kill)
            await asyncio.sleep(dice.random() * 2)
            await asyncio.to_thread(dead.start)
        over.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*talking)
            while await unended(postgres_url):
                await asyncio.sleep(0.1)
    finally:
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await visitors.close()
    said = {key: receipt["turn_id"] for speaker in speakers for key, receipt in speaker.receipts.items()}
    rows = await administer(
        postgres_url,
        "SELECT inbox.key, inbox.id, messages.role, messages.status FROM messages JOIN inbox ON inbox.id = turn_id",
    )
    assert {row["key"]: row["id"] for row in rows}.items() >= said.items()
    roles = Counter((row["key"], row["role"]) for row in rows)
    for key in said:
        assert (roles[key, "user"], roles[key, "assistant"] + roles[key, "system"]) == (1, 1), key
    assert {row["status"] for row in rows} <= {"answered", "interrupted"}
    gaps = await administer(
        postgres_url,
        "SELECT conversation_id FROM messages GROUP BY 1 HAVING max(position) != count(*)",
    )
    assert gaps == []
    for served in house:
        assert "Traceback" not in served.log


# --- workers of one command ---------------------------------------------------------------------------------------


@pytest.fixture
def workers(tmp_path: Path, postgres_url: str, redis: RedisServer) -> Iterator[Served]:
    """`antiphon serve --workers 3`, not started yet."""
    made = Program(tmp_path, ANTIPHON_DATABASE__URL=postgres_url, ANTIPHON_REDIS__URL=redis.url)
    yield made
    made.end()


def children(served: Served) -> list[psutil.Process]:
    return psutil.Process(served.process.pid).children()


def pids(served: Served) -> set[int]:
    return {child.pid for child in children(served)}


async def test_workers_share_a_port_and_one_that_dies_is_replaced(workers: Served, visitors: Visitors) -> None:
    await asyncio.to_thread(workers.start, "--workers", "3")
    assert "Workers  3" in workers.log
    assert workers.log.count("Ctrl-C stops") == 1
    before = pids(workers)
    assert len(before) == 3
    first = await visitors.enter(workers.url)
    crowd = [await visitors.enter(workers.url, first.conversation_id) for _ in range(12)]
    turn_id = (await first.say("!slow 1 !long 500"))["turn_id"]
    for visitor in crowd:
        assert (await visitor.answer(turn_id))["text"] == visitor.said[turn_id]
    os.kill(min(before), signal.SIGKILL)
    async with asyncio.timeout(LONGEST):
        while len(pids(workers)) < 3 or min(before) in pids(workers):
            await asyncio.sleep(0.05)
    await first.see(lambda: first.channel.joined)
    assert (await (await visitors.enter(workers.url, first.conversation_id)).ask("!echo on"))["text"] == "on"
    assert await asyncio.to_thread(workers.stop) == 0
    assert "Traceback" not in workers.log


async def test_workers_end_with_who_started_them(workers: Served) -> None:
    await asyncio.to_thread(workers.start, "--workers", "2")
    left = children(workers)
    workers.kill()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, left, LONGEST)
    assert (len(gone), alive) == (2, [])


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ANTIPHON_REDIS__URL": "redis://127.0.0.1:1/0"}, "Several processes cannot answer from a SQLite file"),
        ({"ANTIPHON_DATABASE__URL": "postgresql://me:secret-word@127.0.0.1:1/house"}, "set redis.url"),
    ],
)
def test_several_workers_without_what_they_share_are_one_sentence(
    tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    served = Program(tmp_path, **variables)
    served.launch("--workers", "2")
    assert served.process.wait(LONGEST) == 1
    assert sentence in served.log
    assert "Traceback" not in served.log
    assert "secret-word" not in served.log


def test_a_start_that_fails_ends_all_workers(workers: Served, free_port: int) -> None:
    workers.variables["ANTIPHON_DATABASE__URL"] = f"postgresql://me:secret-word@127.0.0.1:{free_port}/house"
    workers.variables["ANTIPHON_DATABASE__CONNECT_SECONDS"] = "0.5"
    workers.launch("--workers", "2")
    assert workers.process.wait(LONGEST) == 1
    assert workers.log.count("antiphon: The database does not answer") == 1
    assert "a house that runs needs no restart" in workers.log
    assert "nothing needs to be restarted" not in workers.log
    assert "store.waiting" in workers.log


async def test_a_port_that_somebody_has_is_one_sentence(workers: Served, tmp_path: Path) -> None:
    await asyncio.to_thread(workers.start, "--workers", "2")
    (tmp_path / "second").mkdir()
    second = Program(tmp_path / "second", **workers.variables)
    second.url = workers.url
    second.launch("--workers", "2")
    assert await asyncio.to_thread(second.process.wait, LONGEST) == 1
    assert "is in use" in second.log


async def test_the_doctor_says_who_is_there(started: list[Served]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "antiphon", "doctor", "--json"),
        cwd=started[0].folder,
        env=environment(started[0].folder, **started[0].variables),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    text = json.dumps(json.loads(output))
    for served in started:
        assert f"process {served.process.pid}" in text


async def test_a_process_that_is_alone_is_kept_out(started: list[Served], tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "alone").mkdir()
    alone = Served(tmp_path / "alone", ANTIPHON_DATABASE__URL=postgres_url)
    alone.launch()
    assert await asyncio.to_thread(alone.process.wait, LONGEST) == 1
    assert "answers from this database together with others" in alone.log
    with urllib.request.urlopen(f"{started[0].url}/health/deep", timeout=LONGEST) as answer:
        assert "cluster" in {check["name"] for check in json.load(answer)["checks"]}


async def test_what_models_cost_is_summed_over_all_processes(started: list[Served], visitors: Visitors) -> None:
    """Each gathers alone: whoever is asked adds its own at once, one that stops before its end, the others soon."""
    people = [await visitors.enter(served.url, client_id=f"{number}") for number, served in enumerate(started * 2)]
    for _ in range(3):
        await asyncio.gather(*(person.ask("!echo what it costs") for person in people))
    started[0].stop()

    def spent() -> int:
        with urllib.request.urlopen(f"{started[1].url}/api/v1/usage?by=house", timeout=LONGEST) as answer:
            return sum(day["calls"] for day in json.load(answer)["items"])

    async with asyncio.timeout(LONGEST):
        while (found := await asyncio.to_thread(spent)) < 18:
            await asyncio.sleep(0.05)
    assert found == 18

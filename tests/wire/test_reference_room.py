"""The example as people start it: alone, and two of them that a Redis makes one room."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from examples.reference_room import counted

from antiphon.testing.conformance.raw import RoomAddress
from antiphon.testing.conformance.registry import all_checks
from antiphon.testing.conformance.room import Room
from antiphon.testing.conformance.runner import Runner
from tests.rules import rule

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def started(*options: str) -> AsyncIterator[str]:
    """The address of a room that is stopped, as people stop it, when the block ends."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples" / "reference_room.py"), "--port", str(port), *options),
        cwd=ROOT,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while not await listens(port):
                assert process.returncode is None
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}/socket"
    finally:
        process.terminate()
        assert await process.wait() == 0


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_it_says_what_it_takes() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "examples/reference_room.py", "--help"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    assert all(option in said for option in (b"--host", b"--port", b"--redis", b"--workers"))


async def test_two_rooms_on_one_redis_are_one(redis_url: str) -> None:
    async with (
        started("--redis", redis_url) as one,
        started("--redis", redis_url) as other,
        Room(RoomAddress.of(one), 10.0, "1") as here,
        Room(RoomAddress.of(other), 10.0, "2") as there,
    ):
        topic = "room:both"
        bob = await there.member(topic, user_id="bob")
        ann = await here.member(topic, {"presence": "ann"})
        assert set((await bob.until("presence_diff")).payload["joins"]) == {"ann"}
        ann.send(None, None, topic, "broadcast", {"n": 1})
        assert (await bob.until("message")).payload == {"n": 1}
        ann.send(None, None, topic, "broadcast_bytes", {"n": 3})
        assert (await bob.until("bytes")).payload == b"\0\1\2"
        ann.socket.close()
        assert set((await bob.until("presence_diff")).payload["leaves"]) == {"ann"}
        again = await here.member(topic)
        again.send(None, None, topic, "disconnect", {"user_id": "bob"})
        assert await bob.closed() == 1001


async def test_workers_share_a_port_and_are_one_room(redis_url: str) -> None:
    async with started("--redis", redis_url, "--workers", "2") as url, Room(RoomAddress.of(url), 10.0, "1") as room:
        # The kernel spreads connections: of so many, all on one process would be a chance of one in a million.
        members = [await room.member("room:all", user_id=f"user{number}") for number in range(20)]
        members[0].send(None, None, "room:all", "broadcast", {"n": 1})
        for member in members:
            assert (await member.until("message")).payload == {"n": 1}
        (supervisor,) = [child for child in psutil.Process().children() if "--workers" in child.cmdline()]
        workers = supervisor.children()
        assert len(workers) == 2
        async with asyncio.timeout(20):  # one that began to listen later gets those that come from then on
            while min(connections(worker) for worker in workers) <= 1:
                members.append(await room.member("room:all", user_id=f"user{len(members)}"))


def connections(process: psutil.Process) -> int:
    return len([one for one in process.net_connections() if one.status == "ESTABLISHED"])


@rule("LP-14")
async def test_a_long_poll_session_belongs_to_all_workers(redis_url: str) -> None:
    quick = {
        "LP-1",
        "LP-4",
        "LP-6",
        "LP-8",
        "LP-9",
        "LP-10",
        "LP-14",
        "LP-15",
        "LP-16",
        "LP-18",
        "LP-19",
        "ER-4",
        "DC-3",
    }
    async with started("--redis", redis_url, "--workers", "2") as url:
        # Each request comes on a connection of its own, and to either of them.
        verdicts = await Runner(RoomAddress.of(url)).run([each for each in all_checks() if each.rule in quick])
    assert {each.rule: each.outcome for each in verdicts} == dict.fromkeys(quick, "passed")


async def test_several_workers_need_something_between_them() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "examples/reference_room.py", "--workers", "2"), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"--redis" in said


def test_what_it_cannot_begin_with_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, str(ROOT / "examples" / "reference_room.py"), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "choose another address or port" in done.stderr


def test_nobody_is_pushed_more_than_a_mebibyte() -> None:
    assert len(counted(10**12)) == 2**20
    assert counted(258) == bytes(range(256)) + b"\x00\x01"

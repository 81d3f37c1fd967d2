"""Our own reference room keeps every rule that can be seen from outside, and the runner reports what it found."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from examples.reference_room import reference_room

from antiphon.telemetry.metrics import Metrics
from antiphon.testing.conformance.raw import RoomAddress
from antiphon.testing.conformance.registry import all_checks
from antiphon.testing.conformance.runner import Runner, Verdict
from tests.phoenix import configured
from tests.wire.broken_rooms import AnUnknownEventIsUnknown, HeartbeatsEchoTheJoinRef
from tests.wire.go_between import go_between

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def room() -> AsyncIterator[RoomAddress]:
    app = reference_room(configured(close_seconds=1.0, longpoll=True, longpoll_window=4.0), metrics=Metrics())
    await app.listen("127.0.0.1", 0)
    yield RoomAddress("127.0.0.1", app.port, tls=False, mount="/socket")
    await app.stop()


def missed(verdicts: list[Verdict]) -> list[str]:
    return [f"{each.rule}: {each.expected}, {each.received}" for each in verdicts if each.outcome != "passed"]


async def test_every_rule_holds(room: RoomAddress) -> None:
    verdicts = await Runner(room).run([each for each in all_checks() if not each.slow])
    assert missed(verdicts) == []
    assert len(verdicts) >= 130


async def run(room: RoomAddress, *options: str) -> "subprocess.CompletedProcess[str]":
    """The program as people start it, while our loop serves."""
    arguments = [sys.executable, "-m", "antiphon.testing.conformance", f"ws://{room.authority}/socket", *options]
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, problems = await process.communicate()
    assert process.returncode is not None
    return subprocess.CompletedProcess(arguments, process.returncode, out.decode(), problems.decode())


async def test_the_program_prints_a_table(room: RoomAddress) -> None:
    done = await run(room, "--only", "HB,MS-5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "HB  Heartbeats and joins         4       0            0"
    assert done.stdout.endswith("5 of 5 rules hold.\n")


async def test_the_program_prints_json(room: RoomAddress) -> None:
    done = await run(room, "--only", "hb-1", "--json")
    (verdict,) = json.loads(done.stdout)
    assert (verdict["rule"], verdict["outcome"], verdict["level"]) == ("HB-1", "passed", "must")


async def test_a_room_with_a_flaw_is_exit_code_1_and_shows_what_was_said(room: RoomAddress) -> None:
    async with go_between(room, HeartbeatsEchoTheJoinRef) as address:
        done = await run(address, "--only", "HB-1,HB-2")
    assert done.returncode == 1
    assert '-> ["x","6","phoenix","heartbeat",{"any":1}]' in done.stdout
    assert "expected  (None, '6', 'phoenix', 'phx_reply'" in done.stdout
    assert done.stdout.endswith("1 of 2 rules hold; broken: HB-1.\n")


async def test_what_we_alone_decided_fails_nobody_else(room: RoomAddress) -> None:
    async with go_between(room, AnUnknownEventIsUnknown) as address:
        done = await run(address, "--only", "MS-10")
    assert done.returncode == 0
    assert done.stdout.endswith("0 of 1 rules hold; other than we decided: MS-10.\n")


async def test_nobody_there_is_exit_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        done = await run(RoomAddress("127.0.0.1", taken.getsockname()[1], tls=False, mount="/socket"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Connect call failed" in done.stderr

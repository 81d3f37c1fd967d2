"""A thousand conversations at once on one process: all are answered, and then nothing of them is left but rows."""

import asyncio
import gc
import re
import resource
import threading
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.realtime.presence.generations import BOUNDS
from antiphon.tools.base import tool
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import LONGEST, Program, Served, Visitor, Visitors
from tests.soaking import SOAK_SECONDS, rounds

pytestmark = pytest.mark.alone

CONVERSATIONS = 1000
ARRIVING = 50
"""Clients that open their connections side by side."""

PASSING = {
    "antiphon.realtime.presence.state.Entry": CONVERSATIONS,
    "antiphon.realtime.presence.state.Knowledge": 1 + len(BOUNDS),
    "antiphon.realtime.presence.spans.Spans": 1 + len(BOUNDS),
}
"""What there is of presence in passing, and the most of it: who went since its last tick, known until the next one; and
what it keeps of its changes, where a small one may stand for the larger ones."""

PAGES = 64.0
"""Megabytes that SQLite's three connections may come to keep of their file, with what that costs around it."""


@pytest.fixture
def served(program: Program) -> Program:
    return program


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    """Sockets for both ends of every conversation, also in the process that a test starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CONVERSATIONS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"a process may open {hard} files here, fewer than {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """`CONVERSATIONS` clients, each with a connection and a conversation of its own."""

    def __init__(self) -> None:
        self._rounds = count(1)

    @asynccontextmanager
    async def here(self, url: str) -> AsyncIterator[list[Visitor]]:
        """Everybody comes, and goes at the end."""
        visitors, door, number = Visitors(), asyncio.Semaphore(ARRIVING), next(self._rounds)

        async def enter(client: int) -> Visitor:
            async with door:
                return await visitors.enter(url, client_id=f"{number}-{client}")

        try:
            yield await asyncio.gather(*(enter(client) for client in range(CONVERSATIONS)))
        finally:
            await visitors.close()

    async def talk(self, url: str, text: str) -> set[str]:
        """Everybody says the same and hears an answer. Returns the answers."""
        async with self.here(url) as people:
            answers = await asyncio.gather(*(person.ask(text) for person in people))
            for person in people:
                assert [message["role"] for message in person.shown()] == ["user", "assistant"]
                assert {payload["turn_id"] for _, payload in person.events} == {person.shown()[0]["turn_id"]}
        assert Counter(answer["end"]["status"] for answer in answers) == {"answered": CONVERSATIONS}
        return {answer["text"] for answer in answers}


def gauges(url: str) -> dict[str, float]:
    """What the server says there is of sockets, channels, turns and work for the database."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=LONGEST) as answer:
        text = answer.read().decode()
    counted = r"^(antiphon_(?:ws_sockets|ws_channels|turns_running|turns_waiting|store_waiting)\S*) (\S+)$"
    return {name: float(value) for name, value in re.findall(counted, text, re.MULTILINE)}


async def everybody_gone(url: str) -> None:
    """Returns when the server has noticed it; fails when something of them stays."""
    async with asyncio.timeout(LONGEST):
        while any((await asyncio.to_thread(gauges, url)).values()):
            await asyncio.sleep(0.02)


async def settled(measure: Any, limit: int) -> int:
    """What `measure` comes down to; fails when that is more than `limit`."""
    async with asyncio.timeout(LONGEST):
        while (found := int(measure())) > limit:
            await asyncio.sleep(0.02)
    return found


def own_memory(pid: int) -> float:
    """Megabytes that are the process's own, and not of its program or of the files it reads."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


@pytest.mark.timeout(240 + SOAK_SECONDS)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
async def test_a_server_is_after_a_thousand_conversations_what_it_was_before(
    served: Served, record_property: Any
) -> None:
    served.start()
    process, crowd = psutil.Process(served.process.pid), Crowd()
    await crowd.talk(served.url, "!long 20")
    await everybody_gone(served.url)
    threads, files, memory = process.num_threads(), process.num_fds(), own_memory(process.pid)
    held = [memory]
    for _ in rounds(1):
        texts = await crowd.talk(served.url, "!slow 20 !long 20")
        assert len(texts) == 1
        await everybody_gone(served.url)
        await settled(process.num_threads, threads)
        await settled(process.num_fds, files)
        held.append(own_memory(process.pid))
        assert held[-1] < memory + PAGES, held
    record_property("megabytes", held)
    assert "Traceback" not in served.log
    assert '"level":"error"' not in served.log


@pytest.mark.timeout(240)
async def test_a_thousand_turns_run_at_once_and_leave_no_object_behind(house: Serving) -> None:
    """Each turn calls a tool that waits until all are inside it. The first round makes what is made only once."""
    inside = 0
    everybody = asyncio.Event()

    @tool
    async def meet() -> str:
        """Waits until all are here."""
        nonlocal inside
        inside += 1
        if inside == CONVERSATIONS:
            everybody.set()
        await everybody.wait()
        return "met"

    async with house(added=(Assistant("host", instructions="Be one.", tools=[meet]),)) as workspace:
        crowd = Crowd()
        found = []
        for _ in range(2):
            inside = 0
            everybody.clear()
            await crowd.talk(workspace.url, "!tool meet {}")
            await everybody_gone(workspace.url)
            found.append(await census(workspace))
    before, after = found
    assert [name for name, most in PASSING.items() if after.pop(name, 0) > most] == []
    assert {name: (before[name], number) for name, number in after.items() if number > before[name]} == {}


async def census(workspace: Workspace) -> Counter[str]:
    """What there is of our objects by their class, of tasks by what they run, of threads and files.

    The log opens with its first line, and asyncio's own threads and those of `run_async` come and go as they are
    needed, so they do not count.
    """
    await workspace.store.check()  # the writer remembers the last work it did: let that be this
    gc.collect()
    found: Counter[str] = Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in map(type, gc.get_objects())
        if str(kind.__module__).startswith("antiphon.") and not kind.__module__.startswith("antiphon.telemetry")
    )
    found.update(f"task {task.get_coro()!r}".partition(" at 0x")[0] for task in asyncio.all_tasks())
    passing = ("asyncio_", "antiphon")
    found.update(thread.name for thread in threading.enumerate() if not thread.name.startswith(passing))
    return found + Counter(files=psutil.Process().num_fds())

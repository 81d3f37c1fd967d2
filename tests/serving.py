"""What tests of the whole house use: the server as a process or in this one, and a client of one conversation."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from antiphon.adapters.base import ChannelAdapter
from antiphon.assistants.assistant import Assistant
from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.client.presence import ClientPresence
from antiphon.settings.config import Config
from antiphon.workspace import Workspace
from tests.forks import Fork, nursery

SOURCE = Path(__file__).parents[1] / "src"
LONGEST = 20.0
"""Seconds until a test that waits for something gives up."""
OPTIONS = ClientOptions(timeout_seconds=LONGEST, reconnect_seconds=(0.02,), spread_seconds=0.02)
"""Of clients that come back at once."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Of a process that knows nothing of the machine's own settings and keys; its demo model does not dawdle."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "PYTHONPATH": str(SOURCE),
        "PYTHONUNBUFFERED": "1",
        "ANTIPHON_DETECT_LOCAL_MODELS": "false",
        "ANTIPHON_PROVIDERS__DEMO__RATE": "0",
        **more,
    }


class Served:
    """`antiphon serve` in a folder. The first start takes a free port, later ones the same one again.

    A process of its own, which is the fork of a program that has loaded everything; `Program` is one from its start.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.variables = variables
        self.url = ""
        self._process: subprocess.Popen[bytes] | Fork | None = None
        self._log = folder / "server.log"

    @property
    def process(self) -> subprocess.Popen[bytes] | Fork:
        assert self._process is not None, "the server has not been started"
        return self._process

    @property
    def log(self) -> str:
        """What it has written to its terminal, in all its lives."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def launch(self, *arguments: str) -> None:
        """Starts the process and returns at once."""
        port = self.url.rpartition(":")[2] or "0"
        self._process = self._made(["serve", "--port", port, *arguments], environment(self.folder, **self.variables))

    def _made(self, arguments: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes] | Fork:
        return nursery().fork(["antiphon", *arguments], self.folder, variables, self._log)

    def start(self, *arguments: str) -> Self:
        """Starts it and returns when it is ready."""
        known = len(self.log)
        self.launch(*arguments)
        self._wait(lambda: re.search(r"Antiphon\s+http://\S+", self.log[known:]))
        found = re.search(r"http://\S+", self.log[known:])
        assert found is not None
        self.url = found[0]
        self._wait(self._ready)
        return self

    def kill(self) -> None:
        """As `kill -9` or a power cut does."""
        self.process.kill()
        self.process.wait(LONGEST)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to stop, and returns its exit code."""
        self.process.send_signal(how)
        return self.process.wait(LONGEST)

    def end(self) -> None:
        """Whatever it does, it is gone afterwards."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _wait(self, ready: Callable[[], object]) -> None:
        give_up = time.monotonic() + LONGEST
        while not ready():
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < give_up, f"the server did not become ready:\n{self.log}"
            time.sleep(0.005)


class Program(Served):
    """What people start, from the first moment on: for tests of starting, and of all that a process needs."""

    def _made(self, arguments: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes] | Fork:
        command = [sys.executable, "-m", "antiphon", *arguments]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    adapters: Mapping[str, ChannelAdapter] | None = None,
    added: tuple[Assistant, ...] = (),
    **sections: Any,
) -> AsyncIterator[Workspace]:
    """A workspace that serves in this process on a free port, with its data in `folder`. Its demo model is quick."""
    values: dict[str, Any] = {"detect_local_models": False, **sections}
    values["server"] = {"port": 0, "drain_seconds": 0.5} | values.get("server", {})
    values["database"] = {"url": f"sqlite:///{folder}/antiphon.db"} | values.get("database", {})
    values["providers"] = {"demo": {"rate": 0}} | values.get("providers", {})
    workspace = Workspace(Config(**values))
    for assistant in added:
        workspace.assistants.add(assistant)
    workspace.adapters.update(adapters or {})
    ready = asyncio.Event()
    running = asyncio.create_task(workspace.serve(ready.set))
    try:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=LONGEST)
        waiting.cancel()
        if running.done():
            await running
        yield workspace
    finally:
        workspace.server.stop()
        await running


class Visitor:
    """A client of one conversation that keeps what the contract tells a client to keep.

    `messages` by id, `said` the text of every turn as its deltas built it up, `present` who is there, `events`
    everything else in order.
    """

    def __init__(self, client: PhoenixClient, channel: ClientChannel) -> None:
        self.client = client
        self.channel = channel
        self.joined: dict[str, Any] = {}
        self.joins = 0
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.said: dict[str, str] = {}
        self.seq: dict[str, int] = {}
        self.running: str | None = None
        self.cursor: str | None = None
        self._changed = asyncio.Event()
        self.present = ClientPresence(channel)
        channel.on(None, self._take)
        channel.on_joined = self._enter

    @property
    def conversation_id(self) -> str:
        return self.channel.topic.partition(":")[2]

    @property
    def connections(self) -> int:
        """How many there are in the conversation, as far as the client has been told."""
        return sum(len(entry["metas"]) for entry in self.present.state.values())

    def resume(self) -> dict[str, Any]:
        """The payload of the next join."""
        if self.running is not None and self.seq.get(self.running):
            return {"since": {"turn_id": self.running, "seq": self.seq[self.running]}}
        return {} if self.cursor is None else {"since": self.cursor}

    async def say(self, text: str, client_id: str | None = None) -> dict[str, Any]:
        """Sends a message and returns the receipt."""
        payload = {"text": text} | ({"client_id": client_id} if client_id else {})
        receipt: dict[str, Any] = await self.channel.push("message", payload)
        return receipt

    async def ask(self, text: str) -> dict[str, Any]:
        """Sends a message and returns the message that answers it, once the turn has ended."""
        return await self.answer((await self.say(text))["turn_id"])

    async def answer(self, turn_id: str) -> dict[str, Any]:
        """The message that ends a turn, with its end under `end`."""
        end = await self.until("turn_end", turn_id=turn_id)
        return self.messages[end["message_id"]] | {"end": end}

    async def until(self, event: str, **fields: Any) -> dict[str, Any]:
        """Waits for an event with these fields, now or earlier, and returns its payload."""

        seen = 0

        def find() -> dict[str, Any] | None:
            nonlocal seen
            fresh, seen = self.events[seen:], len(self.events)
            for name, payload in fresh:
                if name == event and all(payload.get(key) == value for key, value in fields.items()):
                    return payload
            return None

        found: dict[str, Any] = await self.see(find)
        return found

    async def see(self, find: Callable[[], Any]) -> Any:
        """Waits until `find` finds something after an event or a join, and returns it."""
        async with asyncio.timeout(LONGEST):
            while not (found := find()):
                self._changed.clear()
                await self._changed.wait()
        return found

    def named(self, event: str, turn_id: str | None = None) -> list[dict[str, Any]]:
        """The payloads of an event, of one turn when it is given."""
        return [
            payload
            for name, payload in self.events
            if name == event and (turn_id is None or payload.get("turn_id") == turn_id)
        ]

    def shown(self) -> list[dict[str, Any]]:
        """The messages in the order in which to show them."""
        return sorted(self.messages.values(), key=lambda message: (message["ticket"], message["position"]))

    def _enter(self, reply: dict[str, Any]) -> None:
        self.joins += 1
        self.joined = reply
        self.cursor = reply["cursor"]
        running = {turn["turn_id"] for turn in reply["turns"] if turn["status"] == "running"}
        asked = self.resume().get("since")
        kept = asked["turn_id"] if isinstance(asked, dict) and reply["recovered"] else None
        if not reply["recovered"]:
            self.messages.clear()
        # What is said again from the start must not come behind what was heard of it.
        self.said = {turn: text for turn, text in self.said.items() if turn == kept or turn not in running}
        self.seq = {turn: seq for turn, seq in self.seq.items() if turn in self.said}
        for message in reply["messages"]:
            self.messages[message["id"]] = message
        self.running = next(iter(running), None)
        self._changed.set()

    def _take(self, event: str, payload: dict[str, Any]) -> None:
        if event.startswith("presence_"):
            self._changed.set()
            return
        self.events.append((event, payload))
        turn_id = payload.get("turn_id", "")
        if event == "message":
            self.messages[payload["id"]] = payload
            self.cursor = payload["cursor"]
        elif event == "turn_start":
            self.running = turn_id
        elif event in {"delta", "tool"} and payload["seq"] > self.seq.get(turn_id, 0):
            self.running = turn_id
            self.seq[turn_id] = payload["seq"]
            self.said[turn_id] = self.said.get(turn_id, "") + payload.get("text", "")
        elif event == "turn_end":
            self.running = None
            for message in self.messages.values():
                if message["turn_id"] == turn_id:
                    message["status"] = payload["status"]
        self._changed.set()


class Visitors:
    """Makes visitors of a server and sees them out."""

    def __init__(self) -> None:
        self._open = AsyncExitStack()

    async def connect(self, url: str) -> PhoenixClient:
        client = PhoenixClient(f"{url}/socket", options=OPTIONS)
        return await self._open.enter_async_context(client)

    async def new_conversation(self, client: PhoenixClient, client_id: str = "c1", **wishes: Any) -> str:
        """The id of the conversation that belongs to `client_id`."""
        maker = client.channel("conversation:new", {"client_id": client_id, **wishes})
        reply = await maker.join()
        await maker.leave()
        return str(reply["conversation"]["id"])

    async def enter(self, url: str, conversation_id: str | None = None, client_id: str = "c1", **since: Any) -> Visitor:
        """A visitor of a conversation on a connection of its own; of a new one when no id is given."""
        client = await self.connect(url)
        conversation_id = conversation_id or await self.new_conversation(client, client_id)
        return await self.join(client, conversation_id, **since)

    async def join(self, client: PhoenixClient, conversation_id: str, **since: Any) -> Visitor:
        visitor: Visitor
        channel = client.channel(f"conversation:{conversation_id}", lambda: {**since, **visitor.resume()})
        visitor = Visitor(client, channel)
        await channel.join()
        return visitor

    async def close(self) -> None:
        await self._open.aclose()


def ready(served: Served) -> tuple[int, dict[str, Any]]:
    """What `/ready` says."""
    try:
        with urllib.request.urlopen(f"{served.url}/ready", timeout=LONGEST) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


async def until_ready(served: Served, status: int) -> dict[str, Any]:
    """What `/ready` says once it says it with this status."""
    async with asyncio.timeout(LONGEST):
        while True:
            found, body = await asyncio.to_thread(ready, served)
            if found == status:
                return body
            await asyncio.sleep(0.05)

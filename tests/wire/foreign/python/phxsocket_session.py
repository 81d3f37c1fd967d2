"""phxsocket: version 1, whole numbers as refs, no join_ref. Prints one JSON array per observation."""

import json
import queue
import sys
from typing import Any

import phxsocket  # type: ignore[import-not-found]


def say(*values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def answer(push: Any) -> tuple[str, Any]:
    push.event.wait(10)
    return push.message["status"], push.message["response"]


client = phxsocket.Client(f"ws://{sys.argv[1]}/websocket", {"user_id": "ann"})
client.heartbeat_interval = 0.02
client.connect()
room = client.channel("room:1", {"echo": "é🎵"})
say("join", room.join())
say("echo", *answer(room.push("echo", {"n": [1, None]}, reply=True)))
say("error", *answer(room.push("error", {"why": 1}, reply=True)))
heard: queue.Queue[Any] = queue.Queue()
room.on("message", heard.put)
room.push("broadcast", {"n": 1})
say("broadcast", heard.get(timeout=10))
try:
    client.channel("room:2", {"deny": "full"}).join()
except phxsocket.channel.ChannelConnectError as refusal:
    say("refused", *refusal.args)
leaving = client.push("room:1", "phx_leave", {}, reply=True)
say("leave", *answer(leaving))
say("not there", *answer(room.push("echo", {}, reply=True)))
client.close()

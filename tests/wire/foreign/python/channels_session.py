"""phoenix-channels-python-client, versions 1 and 2. Prints one JSON array per observation."""

import asyncio
import json
import sys
from typing import Any

from phoenix_channels_python_client.client import PHXChannelsClient  # type: ignore[import-not-found]
from phoenix_channels_python_client.exceptions import PHXTopicError  # type: ignore[import-not-found]


def say(*values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def main(url: str, version: str) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    answered = asyncio.Event()
    options: Any = {"protocol_version": version, "heartbeat_interval_s": 0.02, "on_heartbeat_ack": answered.set}
    async with PHXChannelsClient(f"ws://{url}/websocket", "key", **options) as client:
        await client.subscribe_to_topic("room:1", heard.put)
        say("joined", client.is_topic_joined("room:1"))
        await client.unsubscribe_from_topic("room:1")
        say("left", client.is_topic_joined("room:1"))
        await client.subscribe_to_topic("room:1", heard.put)
        say("joined again", client.is_topic_joined("room:1"))
        async with asyncio.timeout(10):
            await answered.wait()
            if version == "1.0":
                try:
                    await client.subscribe_to_topic("nowhere")
                except PHXTopicError as refusal:
                    say("refused", "unmatched topic" in str(refusal))
                # This client can say nothing itself: somebody else has to.
                say("listening")
                message = await heard.get()
                say("broadcast", message.payload)


asyncio.run(main(*sys.argv[1:]))

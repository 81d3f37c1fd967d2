"""Reads answers of a model server in a process of its own: `readers.py loop|bare` takes lines of
`url streams tokens` and answers each with microseconds of CPU a token."""

import asyncio
import sys
import time

import aiohttp
import msgspec
import uvloop

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.run import Run, Text
from antiphon.providers.base import ChatMessage
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProviderSettings
from antiphon.providers.protocols.mending import read
from antiphon.providers.protocols.openai_chat.wire import CHUNK
from antiphon.tools.base import ToolContext


async def loop(url: str, streams: int, tokens: int) -> int:
    """Our client and our loop, without a store and without sockets."""
    provider = CompatibleProvider("demo", ProviderSettings(base_url=url))
    assistant = Assistant("guide", instructions="Answer.")
    context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide")
    question = (ChatMessage(role="user", text=f"!long {tokens}"),)

    async def answer() -> int:
        events = Run(assistant, provider, "demo", question, context).events()
        return sum([isinstance(event, Text) async for event in events])

    counts = await asyncio.gather(*(answer() for _ in range(streams)))
    await provider.stop()
    return sum(counts)


async def bare(url: str, streams: int, tokens: int) -> int:
    """The floor: aiohttp splits lines, msgspec reads them, nothing is made of it."""
    body = msgspec.json.encode(
        {"model": "demo", "stream": True, "messages": [{"role": "user", "content": f"!long {tokens}"}]}
    )

    async def answer(session: aiohttp.ClientSession) -> int:
        count, tail = 0, b""
        async with session.post(f"{url}/chat/completions", data=body) as response:
            async for data in response.content.iter_any():
                *lines, tail = (tail + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        chunk = read(CHUNK, line[6:])
                        count += bool(chunk.choices and chunk.choices[0].delta and chunk.choices[0].delta.content)
        return count

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return sum(await asyncio.gather(*(answer(session) for _ in range(streams))))


def main() -> None:
    read = {"loop": loop, "bare": bare}[sys.argv[1]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            url, streams, tokens = line.split()
            began = time.process_time()
            count = runner.run(read(url, int(streams), int(tokens)))
            print((time.process_time() - began) / count * 1e6, flush=True)


if __name__ == "__main__":
    main()

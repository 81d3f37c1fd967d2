"""Antiphon's own loop and client, on the same event loop as the peers: no store, no sockets."""

import driver

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.run import Run, Text
from antiphon.providers.base import ChatMessage
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProviderSettings
from antiphon.tools.base import ToolContext, tool
from benchmarks.scripted import Scripted

CONTEXT = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide")
clock = tool(driver.clock)


def stream(url: str) -> driver.Stream:
    provider = CompatibleProvider("demo", ProviderSettings(base_url=url))
    assistant = Assistant("guide", instructions="Answer.")

    async def read(_: str, tokens: int) -> int:
        question = (ChatMessage(role="user", text=f"!long {tokens}"),)
        events = Run(assistant, provider, "demo", question, CONTEXT).events()
        return sum([isinstance(event, Text) async for event in events])

    return read


def make() -> Assistant:
    return Assistant("guide", instructions="Answer.", tools=[clock])


def turn() -> driver.Turn:
    assistant, model = make(), Scripted()
    question = (ChatMessage(role="user", text=driver.QUESTION),)

    async def one() -> str:
        ended = await Run(assistant, model, "script", question, CONTEXT).whole()
        return ended.text

    return one


driver.main(stream, turn, make)

"""agno: an agent that streams, and one on a model that takes no time; its telemetry is off."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import driver
from agno.agent import Agent
from agno.models.base import Model
from agno.models.openai.like import OpenAILike
from agno.models.response import ModelResponse


def stream(url: str) -> driver.Stream:
    model = OpenAILike(id="demo", api_key="none", base_url=url)

    async def read(session: str, tokens: int) -> int:
        count = 0
        agent = Agent(model=model, telemetry=False)
        async for event in agent.arun(f"!long {tokens}", stream=True, session_id=session):
            count += event.event == "RunContent"
        return count

    return read


@dataclass
class Scripted(Model):
    id: str = "scripted"
    name: str = "Scripted"
    provider: str = "Scripted"

    def invoke(self, messages: list[Any], **_: Any) -> ModelResponse:
        if messages[-1].role == "tool":
            return ModelResponse(role="assistant", content="".join(driver.SENTENCE))
        call = {"id": "call", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
        return ModelResponse(role="assistant", tool_calls=[call])

    async def ainvoke(self, messages: list[Any], **keywords: Any) -> ModelResponse:
        return self.invoke(messages, **keywords)

    def invoke_stream(self, messages: list[Any], **keywords: Any) -> Iterator[ModelResponse]:
        yield self.invoke(messages, **keywords)

    async def ainvoke_stream(self, messages: list[Any], **keywords: Any) -> AsyncIterator[ModelResponse]:
        yield self.invoke(messages, **keywords)

    def _parse_provider_response(self, response: Any, **_: Any) -> ModelResponse:
        return response

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        return response


def make() -> Agent:
    return Agent(model=Scripted(), tools=[driver.clock], instructions="Answer.", telemetry=False)


def turn() -> driver.Turn:
    agent = make()

    async def one() -> Any:
        return (await agent.arun(driver.QUESTION)).content

    return one


driver.main(stream, turn, make)

"""pydantic-ai: an agent that streams its text, and one on a model that is a function."""

import driver
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def stream(url: str) -> driver.Stream:
    agent = Agent(OpenAIChatModel("demo", provider=OpenAIProvider(base_url=url, api_key="none")))

    async def read(_: str, tokens: int) -> int:
        count = 0
        async with agent.run_stream(f"!long {tokens}") as result:
            async for _piece in result.stream_text(delta=True, debounce_by=None):
                count += 1
        return count

    return read


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if isinstance(messages[-1].parts[-1], ToolReturnPart):
        return ModelResponse([TextPart("".join(driver.SENTENCE))])
    return ModelResponse([ToolCallPart("clock", {})])


def make() -> Agent:
    return Agent(FunctionModel(answer), tools=[driver.clock], instructions="Answer.")


def turn() -> driver.Turn:
    agent = make()

    async def one() -> str:
        return (await agent.run(driver.QUESTION)).output

    return one


driver.main(stream, turn, make)

"""LangGraph's agent of langchain: streamed message by message, and on a model that takes no time."""

from typing import Any

import driver
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI


def stream(url: str) -> driver.Stream:
    agent = create_agent(ChatOpenAI(model="demo", base_url=url, api_key="none", streaming=True))

    async def read(_: str, tokens: int) -> int:
        count = 0
        question = {"messages": [{"role": "user", "content": f"!long {tokens}"}]}
        async for message, _about in agent.astream(question, stream_mode="messages"):
            count += bool(message.content)
        return count

    return read


class Scripted(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> "Scripted":
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        if isinstance(messages[-1], ToolMessage):
            said = AIMessage("".join(driver.SENTENCE))
        else:
            said = AIMessage("", tool_calls=[{"name": "clock", "args": {}, "id": "call"}])
        return ChatResult(generations=[ChatGeneration(message=said)])


def make() -> Any:
    return create_agent(Scripted(), [driver.clock], system_prompt="Answer.")


def turn() -> driver.Turn:
    agent = make()

    async def one() -> Any:
        done = await agent.ainvoke({"messages": [{"role": "user", "content": driver.QUESTION}]})
        return done["messages"][-1].content

    return one


driver.main(stream, turn, make)

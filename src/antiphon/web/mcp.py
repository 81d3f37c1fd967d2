"""`/mcp`: our assistants, and the tools that settings name, as an MCP server over streamable HTTP.

Every request stands for itself (the protocol's stateless mode), so that any process of the house answers any of them.
The official library is loaded only where this is served. Whom we answer to at all is decided in front of it (`Guard`).
"""

import logging
from collections.abc import Mapping
from contextlib import aclosing
from importlib import import_module
from typing import Any

import anyio
from msgspec import Struct, json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.assistants.approvals import NOBODY_TO_ASK
from antiphon.assistants.directory import Directory
from antiphon.assistants.state import StatesInMemory, TurnStates
from antiphon.assistants.turn import TurnServices
from antiphon.assistants.wishes import AnswerWishes
from antiphon.domain import Person, new_id
from antiphon.errors import ModuleError
from antiphon.providers.base import ChatMessage, TextDelta
from antiphon.tools.base import Tool, ToolContext
from antiphon.web.auth import CurrentPerson
from antiphon.web.openai.answering import Answerer
from antiphon.web.openai.body import AskedCompletion
from antiphon.web.openai.errors import ApiError, RefusedError
from antiphon.web.problems import problem

PATH = "/mcp"

_ASK = "ask_"
_QUESTION = {
    "type": "object",
    "properties": {"question": {"type": "string", "description": "What to ask, with all that must be known for it."}},
    "required": ["question"],
    "additionalProperties": False,
}


class McpServing(Struct, frozen=True, kw_only=True):
    """What is served. `tools` are the names of those that are, where an assistant has them."""

    version: str
    tools: tuple[str, ...]
    max_body_bytes: int


class McpEndpoint:
    """An ASGI application. Raises `ModuleError` when the extra is missing."""

    def __init__(
        self,
        answerer: Answerer,
        assistants: Directory,
        current: CurrentPerson,
        serving: McpServing,
    ) -> None:
        self._answerer = answerer
        self._assistants = assistants
        self._current = current
        self._serving = serving
        try:
            self._types = import_module("mcp.types")
            self._managers = import_module("mcp.server.streamable_http_manager")
            lowlevel = import_module("mcp.server.lowlevel.server")
        except ModuleNotFoundError as error:
            raise ModuleError(f"mcp.serve needs the package {error.name!r}; install antiphon[mcp].") from error
        logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it quotes what clients say
        self._server = lowlevel.Server(
            "antiphon", version=serving.version, on_list_tools=self._list, on_call_tool=self._call
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/") != PATH:
            await problem(404, "Not Found", f"There is nothing here but {PATH}.")(scope, receive, send)
        elif scope["method"] != "POST":  # nothing is ever said unasked, and there are no sessions to end
            await problem(405, "Method Not Allowed", f"{PATH} is asked by POST.")(scope, receive, send)
        else:
            manager = self._managers.StreamableHTTPSessionManager(
                self._server, stateless=True, json_response=True, max_request_body_size=self._serving.max_body_bytes
            )
            async with manager.run():
                await _while_there(manager.handle_request, scope, receive, send)

    async def _list(self, _: Any, __: Any) -> Any:
        offered = [
            self._types.Tool(
                name=f"{_ASK}{each.name}",
                description=f"Asks the assistant {each.name}. {each.description}".strip(),
                input_schema=_QUESTION,
            )
            for each in self._assistants.all()
        ]
        offered += [
            self._types.Tool(name=each.name, description=each.description, input_schema=dict(each.parameters))
            for each in self._tools().values()
        ]
        return self._types.ListToolsResult(tools=offered)

    async def _call(self, _: Any, asked: Any) -> Any:
        arguments = asked.arguments or {}
        person = await self._current()
        if tool := self._tools().get(asked.name):
            written = json.encode(arguments).decode()
            if self._answerer.flow.rules.ask(tool, written):
                return self._result(NOBODY_TO_ASK, failed=True)
            result = await tool.call(written, self._context(person))
            return self._result(result.text, failed=result.failed)
        if not asked.name.startswith(_ASK):
            return self._result(f"There is no tool called {asked.name[:100]}.", failed=True)
        question = arguments.get("question")
        if not isinstance(question, str) or not question.strip():
            return self._result("question must be a text.", failed=True)
        return await self._ask(asked.name.removeprefix(_ASK), question, person)

    async def _ask(self, name: str, question: str, person: Person) -> Any:
        said: list[str] = []
        try:
            answering = await self._answerer.begin(_asked(name, question), person)
        except RefusedError as refused:
            return self._result(refused.error.message, failed=True)
        async with aclosing(answering.events()) as events:
            async for event in events:
                if isinstance(event, ApiError):
                    return self._result("\n\n".join(filter(None, ("".join(said), event.message))), failed=True)
                if isinstance(event, TextDelta):
                    said.append(event.text)
        return self._result("".join(said), failed=False)

    def _tools(self) -> Mapping[str, Tool[..., Any]]:
        found = {each.name: each for assistant in self._assistants.all() for each in assistant.tools}
        return {name: found[name] for name in self._serving.tools if name in found}

    def _context(self, person: Person) -> ToolContext:
        conversation, turn = new_id(), new_id()
        services = TurnServices(self._answerer.flow.services, TurnStates(StatesInMemory(), conversation), {})
        return ToolContext(
            person_id=person.id,
            conversation_id=conversation,
            turn_id=turn,
            message_id="",
            assistant=self._assistants.default.name,
            services=services,
        )

    def _result(self, text: str, *, failed: bool) -> Any:
        content = [self._types.TextContent(type="text", text=text)]
        return self._types.CallToolResult(content=content, is_error=failed)


async def _while_there(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers by `app`, which reads the request and then listens no more, until the client has gone: nobody reads what
    is done for it from there on."""
    whole = anyio.Event()

    async def read() -> Message:
        message = await receive()
        if not message.get("more_body", False):
            whole.set()
        return message

    async def watch(scope: anyio.CancelScope) -> None:
        await whole.wait()
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        await app(scope, read, send)
        group.cancel_scope.cancel()


def _asked(assistant: str, question: str) -> AskedCompletion:
    return AskedCompletion(
        name=assistant,
        assistant=assistant,
        model=None,
        messages=(ChatMessage(role="user", text=question),),
        wishes=AnswerWishes(),
        stream=False,
        usage=False,
        store=False,
        conversation=None,
        user=None,
    )

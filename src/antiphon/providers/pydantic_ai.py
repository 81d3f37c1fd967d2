"""Any model of pydantic-ai: the bridge to vendors that speak none of our protocols, such as Bedrock or Cohere.

`pydantic-ai:bedrock:amazon.nova-pro-v1:0` is pydantic-ai's `bedrock:amazon.nova-pro-v1:0`, with its keys and its
variables (https://ai.pydantic.dev/models). Needs the extra `pydantic-ai`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, TypeVar, cast

import msgspec
from pydantic import TypeAdapter
from pydantic_ai import messages
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelConnectionError,
    ModelHTTPError,
    ModelTimeoutError,
    UserError,
)
from pydantic_ai.messages import (
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from antiphon.domain import Usage
from antiphon.errors import ConfigError, ProviderError
from antiphon.providers.base import (
    ChatMessage,
    Error,
    ErrorKind,
    Event,
    File,
    Finish,
    FinishReason,
    ModelInfo,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolName,
    UsageReport,
)
from antiphon.providers.config import ProviderSettings
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.asking import given, in_words, with_order
from antiphon.providers.protocols.opaque import sealed, unsealed

_T = TypeVar("_T")
_PROTOCOL = "pydantic_ai"
_FINISHES: dict[str | None, FinishReason] = {"length": "length", "content_filter": "filtered"}
_KINDS: tuple[tuple[type[Exception], ErrorKind], ...] = (
    (ModelTimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (ModelConnectionError, "unreachable"),
    (ContentFilterError, "filtered"),
    (UserError, "auth"),  # what pydantic-ai misses is nearly always a key
    (ImportError, "invalid"),
)
_parts = TypeAdapter[ThinkingPart | ToolCallPart](ThinkingPart | ToolCallPart)


class PydanticAIProvider:
    """All models of pydantic-ai, each made when it is first asked for; see `base.Provider` for the contract.

    Of the settings only the time-outs hold: addresses and keys are pydantic-ai's own. Raises `ConfigError` for others.
    """

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        for setting in ("base_url", "api_key", "headers", "api", "api_version", "body"):
            if getattr(settings, setting):
                raise ConfigError(
                    f"providers.{name}.{setting} means nothing. Set the variables that pydantic-ai reads."
                )
        self.name = name
        self._timeouts = settings.timeouts
        self._failures = Failures(name)
        self._models: dict[str, Model[Any]] = {}
        self._open = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._waiting: set[asyncio.Timeout] = set()
        self._stopped = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """The answer to `request` as it is made. Closing the stream closes its connection."""
        begun = False
        try:
            model = await self._model(request.model)
            asked = model_request_stream(
                model, _prompt(request), model_settings=_settings(request), model_request_parameters=_tools(request)
            )
            async with AsyncExitStack() as stack:
                answer = await self._in_time(self._timeouts.first_byte, stack.enter_async_context(asked))
                events = await stack.enter_async_context(aclosing(self._events(answer)))
                async for event in events:
                    begun = True
                    yield event
        except Exception as error:  # noqa: BLE001 - the SDKs below raise what they like, and a provider never raises
            yield self._failed(error, begun=begun)

    async def models(self) -> tuple[ModelInfo, ...]:
        """Raises `ProviderError`: pydantic-ai has no list that holds for the vendors whose keys are here."""
        raise ProviderError("pydantic-ai lists no models", kind="invalid")

    async def stop(self) -> None:
        """Closes every connection; streams under way end with `Error("interrupted")`."""
        self._stopped = True
        for waiting in self._waiting:
            waiting.reschedule(0)
        await self._open.aclose()

    async def _model(self, name: str) -> Model[Any]:
        async with self._opening:
            if name not in self._models:
                self._models[name] = await self._open.enter_async_context(infer_model(name))
            return self._models[name]

    async def _events(self, answer: StreamedResponse) -> AsyncGenerator[Event, None]:
        iterator = aiter(answer)
        while (event := await self._in_time(self._timeouts.between, anext(iterator, None))) is not None:
            if (told := _piece(event)) is not None:
                yield told
        whole = answer.get()
        for last in _rest(whole.parts):
            yield last
        yield UsageReport(_usage(answer))
        yield Finish(_FINISHES.get(answer.finish_reason, "tool_calls" if whole.tool_calls else "stop"))

    async def _in_time(self, seconds: float, work: Awaitable[_T]) -> _T:
        async with asyncio.timeout(0 if self._stopped else seconds) as waiting:
            self._waiting.add(waiting)
            try:
                return await work
            finally:
                self._waiting.discard(waiting)

    def _failed(self, error: Exception, *, begun: bool) -> Error:
        if self._stopped:
            return self._failures.of("interrupted", "the provider was stopped")
        if isinstance(error, ModelHTTPError):
            found = self._failures.of_status(error.status_code, msgspec.json.encode(error.body), error.headers or {})
        else:
            kind: ErrorKind = next((kind for type_, kind in _KINDS if isinstance(error, type_)), "protocol")
            quote = str(error) if isinstance(error, UserError | ImportError) else ""
            found = self._failures.of(kind, type(error).__name__, quote=quote)
        if begun and found.kind == "unreachable":
            found = self._failures.of("interrupted", type(error).__name__)
        return msgspec.structs.replace(found, retryable=False) if begun else found


def _piece(event: ModelResponseStreamEvent) -> Event | None:
    match event:
        case PartStartEvent(part=TextPart(content=text)) | PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            return TextDelta(text) if text else None
        case PartStartEvent(part=ThinkingPart(content=text)):
            return ReasoningDelta(text) if text else None
        case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)):
            return ReasoningDelta(text) if text else None
        case _:
            return None


def _rest(parts: Sequence[ModelResponsePart]) -> Iterator[Event]:
    """What is only whole at the end: what must go back, and calls, whose pieces may come in any order."""
    ours = [part for part in parts if isinstance(part, ThinkingPart | ToolCallPart) and part.provider_name is not None]
    if ours:
        yield ReasoningDelta("", sealed(_PROTOCOL, [_parts.dump_python(part, mode="json") for part in ours]))
    for index, part in enumerate(part for part in parts if isinstance(part, ToolCallPart)):
        call = ToolCall(id=part.tool_call_id, name=part.tool_name, arguments=part.args_as_json_str())
        yield ToolCallStart(index, call.id, call.name)
        yield ToolCallDelta(index, call.arguments)
        yield ToolCallEnd(index, call)


def _prompt(request: ModelRequest) -> list[ModelMessage]:
    prompt = request.messages if request.output is None else with_order(request.messages, in_words(request.output))
    return [_message(message) for message in prompt]


def _message(message: ChatMessage) -> ModelMessage:
    match message.role:
        case "system":
            return messages.ModelRequest(parts=[SystemPromptPart(message.text)])
        case "user":
            content: list[UserContent] = [*filter(None, [message.text]), *(_file(file) for file in message.files)]
            return messages.ModelRequest(parts=[UserPromptPart(content if message.files else message.text)])
        case "tool":
            return messages.ModelRequest(
                parts=[ToolReturnPart(message.name or "", message.text, tool_call_id=message.call_id or "")]
            )
        case "assistant":
            return ModelResponse(parts=list(_answer(message)))


def _answer(message: ChatMessage) -> Iterator[ModelResponsePart]:
    kept = [_parts.validate_python(part) for part in unsealed(_PROTOCOL, message.opaque) or ()]
    yield from (part for part in kept if isinstance(part, ThinkingPart))
    if message.text:
        yield TextPart(message.text)
    signed = {part.tool_call_id: part for part in kept if isinstance(part, ToolCallPart)}
    for call in message.calls:
        yield signed.get(call.id) or ToolCallPart(call.name, call.arguments, tool_call_id=call.id)


def _file(file: File) -> UserContent:
    if file.data is not None:
        return BinaryContent(file.data, media_type=file.media_type)
    url = file.url or ""
    return ImageUrl(url) if file.media_type.startswith("image/") else DocumentUrl(url, media_type=file.media_type)


def _tools(request: ModelRequest) -> ModelRequestParameters:
    tools = [
        ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=dict(tool.parameters))
        for tool in request.tools
    ]
    return ModelRequestParameters(function_tools=tools)


def _settings(request: ModelRequest) -> ModelSettings:
    told = given(
        max_retries=0,  # who calls a provider repeats, and counts how often
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
        stop_sequences=list(request.stop) or None,
        max_tokens=request.max_tokens,
        thinking=request.effort,
    )
    settings = cast("ModelSettings", told)
    if request.tools and request.tool_choice != "auto":
        choice = request.tool_choice
        settings["tool_choice"] = [choice.name] if isinstance(choice, ToolName) else choice
    return settings


def _usage(answer: StreamedResponse) -> Usage:
    usage = answer.usage
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cache_read_tokens,
        reasoning_tokens=usage.details.get("reasoning_tokens", 0),
    )

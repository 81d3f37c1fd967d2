"""The body of `POST /v1/chat/completions`, read: who is asked, what was said before, and on which terms.

https://platform.openai.com/docs/api-reference/chat/create. A field that is not here only tunes how a model finds its
words (penalties, biases) and is left to the assistant; one that would change the form of the answer and cannot be kept
is refused.
"""

import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from antiphon.assistants.wishes import AnswerWishes
from antiphon.providers.base import ChatMessage, OutputSchema, ToolName, ToolSpec
from antiphon.web.openai.errors import invalid
from antiphon.web.openai.messages import Incoming, read_messages

MAX_TOOLS = 128
"""As OpenAI has it."""

MAX_STOPS = 4
"""As OpenAI has it."""

MAX_STOP = 200
"""Characters of one of them."""

MAX_NAME = 200
"""Characters of a name, which is told back, counted by and kept."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_EFFORTS: dict[str, Literal["low", "medium", "high"]] = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}


class OfferedFunction(Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class OfferedTool(Struct, frozen=True):
    type: str
    function: OfferedFunction | None = None


class ChosenFunction(Struct, frozen=True):
    name: str


class ChosenTool(Struct, frozen=True):
    type: str
    function: ChosenFunction | None = None


class StreamWishes(Struct, frozen=True):
    include_usage: bool = False


class JsonSchema(Struct, frozen=True):
    name: str
    schema: dict[str, Any] | None = None


class ResponseFormat(Struct, frozen=True):
    type: str
    json_schema: JsonSchema | None = None


class Body(Struct, frozen=True):
    model: str
    messages: list[Incoming]
    stream: bool | None = None
    stream_options: StreamWishes | None = None
    tools: list[OfferedTool] | None = None
    tool_choice: str | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    prompt_cache_key: str | None = None
    n: int | None = None
    top_p: float | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    stop: str | list[str] | None = None
    modalities: list[str] | None = None
    functions: list[Any] | None = None


class AskedCompletion(Struct, frozen=True, kw_only=True):
    """A request that can be answered. `assistant` may be asked to answer with `model` (`provider:model`)."""

    name: str
    assistant: str
    model: str | None
    messages: tuple[ChatMessage, ...]
    wishes: AnswerWishes
    stream: bool
    usage: bool
    store: bool
    conversation: str | None
    user: str | None


_decoder = msgspec.json.Decoder(Body)


def read_body(raw: bytes, *, max_messages: int) -> AskedCompletion:
    """Raises `RefusedError` saying what is wrong, and where."""
    body = _decoded(raw)
    _refuse_unkept(body)
    if not body.messages:
        raise invalid("`messages` is empty. Say something.", "messages")
    if len(body.messages) > max_messages:
        raise invalid(f"`messages` has {len(body.messages):,} entries; {max_messages:,} are the most.", "messages")
    assistant, at, model = body.model.partition("@")
    conversation = (body.metadata or {}).get("conversation")
    for field, name in {"model": body.model, "metadata.conversation": conversation, "user": body.user}.items():
        if name is not None and (not 1 <= len(name) <= MAX_NAME or "\0" in name):
            raise invalid(f"`{field}` has 1 to {MAX_NAME} characters, and none of them is NUL.", field)
    return AskedCompletion(
        name=body.model,
        assistant=assistant,
        model=model if at else None,
        messages=read_messages(body.messages),
        wishes=_wishes(body),
        stream=bool(body.stream),
        usage=body.stream_options is not None and body.stream_options.include_usage,
        store=bool(body.store),
        conversation=conversation,
        user=body.user,
    )


def _decoded(raw: bytes) -> Body:
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError as error:
        what = str(error)
        place = _PLACE.search(what)
        raise invalid(f"{what.rstrip('.')}.", place[1] or None if place else None) from None
    except (ValueError, RecursionError):
        raise invalid(
            "The body is no JSON object as https://platform.openai.com/docs/api-reference/chat has it."
        ) from None


def _refuse_unkept(body: Body) -> None:
    wrong = {
        "n": body.n not in {None, 1},
        "logprobs": bool(body.logprobs),
        "top_logprobs": bool(body.top_logprobs),
        "modalities": body.modalities not in (None, ["text"]),
        "functions": bool(body.functions),
    }
    for field, unkept in wrong.items():
        if unkept:
            raise invalid(f"`{field}` is not supported here. Leave it out.", field, "unsupported_parameter")


def _wishes(body: Body) -> AnswerWishes:
    longest = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    if longest is not None and longest < 1:
        raise invalid("The limit of tokens is at least 1.", "max_completion_tokens")
    if body.temperature is not None and not 0 <= body.temperature <= 2:
        raise invalid("`temperature` lies between 0 and 2.", "temperature")
    if body.top_p is not None and not 0 <= body.top_p <= 1:
        raise invalid("`top_p` lies between 0 and 1.", "top_p")
    if body.seed is not None and not -(2**63) <= body.seed < 2**63:
        raise invalid("`seed` has at most 64 bits.", "seed")
    if body.reasoning_effort is not None and body.reasoning_effort not in _EFFORTS:
        raise invalid(f"`reasoning_effort` is one of {', '.join(_EFFORTS)}.", "reasoning_effort")
    return AnswerWishes(
        tools=_tools(body.tools or []),
        tool_choice=_choice(body.tool_choice),
        parallel=body.parallel_tool_calls is not False,
        temperature=body.temperature,
        max_tokens=longest,
        effort=None if body.reasoning_effort is None else _EFFORTS[body.reasoning_effort],
        output=_output(body.response_format),
        cache_key=body.prompt_cache_key,
        top_p=body.top_p,
        seed=body.seed,
        stop=_stops(body.stop),
    )


def _stops(wanted: str | list[str] | None) -> tuple[str, ...]:
    stops = (wanted,) if isinstance(wanted, str) else tuple(wanted or ())
    if len(stops) > MAX_STOPS:
        raise invalid(f"`stop` has at most {MAX_STOPS} entries.", "stop")
    if not all(1 <= len(stop) <= MAX_STOP for stop in stops):
        raise invalid(f"An entry of `stop` has 1 to {MAX_STOP} characters.", "stop")
    return stops


def _tools(offered: list[OfferedTool]) -> tuple[ToolSpec, ...]:
    if len(offered) > MAX_TOOLS:
        raise invalid(f"`tools` has {len(offered)} entries; {MAX_TOOLS} are the most.", "tools")
    tools: dict[str, ToolSpec] = {}
    for place, tool in enumerate(offered):
        function = tool.function
        if tool.type != "function" or function is None:
            raise invalid("Only tools of type `function` are supported here.", f"tools[{place}].type")
        if not _NAME.fullmatch(function.name):
            raise invalid("A name has 1 to 64 letters, digits, _ or -.", f"tools[{place}].function.name")
        if function.name in tools:
            raise invalid(f"Two tools are called {function.name}.", f"tools[{place}].function.name")
        tools[function.name] = ToolSpec(
            name=function.name,
            description=function.description or "",
            parameters=function.parameters or {"type": "object", "properties": {}},
        )
    return tuple(tools.values())


def _choice(chosen: str | ChosenTool | None) -> Literal["auto", "required", "none"] | ToolName:
    match chosen:
        case None:
            return "auto"
        case "auto" | "required" | "none":
            return chosen
        case ChosenTool(type="function", function=ChosenFunction(name=name)):
            return ToolName(name)
        case _:
            raise invalid("`tool_choice` is `auto`, `required`, `none` or one function by its name.", "tool_choice")


def _output(wanted: ResponseFormat | None) -> OutputSchema | None:
    match wanted:
        case None | ResponseFormat(type="text"):
            return None
        case ResponseFormat(type="json_object"):
            return OutputSchema(name="object", schema={"type": "object"})
        case ResponseFormat(type="json_schema", json_schema=JsonSchema(name=name, schema=schema)):
            if not _NAME.fullmatch(name):
                raise invalid("A name has 1 to 64 letters, digits, _ or -.", "response_format.json_schema.name")
            return OutputSchema(name=name, schema=schema or {"type": "object"})
        case _:
            raise invalid("The type is `text`, `json_object` or `json_schema`, with that.", "response_format")

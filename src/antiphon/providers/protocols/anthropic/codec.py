"""Requests of Anthropic's messages protocol, and its list of models.

https://platform.claude.com/docs/en/api/messages. What a model of one generation refuses is told by `traits`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.providers.base import ModelInfo, ModelRequest, ToolName
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.anthropic.decoder import AnthropicDecoder
from antiphon.providers.protocols.anthropic.messages import conversation
from antiphon.providers.protocols.anthropic.schema import accepted
from antiphon.providers.protocols.anthropic.traits import Traits, maker_of, traits_of
from antiphon.providers.protocols.asking import asked_model, in_words
from antiphon.providers.protocols.listing import entries, window

_VERSION = "2023-06-01"
_BETA = "thinking-binding-controls-2026-08-01"
_LONGEST = 32_000
"""Tokens of an answer for which nobody set a limit: the protocol wants one, and every model in service allows this."""

_BUDGETS = {"low": 2_048, "medium": 8_192, "high": 16_384}
"""Tokens of thinking, of the models that want a number."""


class AnthropicMessages(Struct, frozen=True):
    """The codec. Thinking comes back signed, and goes back under `opaque={"anthropic": …}`."""

    @property
    def models_path(self) -> str:
        return "v1/models?limit=1000"

    def path(self, _: ModelRequest, /) -> str:
        return "v1/messages"

    def headers(self, key: str | None) -> Mapping[str, str]:
        fixed = {"anthropic-version": _VERSION, "anthropic-beta": _BETA}
        return fixed if key is None else {**fixed, "x-api-key": key}

    def encode(self, request: ModelRequest) -> bytes:
        traits = traits_of(request.model)
        system, turns = conversation(request.messages, maker_of(request.model))
        system += [{"type": "text", "text": order} for order in _in_words(request, traits)]
        thinking = _thinking(request, traits)
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": (request.max_tokens or _LONGEST) + thinking.get("budget_tokens", 0),
            "messages": turns,
            "stream": True,
        }
        if system:
            body["system"] = system
        if thinking:
            body["thinking"] = thinking
        body |= _tools(request, traits) if request.tools else _tools_of_the_past(request)
        if request.temperature is not None and traits.samples and not thinking:
            body["temperature"] = min(request.temperature, 1.0)
        elif request.top_p is not None and traits.samples and not thinking:  # newer models take one of the two
            body["top_p"] = request.top_p
        if stops := [stop for stop in request.stop if stop.strip()]:
            body["stop_sequences"] = stops
        if output := _output(request, traits):
            body["output_config"] = output
        return msgspec.json.encode(body)

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> AnthropicDecoder:
        return AnthropicDecoder(failures, payload, maker=maker_of(asked_model(payload)), wait=wait)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return tuple(
            ModelInfo(id=entry["id"], context=window(entry, "max_input_tokens"))
            for entry in entries(body, "data", "id")
        )


def _thinking(request: ModelRequest, traits: Traits) -> dict[str, Any]:
    if traits.adaptive:
        if not traits.thinks_unasked and request.effort is None:
            return {}
        thinking: dict[str, Any] = {"type": "adaptive", "display": "summarized"}
        if traits.binds_thinking:  # a history that was shortened or reworded must not be refused for ever
            thinking["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
        return thinking
    if request.effort is None or _is_forced(request):
        return {}
    return {"type": "enabled", "budget_tokens": _BUDGETS[request.effort]}


def _is_forced(request: ModelRequest) -> bool:
    return bool(request.tools) and request.tool_choice not in ("auto", "none")


def _in_words(request: ModelRequest, traits: Traits) -> Iterator[str]:
    """What cannot be demanded of this model: a call of the newest, JSON of the oldest."""
    if _is_forced(request) and not traits.can_be_forced:
        which = f"the tool {request.tool_choice.name}" if isinstance(request.tool_choice, ToolName) else "a tool"
        yield f"Answer this time with a call of {which}, and with nothing else."
    if request.output is not None and not traits.takes_schema:
        yield in_words(request.output)


def _tools(request: ModelRequest, traits: Traits) -> dict[str, Any]:
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
        for tool in request.tools
    ]
    match request.tool_choice:
        case "none":
            return {"tools": tools, "tool_choice": {"type": "none"}}
        case "required" if traits.can_be_forced:
            return {"tools": tools, "tool_choice": {"type": "any"}}
        case ToolName(name=name) if traits.can_be_forced:
            return {"tools": tools, "tool_choice": {"type": "tool", "name": name}}
        case _:
            return {"tools": tools}


def _tools_of_the_past(request: ModelRequest) -> dict[str, Any]:
    """Calls are refused in a request without tools; none of these may be called again."""
    names = dict.fromkeys(call.name for message in request.messages for call in message.calls)
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    return {"tools": tools, "tool_choice": {"type": "none"}} if tools else {}


def _output(request: ModelRequest, traits: Traits) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if request.effort is not None and traits.adaptive:
        config["effort"] = request.effort
    if request.output is not None and traits.takes_schema:
        config["format"] = {"type": "json_schema", "schema": accepted(request.output.schema)}
    return config

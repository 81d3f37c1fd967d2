"""Requests of Google's generate-content protocol, and its list of models.

https://ai.google.dev/api/generate-content. Models up to 2.5 think within a budget of tokens, those behind it at a
level; a model's name stands with or without `models/`.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.providers.base import ModelInfo, ModelRequest, ToolName
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.asking import given
from antiphon.providers.protocols.google.contents import contents
from antiphon.providers.protocols.google.decoder import GoogleDecoder
from antiphon.providers.protocols.google.schema import accepted
from antiphon.providers.protocols.listing import entries, window

_BUDGETS = {"low": 1_024, "medium": 8_192, "high": 24_576}
_MODEL = re.compile(r"(?:[a-zA-Z]+/)?[\w.-]+")
_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_LATEST = re.compile(r"gemini-[a-z-]+-latest")
_LARGEST_SEED = 0x7FFF_FFFF
_NEWEST = (9, 9)
_OTHER = (0, 0)


class GoogleGenerate(Struct, frozen=True):
    """The codec. Thought signatures come back under `opaque={"google": …}`, by the part to which each belongs."""

    @property
    def models_path(self) -> str:
        return "models?pageSize=1000"

    def path(self, request: ModelRequest, /) -> str:
        if not _MODEL.fullmatch(request.model):
            raise ValueError("no name of a model")
        name = request.model if "/" in request.model else f"models/{request.model}"
        return f"{name}:streamGenerateContent?alt=sse"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"x-goog-api-key": key}

    def encode(self, request: ModelRequest) -> bytes:
        version = _version(request.model)
        system, turns = contents(request.messages, signed=not _OTHER < version < (3, 0))
        body: dict[str, Any] = {"contents": turns}
        if system:
            body["systemInstruction"] = {"parts": system}
        if request.tools:
            body |= _tools(request)
        if config := _config(request, version):
            body["generationConfig"] = config
        return msgspec.json.encode(body)

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> GoogleDecoder:
        return GoogleDecoder(failures, payload, wait=wait)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return tuple(_model(entry) for entry in entries(body, "models", "name") if _answers(entry))


def _version(model: str) -> tuple[int, int]:
    if match := _VERSION.search(model):
        return int(match[1]), int(match[2] or 0)
    return _NEWEST if _LATEST.search(model) else _OTHER


def _config(request: ModelRequest, version: tuple[int, int]) -> dict[str, Any]:
    config = given(
        temperature=request.temperature,
        topP=request.top_p,
        seed=None if request.seed is None else request.seed & _LARGEST_SEED,
        stopSequences=request.stop or None,
        maxOutputTokens=request.max_tokens,
    )
    if request.output is not None:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = accepted(request.output.schema)
    if version >= (2, 5):
        config["thinkingConfig"] = {"includeThoughts": True, **_effort(request, version)}
    return config


def _effort(request: ModelRequest, version: tuple[int, int]) -> dict[str, Any]:
    if request.effort is None:
        return {}
    return {"thinkingLevel": request.effort} if version >= (3, 0) else {"thinkingBudget": _BUDGETS[request.effort]}


def _tools(request: ModelRequest) -> dict[str, Any]:
    declared = [
        {"name": tool.name, "description": tool.description, "parametersJsonSchema": accepted(tool.parameters)}
        for tool in request.tools
    ]
    choice: dict[str, Any] = {"mode": "ANY"}
    match request.tool_choice:
        case "auto" | "none" as mode:
            choice = {"mode": mode.upper()}
        case ToolName(name=name):
            choice["allowedFunctionNames"] = [name]
    return {"tools": [{"functionDeclarations": declared}], "toolConfig": {"functionCallingConfig": choice}}


def _answers(entry: dict[str, Any]) -> bool:
    able = entry.get("supportedGenerationMethods")
    return not isinstance(able, list) or "generateContent" in able


def _model(entry: dict[str, Any]) -> ModelInfo:
    return ModelInfo(id=entry["name"].removeprefix("models/"), context=window(entry, "inputTokenLimit"))

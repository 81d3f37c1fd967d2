"""Google's generate-content protocol, the server's side: bytes to a request, events to bytes.

https://ai.google.dev/api/generate-content. As with the newest models there, a call that comes back in the turn that is
under way needs its signature, or the one that says that another model made it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage, new_id
from antiphon.errors import ValidationError
from antiphon.providers.base import (
    DEMO,
    ChatMessage,
    Error,
    Event,
    File,
    Finish,
    ModelRequest,
    RateReport,
    ReasoningDelta,
    Remark,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.demo.faults import Refusal
from antiphon.providers.demo.wire.base import Asked, ErrorReply, Manner, wanted_form
from antiphon.providers.demo.wire.files import at, held
from antiphon.providers.demo.wire.signing import is_signed, signature
from antiphon.providers.demo.wire.sse import server_event
from antiphon.providers.protocols.arguments import as_object
from antiphon.providers.protocols.google.contents import UNSIGNED

_FINISHES: Mapping[str, str] = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "filtered": "SAFETY"}
_STATUSES: Mapping[int, str] = {404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
_METHODS = frozenset({"generateContent", "streamGenerateContent"})
_RPC = "type.googleapis.com/google.rpc"
_Part = dict[str, Any]


class GenerateContent(Struct, frozen=True):
    parts: list[_Part]
    role: str = "user"


class GenerateTools(Struct, frozen=True, rename="camel"):
    function_declarations: list[dict[str, Any]] = []


class GenerateBody(Struct, frozen=True, rename="camel"):
    """The body of `:streamGenerateContent`, as far as the demo model reads it."""

    contents: list[GenerateContent]
    system_instruction: GenerateContent | None = None
    tools: list[GenerateTools] = []
    tool_config: dict[str, dict[str, Any]] = {}
    generation_config: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(GenerateBody)


class GoogleWire:
    """Generate content."""

    manner = Manner(
        asks=("/v1beta/models/{model}:{method}",),
        lists=("/v1beta/models",),
        key_header="x-goog-api-key",
        key_prefix="",
    )

    def read(self, body: bytes, path: Mapping[str, str]) -> Asked:
        if path["method"] not in _METHODS:
            raise ValidationError(f"There is no method {path['method'][:50]!r}: use {', '.join(sorted(_METHODS))}.")
        try:
            read = _decoder.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"The body is not a request for content: {error}") from error
        _check(read.contents)
        system = "".join(_text(part) for part in read.system_instruction.parts) if read.system_instruction else ""
        first = [ChatMessage(role="system", text=system)] if system else []
        config = read.generation_config
        request = ModelRequest(
            model=path["model"],
            messages=(*first, *(message for content in read.contents for message in _messages(content))),
            tools=tuple(_tools(read)),
            temperature=config.get("temperature"),
            top_p=config.get("topP"),
            seed=config.get("seed"),
            stop=tuple(config.get("stopSequences", ())),
            max_tokens=config.get("maxOutputTokens"),
            output=wanted_form(config.get("responseJsonSchema")),
        )
        return Asked(request=request, stream=path["method"] == "streamGenerateContent")

    def encoder(self, _: Asked) -> "GenerateEncoder":
        return GenerateEncoder()

    def whole(self, _: Asked, events: Sequence[Event]) -> bytes:
        ending = events[-1]
        if isinstance(ending, Error):
            return msgspec.json.encode(_error(500, ending.public))
        usage = next((event.usage for event in events if isinstance(event, UsageReport)), Usage())
        parts = [part for part in map(GenerateEncoder().part, events) if part is not None]
        finish = _FINISHES[ending.reason] if isinstance(ending, Finish) else None
        return msgspec.json.encode(_response(f"{new_id()}", parts, finish, usage))

    def refuse(self, refusal: Refusal) -> ErrorReply:
        status, text, details = refusal.status, refusal.public, list[dict[str, Any]]()
        if over := refusal.excess:
            text = f"The input token count ({over.asked}) exceeds the maximum number of tokens allowed ({over.most})."
        match refusal.kind:
            case "auth":
                status, details = 400, [{"@type": f"{_RPC}.ErrorInfo", "reason": "API_KEY_INVALID"}]
            case "overload":
                status = 503
            case "rate" | "quota" as kind:
                span = "Minute" if kind == "rate" else "Day"
                violations = [{"quotaId": f"GenerateRequestsPer{span}PerProjectPerModel"}]
                details = [
                    {"@type": f"{_RPC}.QuotaFailure", "violations": violations},
                    {"@type": f"{_RPC}.RetryInfo", "retryDelay": f"{refusal.retry_after or 1.0}s"},
                ]
        return ErrorReply(status=status, body=msgspec.json.encode(_error(status, text, details)))

    def models(self) -> bytes:
        entry = {"name": f"models/{DEMO}", "displayName": "Demo", "supportedGenerationMethods": sorted(_METHODS)}
        return msgspec.json.encode({"models": [entry]})


# --- requests -----------------------------------------------------------------------------------------------------


def _check(contents: Sequence[GenerateContent]) -> None:
    asked = max(
        (at for at, content in enumerate(contents) if any(map(_text, content.parts)) and _is_user(content)), default=0
    )
    for number, content in enumerate(contents[asked:], asked):
        if not content.parts:
            raise ValidationError(f"contents[{number}].parts must not be empty")
        call = next((part for part in content.parts if "functionCall" in part), None)
        if call is None:
            continue
        name, given = call["functionCall"].get("name"), call.get("thoughtSignature")
        if given != UNSIGNED and not is_signed(str(name), given):
            raise ValidationError(f"Function call is missing a thought_signature in functionCall parts: {name}")


def _is_user(content: GenerateContent) -> bool:
    return content.role == "user"


def _messages(content: GenerateContent) -> Iterator[ChatMessage]:
    text = "".join(_text(part) for part in content.parts if not part.get("thought"))
    if not _is_user(content):
        calls = tuple(
            ToolCall(id=call.get("id", ""), name=call["name"], arguments=msgspec.json.encode(call["args"]).decode())
            for call in (part["functionCall"] for part in content.parts if "functionCall" in part)
        )
        yield ChatMessage(role="assistant", text=text, calls=calls)
        return
    for part in content.parts:
        if "functionResponse" in part:
            response = part["functionResponse"]
            said = response["response"].get("output", response["response"].get("error", ""))
            yield ChatMessage(role="tool", text=said, call_id=response.get("id"), name=response["name"])
    files = tuple(file for part in content.parts for file in _files(part))
    if text or files:
        yield ChatMessage(role="user", text=text, files=files)


def _files(part: _Part) -> Iterator[File]:
    match part:
        case {"inlineData": {"mimeType": kind, "data": data}}:
            yield held(str(kind), data)
        case {"fileData": {"fileUri": url}}:
            yield at(url)


def _text(part: _Part) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _tools(body: GenerateBody) -> Iterator[ToolSpec]:
    choice = body.tool_config.get("functionCallingConfig", {})
    for declared in (declared for tools in body.tools for declared in tools.function_declarations):
        name = declared["name"]
        if choice.get("mode") != "NONE" and name in choice.get("allowedFunctionNames", (name,)):
            parameters = declared.get("parametersJsonSchema") or {"type": "object", "properties": {}}
            yield ToolSpec(name=name, description=declared.get("description", ""), parameters=parameters)


# --- answers ------------------------------------------------------------------------------------------------------


class GenerateEncoder:
    """Encodes the events of one stream: each part is a chunk, a call comes whole, and the first of them is signed."""

    def __init__(self) -> None:
        self._id = str(new_id())
        self._usage = Usage()
        self._signed = False

    def first(self) -> bytes:
        return b""

    def encode(self, event: Event) -> bytes:
        match event:
            case UsageReport(usage):
                self._usage = usage
            case Finish(reason):
                return server_event(_response(self._id, [{"text": ""}], _FINISHES[reason], self._usage))
            case Error():
                return server_event(_error(500, event.public))
            case _ if (part := self.part(event)) is not None:
                return server_event(_response(self._id, [part], None, None))
        return b""

    def part(self, event: Event) -> _Part | None:
        match event:
            case TextDelta(text):
                return {"text": text}
            case ReasoningDelta(text):
                return {"text": text, "thought": True}
            case ToolCallEnd(call=call):
                called: _Part = {"name": call.name, "args": as_object(call.arguments)} | (
                    {"id": call.id} if call.id else {}
                )
                signed = {} if self._signed else {"thoughtSignature": signature(call.name)}
                self._signed = True
                return {"functionCall": called} | signed
            case ToolCallStart() | ToolCallDelta() | UsageReport() | Finish() | Error() | Remark() | RateReport():
                return None


def _response(identity: str, parts: list[_Part], finish: str | None, usage: Usage | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    response = {"candidates": [candidate | ({"finishReason": finish} if finish else {})], "responseId": identity}
    if usage is None:
        return response | {"modelVersion": DEMO}
    bill = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    return response | {"modelVersion": DEMO, "usageMetadata": bill}


def _error(status: int, message: str, details: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    name = _STATUSES.get(status, "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": message, "status": name, "details": list(details)}}

"""The contract of a provider: one request in, one stream of events out.

A provider never raises for what a vendor does (refusal, time-out, cut stream, garbage): it ends the stream with
`Error`. Every stream ends with exactly one `Finish` or `Error`, and nothing follows it. A caller that stops reading
closes the stream with `aclose()`, which frees the connection at once.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from msgspec import Struct

from antiphon.domain import Usage

DEMO = "demo"
"""The built-in model, and its provider: the one model that goes by its provider's name alone."""

ErrorKind = Literal[
    "auth",  # key missing, wrong or without permission: the operator acts
    "rate",  # too many requests: retry after `retry_after`
    "budget",  # the house's own budget does not reach for it: nothing was asked
    "quota",  # paid quota used up: fall back, never retry
    "resting",  # it failed several times in a row and is left alone for a while: fall back now
    "overload",  # the vendor is busy (503, 529): retry, then fall back
    "timeout",  # connected or not, nothing came in time
    "unreachable",  # no connection at all
    "interrupted",  # the stream was cut after it had begun
    "invalid",  # the vendor says the request is wrong (400, 404 model, 422)
    "too_long",  # the prompt does not fit into the model's window: ask with less of it
    "filtered",  # the vendor's content filter stopped the answer
    "retired",  # 410: the service is gone, fall back now
    "server",  # 5xx without a better name
    "protocol",  # the answer is not what the protocol allows
]
"""What went wrong, told by what to do about it."""

# --- the request --------------------------------------------------------------------------------------------------


class ToolSpec(Struct, frozen=True, kw_only=True):
    """A tool as a model sees it. `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ToolCall(Struct, frozen=True, kw_only=True):
    """A model's wish to call a tool. `arguments` is JSON text, as the model wrote it (it may be invalid)."""

    id: str
    name: str
    arguments: str


class File(Struct, frozen=True, kw_only=True):
    """An image, a document or a sound that a person gave: its `data`, or a `url` from which the vendor fetches it.
    `size` is in bytes, 0 when nobody knows."""

    name: str
    media_type: str
    data: bytes | None = None
    url: str | None = None
    size: int = 0


class ChatMessage(Struct, frozen=True, kw_only=True):
    """One message of a prompt, in no vendor's format.

    `calls` belongs to role assistant, `call_id` and `name` to role tool, `files` to role user. `reasoning` and `opaque`
    (under the name of a protocol) are given back to the vendor that made them where its protocol wants that. `keep`
    marks the end of a beginning that later requests will share: a vendor with a prompt cache is asked to keep
    everything up to here. `notes` is what the house adds to a person's message, which is no instruction and not
    the person's words. It goes out in front of them (`Chain`).
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    name: str | None = None
    files: tuple[File, ...] = ()
    reasoning: str | None = None
    opaque: Any = None
    keep: bool = False
    notes: str = ""


class ToolName(Struct, frozen=True):
    """The one tool that must be called."""

    name: str


class OutputSchema(Struct, frozen=True, kw_only=True):
    """The JSON Schema of an answer that programs read; `name` has 1 to 64 letters, digits, _ or -."""

    name: str
    schema: Mapping[str, Any]


class ModelRequest(Struct, frozen=True, kw_only=True):
    """Everything a model is asked. `model` is the vendor's name of it, without our provider prefix.

    `tool_choice` says whether tools may or must be called, or which one must. `effort` is how long a model that reasons
    should do so, None for its own measure. `output` asks for JSON of a form instead of text; a vendor without a way to
    ask for that is told in words. `cache_key` is the same for requests with the same beginning, so that a vendor sends
    them to one place. `top_p` and `seed` go to vendors that know them; the text ends before the first of `stop`. `size`
    is of an image that is asked for, such as 1024x1024 pixels.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "required", "none"] | ToolName = "auto"
    temperature: float | None = None
    max_tokens: int | None = None
    effort: Literal["low", "medium", "high"] | None = None
    output: OutputSchema | None = None
    cache_key: str | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    size: str | None = None


# --- the events ---------------------------------------------------------------------------------------------------


class TextDelta(Struct, frozen=True):
    text: str


class ReasoningDelta(Struct, frozen=True):
    """A piece of visible reasoning. `opaque` is a signature that must go back to the vendor with the text."""

    text: str
    opaque: Any = None


class ToolCallStart(Struct, frozen=True):
    """`index` tells interleaved calls apart. `id` and `name` are complete and not empty."""

    index: int
    id: str
    name: str


class ToolCallDelta(Struct, frozen=True):
    index: int
    arguments: str


class ToolCallEnd(Struct, frozen=True):
    """The whole call: `arguments` is the joined JSON text, `{}` when the vendor sent none."""

    index: int
    call: ToolCall


class UsageReport(Struct, frozen=True):
    """What the vendor says the call cost, at most once a stream."""

    usage: Usage


FinishReason = Literal["stop", "length", "tool_calls", "filtered"]


class Finish(Struct, frozen=True):
    reason: FinishReason


class Excess(Struct, frozen=True, kw_only=True):
    """How many tokens a model takes at `most`, and how many it was `asked` with, None when the vendor does not say."""

    most: int
    asked: int | None = None


class Error(Struct, frozen=True):
    """The stream failed. `message` is for the log (no key, no message text), `public` for people."""

    kind: ErrorKind
    message: str
    public: str
    retryable: bool = False
    retry_after: float | None = None
    excess: Excess | None = None


class Remark(Struct, frozen=True):
    """A sentence of the house about the answer, for people. No vendor sends it; it becomes a notice."""

    code: str
    text: str


LimitUnit = Literal["requests", "tokens", "input", "output"]


class RateLimit(Struct, frozen=True):
    """One limit of a vendor: `left` of `limit` requests or tokens, as it was when the request came; `reset` is in how
    many seconds it is whole again."""

    name: str
    unit: LimitUnit
    limit: float
    left: float
    reset: float


class RateReport(Struct, frozen=True):
    """What the vendor says it will still take. It comes before everything else, and `Reliable` keeps it to itself."""

    limits: tuple[RateLimit, ...]


Event = (
    TextDelta
    | ReasoningDelta
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | UsageReport
    | Finish
    | Error
    | Remark
    | RateReport
)

# --- the contract -------------------------------------------------------------------------------------------------


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model that a provider offers. `context` is its window in tokens, None when unknown."""

    id: str
    context: int | None = None
    tools: bool = True


@runtime_checkable
class Provider(Protocol):
    """A vendor of models. One instance serves any number of streams at once."""

    @property
    def name(self) -> str: ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """The answer to `request` as it is made. See the module text for what a stream promises."""
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models on offer. Raises `ProviderError` when the vendor does not say."""
        ...

    async def stop(self) -> None:
        """Closes every connection; streams under way end with `Error("interrupted")`."""
        ...

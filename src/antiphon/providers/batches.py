"""Many requests to one model at once, at half the price, for answers that may take a day.

https://platform.openai.com/docs/api-reference/batch and https://platform.claude.com/docs/en/api/creating-message-batches.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct, structs

from antiphon.domain import Usage
from antiphon.errors import ProviderError
from antiphon.providers.anthropic import AnthropicProvider
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    FinishReason,
    ModelRequest,
    Provider,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    UsageReport,
)
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.endpoints import Endpoints, outlasting, strange, text_of
from antiphon.providers.failures import Failures
from antiphon.providers.openai import OpenAIProvider
from antiphon.providers.prices import Prices
from antiphon.providers.protocols.base import Codec
from antiphon.providers.registry import ProviderRegistry
from antiphon.providers.vendors import GroqProvider
from antiphon.providers.whole import raised
from antiphon.runtime.tasks import gather_with_concurrency
from antiphon.telemetry.logs import get_logger

R = TypeVar("R")

log = get_logger(__name__)

DISCOUNT = 0.5
"""What both vendors take of the usual price."""

_PAUSE = 30.0
_AT_ONCE = 8
_PLACE = re.compile(r"[0-9]{1,9}")


class BatchAnswer(Struct, frozen=True, kw_only=True):
    """A whole answer."""

    text: str
    finish: FinishReason
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()


class BatchLine(Struct, frozen=True):
    """What came of one request: the vendor's whole answer, or why there is none, with its HTTP status if it has one."""

    place: int
    body: Any = None
    error: Any = None
    status: int | None = None


class BatchEnd(Protocol):
    """The batches of one vendor. Every method raises `ProviderError`."""

    async def submit(self, bodies: Sequence[dict[str, Any]]) -> str:
        """The id of a new batch."""
        ...

    async def over(self, batch_id: str) -> bool: ...

    async def lines(self, batch_id: str) -> list[BatchLine]:
        """What came of each request, in any order; those that are missing were not carried out."""
        ...

    async def cancel(self, batch_id: str) -> None: ...


class OpenAIBatches:
    """Requests go up as a file, and answers come down as two."""

    _OVER = frozenset({"completed", "failed", "expired", "cancelled"})

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def submit(self, bodies: Sequence[dict[str, Any]]) -> str:
        url = "/v1/chat/completions"
        rows = [
            {"custom_id": str(place), "method": "POST", "url": url, "body": body} for place, body in enumerate(bodies)
        ]
        data = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        file = await self._endpoints.upload(data, name="requests.jsonl", purpose="batch")
        wish = {"input_file_id": file, "endpoint": url, "completion_window": "24h"}
        return text_of(await self._endpoints.post("batches", wish), "id")

    async def over(self, batch_id: str) -> bool:
        return text_of(await self._endpoints.get(f"batches/{batch_id}"), "status") in self._OVER

    async def lines(self, batch_id: str) -> list[BatchLine]:
        batch = await self._endpoints.get(f"batches/{batch_id}")
        if batch.get("status") == "failed":
            raise ProviderError(f"batch {batch_id} failed", kind="invalid", public=_said(batch.get("errors")))
        found = []
        for field in ("output_file_id", "error_file_id"):
            if isinstance(file := batch.get(field), str):
                found += [_line(row) for row in _rows(await self._endpoints.download(f"files/{file}/content"))]
        return found

    async def cancel(self, batch_id: str) -> None:
        await self._endpoints.post(f"batches/{batch_id}/cancel")


class AnthropicBatches:
    """Requests go up in one body, and answers come down as lines."""

    _PATH = "v1/messages/batches"

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def submit(self, bodies: Sequence[dict[str, Any]]) -> str:
        rows = [{"custom_id": str(place), "params": body} for place, body in enumerate(bodies)]
        return text_of(await self._endpoints.post(self._PATH, {"requests": rows}), "id")

    async def over(self, batch_id: str) -> bool:
        return text_of(await self._endpoints.get(f"{self._PATH}/{batch_id}"), "processing_status") == "ended"

    async def lines(self, batch_id: str) -> list[BatchLine]:
        found = []
        for row in _rows(await self._endpoints.download(f"{self._PATH}/{batch_id}/results")):
            result = row.get("result")
            kind = result.get("type") if isinstance(result, dict) else None
            if not isinstance(result, dict) or kind in {"canceled", "expired"}:
                continue
            found.append(BatchLine(_place(row), result.get("message"), result.get("error")))
        return found

    async def cancel(self, batch_id: str) -> None:
        await self._endpoints.post(f"{self._PATH}/{batch_id}/cancel")


class ModelBatches:
    """Batches for `model` (`provider:model`), for a `BatchProcessor` or alone:

        async with BatchProcessor(1000, 60, handle=ModelBatches(providers, "openai:gpt-5").answers) as asked:
            answer = await asked.submit("Is this a complaint? …")

    OpenAI, Groq and Anthropic have batches; of any other provider the requests are ordinary ones, some at a time.
    `on_submitted` is told the id of each batch, with which `results` goes on after a crash. Of `prices` that are known
    a batch costs half.
    """

    def __init__(
        self,
        providers: ProviderRegistry,
        model: str,
        *,
        prices: Prices | None = None,
        on_submitted: Callable[[str], object] = lambda _: None,
        pause: float = _PAUSE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._model = model
        self._provider, self._name = providers.resolve(model)
        self._prices = prices or Prices()
        self._on_submitted = on_submitted
        self._pause = pause
        self._sleep = sleep
        self._failures = Failures(self._provider.name)
        self._codec, self._end = _end_of(providers.vendor(self._provider.name), sleep)

    @property
    def in_batches(self) -> bool:
        """Whether the provider has batches."""
        return self._end is not None

    async def answers(self, items: Sequence[ModelRequest | str]) -> "list[BatchAnswer | ProviderError]":
        """What the model answers to each, in their order; where one has no answer, the error that says why. Who is
        cancelled meanwhile cancels the batch. Raises `ProviderError` when there is no batch at all."""
        requests = [self._request(item) for item in items]
        if self._end is None:
            return await gather_with_concurrency(_AT_ONCE, (self._ask(request) for request in requests))
        batch_id = await self.submit(requests)
        try:
            return await self.results(batch_id, len(requests))
        except asyncio.CancelledError:
            with suppress(ProviderError):  # whoever is cancelled hears that, whatever the vendor says to it
                await asyncio.shield(self.cancel(batch_id))
            raise

    async def submit(self, items: Sequence[ModelRequest | str]) -> str:
        """The id of a new batch. Raises `ProviderError`."""
        batch_id = await self._known.submit([self._body(self._request(item)) for item in items])
        self._on_submitted(batch_id)
        log.info("batch.submitted", provider=self._provider.name, work=batch_id, requests=len(items))
        return batch_id

    async def results(self, batch_id: str, count: int) -> "list[BatchAnswer | ProviderError]":
        """What came of the `count` requests of a batch, once it is over, however long the vendor is away meanwhile.
        Raises `ProviderError`."""
        while not await self._outlasting(self._known.over, batch_id):
            await self._sleep(self._pause)
        by_place = {line.place: line for line in await self._outlasting(self._known.lines, batch_id)}
        return [await self._answer(by_place.get(place)) for place in range(count)]

    async def cancel(self, batch_id: str) -> None:
        """What has been answered by now can still be had. Raises `ProviderError`."""
        await self._known.cancel(batch_id)

    async def _outlasting(self, ask: Callable[[str], Awaitable[R]], batch_id: str) -> R:
        return await outlasting(lambda: ask(batch_id), batch_id, pause=self._pause, sleep=self._sleep)

    @property
    def _known(self) -> BatchEnd:
        if self._end is None:
            raise ProviderError(
                f"{self._provider.name} has no batches", kind="invalid", public="This provider has no batches."
            )
        return self._end

    def _request(self, item: ModelRequest | str) -> ModelRequest:
        if isinstance(item, str):
            return ModelRequest(model=self._name, messages=(ChatMessage(role="user", text=item),))
        return structs.replace(item, model=self._name)

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        """As it would be streamed, but whole."""
        body = msgspec.json.decode(self._codec.encode(request), type=dict[str, Any])
        return {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}

    async def _answer(self, line: BatchLine | None) -> "BatchAnswer | ProviderError":
        if line is None:
            return raised(
                self._failures.of("interrupted", "not carried out", sentence="It was not carried out in time.")
            )
        if line.body is None:
            return raised(self._failures.of_object(line.error, status=line.status))
        # What was asked is not known any more after a crash; codecs look into it for the maker of the model.
        asked = msgspec.json.encode({"model": self._name})
        decoder = self._codec.decoder(self._failures, asked, wait=None)
        events = decoder.feed(b"data: " + msgspec.json.encode(line.body) + b"\n\n")
        return await self._made(events if decoder.done else [*events, *decoder.end()], DISCOUNT)

    async def _ask(self, request: ModelRequest) -> "BatchAnswer | ProviderError":
        async with aclosing(self._provider.stream(request)) as events:
            return await self._made([event async for event in events], 1.0)

    async def _made(self, events: Sequence[Event], share: float) -> "BatchAnswer | ProviderError":
        usage = next((event.usage for event in events if isinstance(event, UsageReport)), Usage())
        cost = await self._prices.cost(self._model, usage)
        match events[-1]:
            case Error() as error:
                return raised(error)
            case Finish(reason=reason):
                return BatchAnswer(
                    text="".join(event.text for event in events if isinstance(event, TextDelta)),
                    finish=reason,
                    calls=tuple(event.call for event in events if isinstance(event, ToolCallEnd)),
                    usage=structs.replace(usage, cost=None if cost is None else cost * share),
                )
        raise AssertionError("a stream promises an end")


def _end_of(provider: Provider, sleep: Callable[[float], Awaitable[None]]) -> tuple[Codec, BatchEnd | None]:
    if isinstance(provider, AnthropicProvider):
        return provider.codec, AnthropicBatches(Endpoints(provider, sleep=sleep))
    if isinstance(provider, OpenAIProvider | GroqProvider):
        return provider.chat, OpenAIBatches(Endpoints(provider, sleep=sleep))
    return CompatibleProvider.chat, None


def _rows(data: bytes) -> list[dict[str, Any]]:
    try:
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in data.split(b"\n") if line.strip()]
    except (msgspec.DecodeError, RecursionError):
        raise strange("results that are no lines of JSON") from None


def _line(row: dict[str, Any]) -> BatchLine:
    response = row.get("response")
    if not isinstance(response, dict):
        return BatchLine(_place(row), error=row.get("error"))
    status, body = response.get("status_code"), response.get("body")
    if isinstance(status, int) and status >= 400:
        return BatchLine(_place(row), error=body, status=status)
    return BatchLine(_place(row), body)


def _place(row: dict[str, Any]) -> int:
    identity = row.get("custom_id")
    return int(identity) if isinstance(identity, str) and _PLACE.fullmatch(identity) else -1


def _said(errors: Any) -> str:
    rows = errors.get("data") if isinstance(errors, dict) else None
    first = rows[0] if isinstance(rows, list) and rows else None
    said = first.get("message") if isinstance(first, dict) else None
    return f"The vendor refused the batch. It said: “{said}”" if said else "The vendor refused the batch."

"""What vendors offer beside answers: files, jobs and batches, as whole requests with JSON."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from antiphon.errors import ConfigError, ProviderError
from antiphon.providers.base import File
from antiphon.providers.http import HttpProvider
from antiphon.providers.protocols.forms import MultipartForm
from antiphon.providers.registry import ProviderRegistry
from antiphon.telemetry.logs import get_logger

R = TypeVar("R")

log = get_logger(__name__)

ATTEMPTS = 4
_LONGEST_WAIT = 60.0
_LONGEST_PAUSE = 600.0
_NOT_TAKEN = frozenset({"rate", "overload"})
"""What says that the vendor has done nothing yet, so that asking again does nothing twice."""


class Endpoints:
    """Requests to `provider` that are made again when it is busy. What changes something there is made again only when
    it has surely not been done. Every method raises `ProviderError`."""

    def __init__(self, provider: HttpProvider, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.provider = provider
        self._sleep = sleep

    @classmethod
    def of(cls, providers: ProviderRegistry, name: str) -> "Endpoints":
        """Raises `ConfigError` for a provider without any."""
        provider = providers.vendor(name)
        if not isinstance(provider, HttpProvider):
            raise ConfigError(f"{name} is no vendor with files, jobs and batches; name one such as openai.")
        return cls(provider)

    async def get(self, path: str) -> dict[str, Any]:
        return _object(await self._patient("GET", path))

    async def post(self, path: str, body: Any = None) -> dict[str, Any]:
        return _object(await self._patient("POST", path, b"{}" if body is None else msgspec.json.encode(body)))

    async def download(self, path: str) -> bytes:
        return await self._patient("GET", path)

    async def upload(self, data: bytes, *, name: str, purpose: str) -> str:
        """The id of the file at `files`, as OpenAI's protocol wants it."""
        form, file = MultipartForm(), File(name=name, media_type="application/jsonl", data=data)
        body = form.body({"purpose": purpose}, file)
        return text_of(_object(await self._patient("POST", "files", body, content_type=form.content_type)), "id")

    async def _patient(
        self, method: str, path: str, payload: bytes | None = None, *, content_type: str = "application/json"
    ) -> bytes:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self.provider.call(method, path, payload, content_type=content_type)
            except ProviderError as error:
                again = error.retryable if method == "GET" else error.kind in _NOT_TAKEN
                wait = 0.5 * 2**attempt if error.retry_after is None else error.retry_after
                if not again or attempt == ATTEMPTS or wait > _LONGEST_WAIT:
                    raise
                await self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")


async def outlasting(
    ask: Callable[[], Awaitable[R]], work: str, *, pause: float, sleep: Callable[[float], Awaitable[None]]
) -> R:
    """What `ask` gives of `work` that a vendor has taken on: however long it is away, with growing pauses, for the work
    goes on there. Raises `ProviderError` for what does not pass."""
    while True:
        try:
            return await ask()
        except ProviderError as error:
            log.warning("vendor.away" if error.retryable else "vendor.refused", work=work, kind=error.kind)
            if not error.retryable:
                raise
            wait = error.retry_after
        await sleep(pause if wait is None else max(wait, pause))
        pause = min(2 * pause, _LONGEST_PAUSE)


def text_of(body: dict[str, Any], field: str) -> str:
    """A field that must be there. Raises `ProviderError`."""
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise strange(f"an answer without {field}")
    return value


def strange(what: str) -> ProviderError:
    """What a vendor sent is not what its protocol allows."""
    return ProviderError(what, kind="protocol", public="The vendor sent something that its protocol does not allow.")


def _object(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise strange("an answer that is no JSON object") from None

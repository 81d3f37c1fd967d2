"""Providers over HTTP: one connection pool a vendor, streamed answers, every failure an event."""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from antiphon.errors import ConfigError
from antiphon.files.inline import LARGE
from antiphon.providers.base import Error, ErrorKind, Event, ModelInfo, ModelRequest, RateReport
from antiphon.providers.config import ProviderSettings
from antiphon.providers.counting import LimitManner
from antiphon.providers.failures import Failures
from antiphon.providers.limit_headers import read_limits, retry_after
from antiphon.providers.patience import Patience
from antiphon.providers.protocols.base import Codec, Decoder
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.whole import raised
from antiphon.runtime.threads import run_async

_LONGEST_LIST = 8 << 20
_LONGEST_FILE = 256 << 20
_LONGEST_REFUSAL = 64 << 10
# RuntimeError is how aiohttp says that a session or connection was closed under it.
_LOST = (aiohttp.ClientError, OSError, RuntimeError)
_GRACE = 0.05
"""Seconds for the end of the body behind the last event, which is given first: a connection read to its end serves
again."""


def is_loopback(url: str) -> bool:
    """Whether the address is of this machine, told without asking a name server."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HttpProvider:
    """A vendor, in the protocol of its `codec`. Subclasses are rows of defaults; see `base.Provider` for the contract.

    The pool is opened by the first request and closed by `stop()`.
    """

    default_url: ClassVar[str | None] = None
    codec: Codec = OpenAIChat()
    own_settings: ClassVar[frozenset[str]] = frozenset()  # of those that not every vendor has
    counts: ClassVar[LimitManner] = LimitManner()  # at `default_url`: a gateway has its own way
    retired: ClassVar[str | None] = None
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})  # short names of models, at `default_url` only

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        url = settings.base_url or self.default_url
        if url is None:
            raise ConfigError(f"providers.{name} has no base_url. Set it to the address of its API.")
        for setting in sorted({"api", "api_version"} - self.own_settings):
            if getattr(settings, setting) is not None:
                raise ConfigError(f"providers.{name}.{setting} is set, but {name} has only one. Remove it.")
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self.name = name
        self.base_url = url
        self.manner = self.counts if url == self.default_url else LimitManner()
        self._settings = settings
        self._timeouts = settings.timeouts
        self._failures = Failures(name, key, self.retired)
        self._session: aiohttp.ClientSession | None = None
        self._stopped = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """The answer to `request` as it is made. Closing the stream closes its connection at once."""
        if self._settings.base_url is None and request.model in self.aliases:
            request = msgspec.structs.replace(request, model=self.aliases[request.model])
        try:
            path, payload = self.codec.path(request), await self._encoded(request)
        except (ValueError, TypeError) as error:
            yield self._failures.of("invalid", f"the request cannot be encoded, {type(error).__name__}")
            return
        clock = asyncio.get_running_loop().time
        began = clock()
        deadline, latest = began + self._timeouts.first_byte, began + self._timeouts.total
        response = await self._open("POST", path, min(deadline, latest), payload)
        if isinstance(response, Error):
            yield response
            return
        decoder = self.codec.decoder(self._failures, payload, wait=retry_after(response.headers))
        patience = Patience(response.content)
        try:
            if limits := read_limits(response.headers):
                yield RateReport(limits)
            while not decoder.done:
                for event in await self._read(patience, decoder, min(deadline, latest)):
                    yield event
                deadline = clock() + self._timeouts.between
            await _drain(response)
        finally:
            patience.end()
            response.close()

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models on offer. Raises `ProviderError` when the vendor does not say."""
        deadline = asyncio.get_running_loop().time() + self._timeouts.first_byte
        response = await self._open("GET", self.codec.models_path, deadline)
        if isinstance(response, Error):
            raise raised(response)
        try:
            async with asyncio.timeout_at(deadline):
                return self.codec.read_models(await read_up_to(response, _LONGEST_LIST))
        except TimeoutError:
            raise raised(self._failures.of("timeout", "the list of models")) from None
        except (ValueError, *_LOST) as error:
            raise raised(self._failures.of("protocol", f"the list of models, {type(error).__name__}")) from None
        finally:
            response.close()

    async def call(
        self, method: str, path: str, payload: bytes | None = None, *, content_type: str = "application/json"
    ) -> bytes:
        """A whole answer from below the vendor's address, for what is no answer of a model. Raises `ProviderError`."""
        deadline = asyncio.get_running_loop().time() + self._timeouts.total
        response = await self._open(method, path, deadline, payload, {"Content-Type": content_type})
        if isinstance(response, Error):
            raise raised(response)
        try:
            async with asyncio.timeout_at(deadline):
                return await read_up_to(response, _LONGEST_FILE)
        except TimeoutError:
            raise raised(self._failures.of("timeout", "a whole answer", retryable=False)) from None
        except _LOST as error:
            raise raised(self._failures.of("interrupted", type(error).__name__)) from None
        except ValueError:
            raise raised(self._failures.of("protocol", f"an answer of more than {_LONGEST_FILE} bytes")) from None
        finally:
            response.close()

    async def stop(self) -> None:
        """Closes every connection; streams under way end with `Error("interrupted")`."""
        self._stopped = True
        if self._session is not None:
            await self._session.close()

    async def _encoded(self, request: ModelRequest) -> bytes:
        """The body of the request. Large files are made into it beside the event loop, where others wait."""
        files = sum(len(file.data or b"") for message in request.messages for file in message.files)
        return self._payload(request) if files < LARGE else await run_async(self._payload, request)

    def _payload(self, request: ModelRequest) -> bytes:
        """The body of the request, with the fields that the settings add to every one."""
        payload = self.codec.encode(request)
        if not self._settings.body:
            return payload
        return msgspec.json.encode(_merged(msgspec.json.decode(payload), self._settings.body))

    async def _open(
        self,
        method: str,
        path: str,
        deadline: float,
        payload: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse | Error:
        """The answer once its head says success; everything else is an `Error`."""
        if self._stopped:
            return self._failures.of("interrupted", "the provider was stopped")
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._pool().request(
                    method,
                    f"{self.base_url}/{path}",
                    data=payload if payload is None or len(payload) < LARGE else BytesIO(payload),
                    headers=headers,
                    allow_redirects=False,
                )
        except TimeoutError:
            # Not repeated: whoever asked has waited for the whole time already.
            return self._failures.of("timeout", "no answer", retryable=False)
        except aiohttp.ClientResponseError:
            return self._failures.of("protocol", "the answer is not HTTP")
        except _LOST as error:
            return self._lost(type(error).__name__)
        if 200 <= response.status < 300 and response.headers.get("Content-Encoding", "identity") == "identity":
            return response
        return await self._refusal(response, deadline)

    def _lost(self, what: str) -> Error:
        kind: ErrorKind = "interrupted" if self._stopped else "unreachable"
        return self._failures.of(kind, what)

    async def _refusal(self, response: aiohttp.ClientResponse, deadline: float) -> Error:
        if 200 <= response.status < 300:
            response.close()  # compression was declined; unpacking what comes anyway is how bombs go off
            return self._failures.of("protocol", "the answer is compressed although the request declined it")
        try:
            async with asyncio.timeout_at(deadline):
                body = await read_up_to(response, _LONGEST_REFUSAL)
        except (TimeoutError, ValueError, *_LOST):
            body = b""  # the status says enough
        finally:
            response.close()
        return self._failures.of_status(response.status, body, response.headers)

    async def _read(self, patience: Patience, decoder: Decoder, deadline: float) -> list[Event]:
        """The events of whatever comes next: bytes, the end, a break or silence."""
        try:
            data = await patience.read(deadline)
        except TimeoutError:
            return decoder.fail(self._failures.of("timeout", "silence in the middle of an answer", retryable=False))
        except _LOST:
            return decoder.cut()
        return decoder.feed(data) if data else decoder.end()

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._timeouts
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._settings.connections),
                headers=self._headers(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=not is_loopback(self.base_url),
            )
        return self._session

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "antiphon",
        }
        key = self._settings.api_key
        headers |= self.codec.headers(key.get_secret_value() if key else None)
        return headers | {name: value.get_secret_value() for name, value in self._settings.headers.items()}


def _merged(body: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body with these fields, which go into the objects it has under the same names."""
    return {**body, **fields} | {
        name: _merged(body[name], value)
        for name, value in fields.items()
        if isinstance(value, Mapping) and isinstance(body.get(name), Mapping)
    }


async def read_up_to(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body. Raises ValueError when it is longer than `limit` bytes."""
    body = bytearray()
    while data := await response.content.readany():
        body += data
        if len(body) > limit:
            raise ValueError(f"more than {limit} bytes")
    return bytes(body)


async def _drain(response: aiohttp.ClientResponse) -> None:
    if response.content.at_eof():
        return
    try:
        async with asyncio.timeout(_GRACE):
            await response.content.readany()
    except (TimeoutError, *_LOST):
        return  # the answer is whole already; the connection is closed instead of kept

"""Fetches public pages, and nothing from inside.

A name is resolved once, all its addresses are looked at, and the connection goes to one of exactly these: whoever owns
the name cannot show one address to the check and another to the connection (DNS rebinding). Every redirect is a new
request with the same checks.
"""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.helpers import is_ip_address
from yarl import URL

from antiphon.errors import ToolError
from antiphon.runtime.threads import run_async
from antiphon.tools.config import WebFetchSettings
from antiphon.tools.web.addresses import is_public
from antiphon.tools.web.base import WebPage
from antiphon.tools.web.text import Readable, readable

_URL_LIMIT = 2_000
_REASON_LIMIT = 60  # characters of what stands behind a status
_MOVED = frozenset({301, 302, 303, 307, 308})
_TEXTS = ("text/", "application/json", "application/xml", "application/xhtml+xml", "application/rss+xml",
          "application/atom+xml", "application/ld+json", "application/javascript")  # fmt: skip
_HEADERS = {
    "User-Agent": "Antiphon (web_fetch)",
    "Accept": "text/html,text/*;q=0.9,application/json;q=0.8",
    "Accept-Encoding": "gzip, identity",
}


class Fetcher:
    """A `WebReader` over HTTP. Each page gets a connection, no cookies, no proxy and no credentials of ours."""

    def __init__(self, settings: WebFetchSettings) -> None:
        self._settings = settings

    async def read(self, url: str) -> WebPage:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._read(url)
        except TimeoutError:
            raise ToolError(f"The page took longer than {self._settings.timeout:g} s.") from None
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
            raise ToolError(f"The page cannot be read: {_why(error)}.") from None

    async def _read(self, url: str) -> WebPage:
        first = self._checked(url)
        connector = aiohttp.TCPConnector(
            resolver=_CheckedResolver(self._settings), use_dns_cache=False, force_close=True
        )
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=_HEADERS, auto_decompress=False
        ) as client:
            where = first
            for _ in range(self._settings.redirects + 1):
                async with client.get(where, allow_redirects=False) as response:
                    if response.status not in _MOVED or "Location" not in response.headers:
                        return await self._page(where, response)
                    where = self._followed(first, urljoin(str(where), response.headers["Location"]))
        raise ToolError(f"The page was moved more than {self._settings.redirects} times.")

    def _checked(self, text: str) -> URL:
        settings = self._settings
        if len(text) > _URL_LIMIT or not text.isprintable():
            raise ToolError(f"An address is printable and has at most {_URL_LIMIT} characters.")
        url = URL(text.strip())
        if url.scheme not in {"http", "https"} or not url.host:
            raise ToolError("Only addresses that begin with http:// or https:// can be read.")
        if url.user is not None or url.password is not None:
            raise ToolError("An address with a name and a password is not read.")
        if settings.only and url.host not in settings.only:
            raise ToolError(f"Only pages of {', '.join(settings.only)} may be read here.")
        if permitted(settings, url.host, url.port):
            return url
        if url.port not in settings.ports:
            raise ToolError(f"Pages on port {url.port} are not read.")
        if is_ip_address(url.host) and not is_public(url.host):
            raise ToolError(f"{url.host} is no public address.")
        return url

    def _followed(self, first: URL, text: str) -> URL:
        """Where a page was moved to. Only a host of the inside itself may lead to the inside."""
        url = self._checked(text)
        if permitted(self._settings, url.host, url.port) and url.host != first.host:
            raise ToolError("The page was moved to a place that only the inside of this network may name.")
        return url

    async def _page(self, where: URL, response: aiohttp.ClientResponse) -> WebPage:
        if response.status >= 400:
            reason = (response.reason or "")[:_REASON_LIMIT]
            raise ToolError(f"{where.host} answered {response.status} {reason}".strip() + ".")
        if not response.content_type.startswith(_TEXTS):
            raise ToolError(f"The page is {response.content_type[:100]}, which cannot be read as text.")
        body, whole = await _body(response, self._settings.max_bytes)
        text = body.decode(_charset(response), "replace")
        found = Readable("", text)
        if "html" in response.content_type:
            found = await run_async(readable, text, str(where))
        return WebPage(url=str(where), title=found.title[:300], text=found.text, whole=whole)


def permitted(settings: WebFetchSettings, host: str | None, port: int | None) -> bool:
    """Whether a host is one of the inside that may be read."""
    return host in settings.inside or f"{host}:{port}" in settings.inside


class _CheckedResolver(AbstractResolver):
    """Addresses of a name, of which none may be inside; aiohttp connects to what this returns."""

    def __init__(self, settings: WebFetchSettings) -> None:
        self._settings = settings
        self._system = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        if not permitted(self._settings, host, port) and not all(is_public(each["host"]) for each in found):
            raise ToolError(f"{host} is no public host.")
        return found

    async def close(self) -> None:
        await self._system.close()


async def _body(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """At most `limit` bytes as they were before they were compressed, and whether that is all."""
    body, inflate = bytearray(), _inflater(response.headers)
    async for chunk in response.content.iter_any():
        body += inflate.decompress(chunk, limit + 1 - len(body)) if inflate else chunk
        if len(body) > limit:
            return bytes(body[:limit]), False
    return bytes(body), inflate is None or (inflate.eof and not inflate.unused_data)


def _inflater(headers: Mapping[str, str]) -> "zlib._Decompress | None":
    coding = headers.get("Content-Encoding", "identity").lower()
    if coding not in {"identity", "gzip", "x-gzip", ""}:
        raise ToolError("The page comes in a compression that was not asked for.")
    return zlib.decompressobj(wbits=31) if "gzip" in coding else None


def _charset(response: aiohttp.ClientResponse) -> str:
    name = response.charset or "utf-8"
    try:
        b"x".decode(name, "replace")
    except (LookupError, UnicodeError):
        return "utf-8"
    return name


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "its host does not answer"
    return "the address is not valid" if isinstance(error, ValueError) else "the connection broke or made no sense"

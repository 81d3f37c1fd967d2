"""Which web pages may open a socket (OR-1 to OR-9). Programs that are not browsers send no origin and are let in."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

import msgspec

from antiphon.errors import ConfigError
from antiphon.realtime.config import RealtimeSettings

DEFAULT_PORTS = {"http": 80, "https": 443}

OriginCheck = Callable[[SplitResult], bool]


class Arrival(msgspec.Struct, frozen=True):
    """How the request itself came in: `host` as in its Host header, `local_address` where the connection arrived."""

    scheme: str
    host: str
    local_address: str


class OriginPolicy:
    """The rule of one mount. A `check` replaces the configured rule, and alone may accept origins without a host."""

    def __init__(self, config: RealtimeSettings, check: OriginCheck | None = None) -> None:
        self._rule = config.security.origins
        self._public_host = config.security.public_host.lower() if config.security.public_host else None
        self._check = check
        self._entries = [_entry(text) for text in self._rule] if isinstance(self._rule, tuple) else []

    def allows(self, origin: str | None, arrival: Arrival) -> bool:
        """Whether a page of `origin` may connect."""
        if origin is None or (self._rule == "any" and self._check is None):
            return True
        try:
            page, asked = urlsplit(origin), urlsplit("//" + arrival.host)
            page_port, asked_port = page.port, asked.port
        except ValueError:
            return False
        if self._check is not None:
            return self._check(page)
        if not page.hostname:
            return False
        if self._rule == "same-host":
            return self._same_host(page.hostname, asked.hostname, arrival.local_address)
        if self._rule == "same-connection":
            default = DEFAULT_PORTS.get(arrival.scheme)
            return (page.scheme, page.hostname, page_port or DEFAULT_PORTS.get(page.scheme)) == (
                arrival.scheme,
                asked.hostname,
                asked_port or default,
            )
        return any(_matches(entry, page, page_port) for entry in self._entries)

    def _same_host(self, page: str, asked: str | None, local_address: str) -> bool:
        if self._public_host is not None:
            return page == self._public_host
        # A page may give any name of its own to our loopback address (DNS rebinding): the names being equal proves
        # nothing there, only loopback names do.
        if is_loopback(local_address):
            return is_loopback(page) and asked is not None and is_loopback(asked)
        return page == asked


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, told without asking a name server."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    # A socket that listens on both families reports 127.0.0.1 as ::ffff:127.0.0.1.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _entry(text: str) -> SplitResult:
    try:
        entry = urlsplit(text)
        readable = entry.hostname is not None and (entry.port is None or entry.port > 0)
    except ValueError:
        readable = False
    if not readable:
        raise ConfigError(
            f"allowed origin {text!r} names no host, or a port that is none: write it like https://example.com, "
            "//example.com or //example.com:81"
        )
    return entry


def _matches(entry: SplitResult, page: SplitResult, page_port: int | None) -> bool:
    host, wanted = page.hostname or "", entry.hostname or ""
    if wanted.startswith("*."):
        if host != wanted[2:] and not host.endswith(wanted[1:]):
            return False
    elif host != wanted:
        return False
    if entry.scheme and entry.scheme != page.scheme:
        return False
    port = entry.port or DEFAULT_PORTS.get(entry.scheme)
    return port is None or port == (page_port or DEFAULT_PORTS.get(page.scheme))

"""What the application learns of a connection before it exists, and how it says no."""

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from antiphon.realtime.admission.origin import DEFAULT_PORTS, Arrival
from antiphon.realtime.config import ConnectInfoKey, RealtimeSettings

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"content-length", "transfer-encoding", "connection"})


BEARER = "base64url.bearer.phx."
"""What a sub-protocol begins with that is a token (AU-1)."""

AUTH_HEADER = "x-phoenix-authtoken"


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """Raised by an `on_connect` callback: no socket, the client gets this HTTP answer (TR-9).

    A long-poll client learns of no more than that it is refused. `ValueError` for an answer that HTTP does not know.
    """

    def __init__(self, status: int = 403, body: str | bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"connection refused with {status}")
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        if not HTTPStatus.MULTIPLE_CHOICES <= status <= 599:
            raise ValueError(f"{status} is no status of a refusal: 403, for example, is")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or name in _OURS or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
                raise ValueError(f"the header {name!r} cannot be sent with a refusal")


class Access(msgspec.Struct, frozen=True):
    """What `on_connect` and `on_access_token` may return: assigns of the socket, and the Unix time in seconds at which
    it is closed, unless it was prolonged by then; None is never. Raises `TypeError` or `ValueError` for no such time.
    """

    assigns: dict[str, Any] = {}
    expires_at: float | None = None

    def __post_init__(self) -> None:
        if self.expires_at is not None and math.isnan(self.expires_at):
            raise ValueError("the time at which access ends is no number")

    @classmethod
    def of(cls, returned: Any) -> "Access":
        """What a callback has returned: None, a dict of assigns, or this. Raises `TypeError` for anything else."""
        if isinstance(returned, cls):
            return returned
        if returned is not None and not isinstance(returned, dict):
            raise TypeError(f"a dict of assigns, Access or None is returned, not {type(returned).__name__}")
        return cls(returned or {})


class Peer(msgspec.Struct, frozen=True):
    """The other end of the connection; `certificate` in DER when the client has shown one."""

    address: str
    port: int
    certificate: bytes | None = None


class Uri(msgspec.Struct, frozen=True):
    """What was asked for, in the words of the client; `query` is not decoded."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str


class ConnectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A client that asks to be let in, however its frames will travel.

    `headers` has lower-case names (see `gathered`), `query` the characters of the wire (Latin-1), `variables` what
    stands for the `:name` parts of the mount.
    """

    transport: Literal["websocket", "longpoll"]
    path: str
    query: str
    variables: Mapping[str, str]
    headers: Mapping[str, str]
    arrival: Arrival
    peer: Peer | None


class ConnectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What `on_connect` is told.

    `params` is the decoded query (TR-4: leaves are strings) with the variables of the mount. The rest is there when it
    is asked for (CI-1): by `connect_info`, `auth_token` and `connect_constants` of `SecurityConfig`, the `session` by
    the `sessions` of the application. Other headers are withheld: they may hold secrets.
    """

    params: Mapping[str, Any]
    peer: Peer | None = None
    uri: Uri | None = None
    user_agent: str | None = None
    x_headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    sec_websocket_headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    trace_headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    session: Mapping[str, Any] | None = None
    auth_token: str | None = None
    constants: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Sessions(msgspec.Struct, frozen=True):
    """Where `ConnectInfo.session` comes from.

    `load` finds the session of a client by its cookies. A page of somebody else can send them too, so the session
    counts only where the parameter `_csrf_token` is right for it, which `check_csrf` tells; None checks nothing, and is
    for applications that check the origin.
    """

    load: Callable[[Mapping[str, str]], Awaitable[Mapping[str, Any] | None]]
    check_csrf: Callable[[Mapping[str, Any], str], bool] | None

    async def find(self, request: ConnectRequest, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The session, None where there is none or it does not count: the connection is not refused (CI-2)."""
        session = await self.load(cookies(request.headers.get("cookie", "")))
        if session is None or self.check_csrf is None:
            return session
        token = params.get("_csrf_token")
        return session if isinstance(token, str) and self.check_csrf(session, token) else None


def connect_info(
    config: RealtimeSettings, request: ConnectRequest, params: Mapping[str, Any], **found: Any
) -> ConnectInfo:
    """What of the request the settings let the application see, with what else was `found`."""
    # Most applications ask for nothing, and each connection would pay for what is not looked at.
    if wanted := config.security.connect_info:
        headers = _without_tokens(request.headers)
        found |= {key: _SHOWN[key](request, headers) for key in wanted}
    return ConnectInfo(params=params, constants=config.security.connect_constants, **found)


def gathered(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by lower-case name; the values of repeated ones are joined as HTTP says."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.strip().lower(), value.strip()
        if key in found:
            text = f"{found[key]}{'; ' if key == 'cookie' else ', '}{text}"
        found[key] = text
    return found


def cookies(header: str) -> dict[str, str]:
    """The cookies of a request; of two with one name the first, which is the more specific one (RFC 6265, 5.4)."""
    found: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals and name:
            found.setdefault(name.strip(), value.strip().strip('"'))
    return found


def _without_tokens(headers: Mapping[str, str]) -> dict[str, str]:
    """A token is shown as `auth_token` or not at all."""
    shown = {name: value for name, value in headers.items() if name != AUTH_HEADER}
    if offer := shown.pop("sec-websocket-protocol", None):
        names = [entry.strip() for entry in offer.split(",")]
        shown["sec-websocket-protocol"] = ", ".join(name for name in names if not name.startswith(BEARER))
    return shown


def _named(headers: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith(prefixes)}


def _uri(request: ConnectRequest) -> Uri:
    arrival = request.arrival
    try:
        asked = urlsplit("//" + arrival.host)
        host, port = asked.hostname or "", asked.port or DEFAULT_PORTS.get(arrival.scheme)
    except ValueError:
        host, port = "", None
    return Uri(arrival.scheme, host, port, request.path, request.query)


_SHOWN: Mapping[ConnectInfoKey, Callable[[ConnectRequest, Mapping[str, str]], Any]] = {
    "peer": lambda request, _: request.peer,
    "uri": lambda request, _: _uri(request),
    "user_agent": lambda _, headers: headers.get("user-agent"),
    "x_headers": lambda _, headers: _named(headers, "x-"),
    "sec_websocket_headers": lambda _, headers: _named(headers, "sec-websocket-"),
    "trace_headers": lambda _, headers: _named(headers, "traceparent", "tracestate"),
}

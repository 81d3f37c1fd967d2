"""One ASGI application for HTTP: the page, what the sockets serve, and FastAPI for the rest."""

from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.realtime.transports.plain import PlainRequests
from antiphon.web.limits import BodyLimit
from antiphon.web.static import Asset, StaticPage


class WebApp:
    """What is no file of the page goes to FastAPI. What `mounted` serves comes before everything that could take the
    body of a request (LP-19); each of `apps` serves the paths below its own, and bounds its bodies itself. `larger` has
    the paths that take larger bodies than the others, with how many bytes."""

    def __init__(
        self,
        page: StaticPage,
        api: FastAPI,
        *,
        max_body_bytes: int,
        larger: Mapping[str, int] = MappingProxyType({}),
        mounted: PlainRequests | None = None,
        apps: Mapping[str, ASGIApp] = MappingProxyType({}),
    ) -> None:
        self._page = page
        self._mounted = mounted
        self._apps = tuple(apps.items())
        self._api: ASGIApp = BodyLimit(api, max_body_bytes, larger)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD") and (asset := self._page.find(path)):
            await _page_response(asset, scope)(scope, receive, send)
        elif self._mounted is not None and (requests := self._mounted.find(scope)):
            await requests(scope, receive, send)
        elif app := next((app for below, app in self._apps if path.startswith(below)), None):
            await app(scope, receive, send)
        else:
            # What GET is answered with, HEAD is too; the protocol below keeps the body back.
            await self._api({**scope, "method": "GET"} if method == "HEAD" else scope, receive, send)


def _page_response(asset: Asset, scope: Scope) -> Response:
    headers: MutableMapping[bytes, bytes] = dict(scope["headers"])
    known = headers.get(b"if-none-match", b"")
    if known.strip() == b"*" or asset.etag.encode() in known:
        response = Response(status_code=304)
        response.raw_headers = [pair for pair in asset.headers if pair[0] != b"content-type"]
        return response
    body, extra = asset.body, []
    if asset.compressed is not None and _takes_gzip(headers.get(b"accept-encoding", b"")):
        body, extra = asset.compressed, [(b"content-encoding", b"gzip")]
    response = Response(body if scope["method"] == "GET" else b"")
    response.raw_headers = [*asset.headers, *extra, (b"content-length", str(len(body)).encode())]
    return response


def _takes_gzip(accept_encoding: bytes) -> bool:
    """RFC 9110, 12.5.3: a weight of 0 refuses a coding, and `*` stands for those that are not named."""
    weights: dict[bytes, bytes] = {}
    for choice in accept_encoding.lower().replace(b" ", b"").split(b","):
        coding, _, weight = choice.partition(b";q=")
        weights[coding] = weight or b"1"
    return bool(weights.get(b"gzip", weights.get(b"*", b"0")).strip(b"0."))

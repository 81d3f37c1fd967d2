"""Plain answers over HTTP, to programs and to pages of any origin that is let in."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from antiphon.realtime.admission.connect import ConnectRequest
from antiphon.realtime.transports.scope import Send, header_pairs

_HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "access-control-allow-origin": "*",
}


class JsonAnswer(msgspec.Struct, frozen=True):
    """JSON, or nothing but a status."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""

    async def send(self, send: Send) -> None:
        headers = {**_HEADERS, **self.headers, "content-length": str(len(self.body))}
        await send({"type": "http.response.start", "status": self.status, "headers": header_pairs(headers)})
        await send({"type": "http.response.body", "body": self.body})


def preflight(request: ConnectRequest, methods: str) -> JsonAnswer:
    """What a browser asks before it sends what a page wants to send."""
    headers = {
        "access-control-allow-headers": request.headers.get("access-control-request-headers", ""),
        "access-control-allow-methods": methods,
        "access-control-max-age": "3600",
    }
    return JsonAnswer(HTTPStatus.OK, headers)

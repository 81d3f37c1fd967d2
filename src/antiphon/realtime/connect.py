"""What the application learns of a connection before it exists, and how it says no."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from itertools import pairwise
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

_KEY = re.compile(r"\[([^\[\]]*)\]")
_MAX_NESTING = 16

_SHOWN_HEADERS = ("user-agent", "traceparent", "tracestate")


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """Raised by an `on_connect` callback: no socket, the client gets this HTTP status and nothing else."""

    def __init__(self, status: int = 403) -> None:
        super().__init__(f"connection refused with {status} {HTTPStatus(status).phrase}")
        self.status = status


class ConnectInfo(msgspec.Struct, frozen=True):
    """A connection that asks to be let in.

    `params` is the decoded query (TR-4: leaves are strings), `headers` the few that are not secret (CI-1), `peer` the
    address and port of the other end, None when it has none (a Unix socket).
    """

    params: Mapping[str, Any]
    headers: Mapping[str, str]
    peer: tuple[str, int] | None
    path: str


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers an application may see: `x-*`, `sec-websocket-*`, the user agent and trace context."""
    return {
        name: value
        for name, value in headers.items()
        if name.startswith(("x-", "sec-websocket-")) or name in _SHOWN_HEADERS
    }


def decode_query(query: str) -> dict[str, Any]:
    """A query as Phoenix reads it: `a[b]=1` nests, `a[]=1` collects, the last of equal keys wins.

    Raises `ValueError` for malformed percent-encoding or invalid UTF-8 (TR-13).
    """
    root: dict[str, Any] = {}
    for pair in query.split("&"):
        if pair:
            key, _, value = pair.partition("=")
            _assign(root, _unquote(key), _unquote(value))
    return root


def _unquote(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("malformed percent-encoding")
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")


def _assign(root: dict[str, Any], key: str, value: str) -> None:
    name, bracket, _ = key.partition("[")
    path = [name, *_KEY.findall(key)] if bracket and name and key.endswith("]") else [key]
    if len(path) > _MAX_NESTING:
        raise ValueError("parameters are nested too deeply")
    node: Any = root
    for part, following in pairwise(path):
        node = _child(node, part, list if following == "" else dict)
    if isinstance(node, list):
        node.append(value)
    else:
        node[path[-1]] = value


def _child(node: Any, part: str, kind: type[Any]) -> Any:
    """The container below `node` at `part`, replaced when an earlier pair left something of another kind there."""
    if isinstance(node, list):
        node.append(kind())
        return node[-1]
    if not isinstance(node.get(part), kind):
        node[part] = kind()
    return node[part]

"""The parameters behind the `?` of an address, as Phoenix reads them."""

import re
from itertools import pairwise
from typing import Any
from urllib.parse import unquote_to_bytes

_KEY = re.compile(r"\[([^\[\]]*)\]")
_MAX_NESTING = 16


def decode_query(query: str) -> dict[str, Any]:
    """A query as Phoenix reads it: `a[b]=1` nests, `a[]=1` collects, the last of equal keys wins.

    Raises `ValueError` for malformed percent-encoding or invalid UTF-8 (TR-13).
    """
    root: dict[str, Any] = {}
    for pair in query.split("&"):
        if pair:
            key, _, value = pair.partition("=")
            _assign(root, unquoted(key.replace("+", " ")), unquoted(value.replace("+", " ")))
    return root


def unquoted(text: str) -> str:
    """Text of the wire without its percent-encoding; raises `ValueError` where that, or the UTF-8 in it, is broken."""
    if "%" not in text and text.isascii():
        return text
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("malformed percent-encoding")
    return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")


def _assign(root: dict[str, Any], key: str, value: str) -> None:
    name, bracket, _ = key.partition("[")
    if not bracket or not name or not key.endswith("]"):
        root[key] = value
        return
    path = [name, *_KEY.findall(key)]
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

"""The contract of a protocol, from the server's side: what the demo server reads, and what it writes.

To add one: a module here with a class that keeps `Wire` and an encoder that keeps `Encoder`, its name in
`demo.server.WIRES`, and its provider in the table of `tests/contracts/test_protocols.py`, which then tries every
directive and every fault with it over HTTP.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from msgspec import Struct

from antiphon.providers.base import Event, ModelRequest, OutputSchema
from antiphon.providers.demo.faults import Refusal


class Manner(Struct, frozen=True, kw_only=True):
    """What is the same for every request of a protocol.

    `asks` are the paths that take a request by POST, `lists` the ones that say which models there are, by GET; a path
    may hold aiohttp's `{name}`, given to `Wire.read`. Several protocols may share a path: there a request belongs to
    the one whose `key_header` it carries, else to the first of `demo.server.WIRES`. `names_in_pieces` is whether a
    server of this protocol may send the name of a tool in several pieces,
    `anthropic_limits` whether it tells of its limits as Anthropic does.
    """

    asks: tuple[str, ...]
    lists: tuple[str, ...]
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    content_type: str = "text/event-stream"
    names_in_pieces: bool = False
    anthropic_limits: bool = False


class Asked(Struct, frozen=True, kw_only=True):
    """A request, read. `usage` is whether the client wants to be told what a streamed answer cost."""

    request: ModelRequest
    stream: bool
    usage: bool = True


def wanted_form(schema: Any, name: Any = None) -> OutputSchema | None:
    """The form of the answer that a body asks for; None where it asks for none."""
    if not isinstance(schema, Mapping):
        return None
    return OutputSchema(name=name if isinstance(name, str) else "answer", schema=schema)


class ErrorReply(Struct, frozen=True, kw_only=True):
    """A whole HTTP answer that is an error."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})


class Encoder(Protocol):
    """Encodes the events of one streamed answer."""

    def first(self) -> bytes:
        """What comes before the first event."""
        ...

    def encode(self, event: Event) -> bytes:
        """The bytes of an event; empty for one that says nothing on this wire. A `ToolCallStart` without an id is of a
        vendor that forgot it."""
        ...


class Wire(Protocol):
    """One protocol. It keeps no state, so it serves any number of requests at once."""

    @property
    def manner(self) -> Manner: ...

    def read(self, body: bytes, path: Mapping[str, str]) -> Asked:
        """The request; `path` holds what `{name}`s of the path stand for. Raises `ValidationError` saying what is
        wrong with it."""
        ...

    def encoder(self, asked: Asked) -> Encoder:
        """Writes a streamed answer to `asked`."""
        ...

    def whole(self, asked: Asked, events: Sequence[Event]) -> bytes:
        """The whole answer as one JSON body, for a request without a stream."""
        ...

    def refuse(self, refusal: Refusal) -> ErrorReply:
        """The refusal, as this vendor words it."""
        ...

    def models(self) -> bytes:
        """The list of models, which holds the demo model alone."""
        ...

"""The contract of a wire protocol: what is sent to a vendor, and what its bytes mean. No codec knows I/O."""

from collections.abc import Mapping
from typing import Protocol

from antiphon.providers.base import Error, Event, ModelInfo, ModelRequest
from antiphon.providers.failures import Failures


class Decoder(Protocol):
    """Turns the bytes of one answer into events, however they are cut.

    Every answer ends with exactly one `Finish` or `Error`. Once `done`, nothing more is taken or given.
    """

    done: bool

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        ...

    def end(self) -> list[Event]:
        """The last events, once the vendor has closed the answer in order."""
        ...

    def cut(self) -> list[Event]:
        """The last events, when the connection broke instead of ending."""
        ...

    def fail(self, error: Error) -> list[Event]:
        """The last events, when the reader gave up for a reason of its own."""
        ...


class Codec(Protocol):
    """One protocol as one vendor speaks it. It keeps no state, so it serves any number of answers at once."""

    @property
    def models_path(self) -> str:
        """Where the vendor lists its models, below its address."""
        ...

    def path(self, request: ModelRequest, /) -> str:
        """Where the request goes, below the vendor's address."""
        ...

    def headers(self, key: str | None) -> Mapping[str, str]:
        """What every request carries: the key, and the version of the protocol."""
        ...

    def encode(self, request: ModelRequest) -> bytes:
        """The body of the request. Raises ValueError or TypeError when it cannot be sent."""
        ...

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> Decoder:
        """Reads the answer to `payload`; `wait` is what the headers of the answer said about trying again."""
        ...

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        """The models of the list at `models_path`. Raises ValueError when it is none."""
        ...

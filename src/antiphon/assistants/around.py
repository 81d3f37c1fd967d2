"""A provider around another one: what an assistant does besides asking its model stays out of the loop."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from antiphon.providers.base import Event, ModelInfo, ModelRequest, Provider


class Around:
    """The provider of one run, which asks `inner`; subclasses change what goes in or what comes out."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        return self._ask(request)

    async def models(self) -> tuple[ModelInfo, ...]:
        return await self._inner.models()

    async def stop(self) -> None:
        """Does nothing: whoever made the inner one stops it."""

    def _ask(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        # Providers are async generators: the contract promises `aclose`, its type does not.
        return cast("AsyncGenerator[Event, None]", self._inner.stream(request))

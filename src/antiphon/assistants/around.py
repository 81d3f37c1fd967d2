"""A provider around another one: what an assistant does besides asking its model stays out of the loop."""

from collections.abc import AsyncGenerator

from antiphon.providers.base import Event, ModelInfo, ModelRequest, Provider


class Around:
    """The provider of one run, which asks `inner`; subclasses change what goes in or what comes out."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        return self._inner.stream(request)

    async def models(self) -> tuple[ModelInfo, ...]:
        return await self._inner.models()

    async def stop(self) -> None:
        """Does nothing: whoever made the inner one stops it."""

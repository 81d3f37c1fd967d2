"""A provider around another one: whatever is done besides asking a model stays out of vendors and of the loop."""

from collections.abc import AsyncGenerator

from antiphon.providers.base import Event, ModelInfo, ModelRequest, Provider


class Around:
    """Asks `provider`, and stops it; subclasses change what goes in or what comes out."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        return self._provider.name

    def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        return self._provider.stream(request)

    async def models(self) -> tuple[ModelInfo, ...]:
        return await self._provider.models()

    async def stop(self) -> None:
        await self._provider.stop()

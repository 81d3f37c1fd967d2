"""Answers that nobody watches: what a model says, once it has said all of it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import cast

from antiphon.domain import Usage
from antiphon.errors import ProviderError
from antiphon.providers.base import Error, Event, ModelRequest, Provider, TextDelta, UsageReport


async def whole_text(provider: Provider, request: ModelRequest, spend: Callable[[Usage], None] | None = None) -> str:
    """The text of the answer; `spend` is told what it cost. Raises `ProviderError` for one that does not end well."""
    pieces: list[str] = []
    # Providers are async generators: the contract promises `aclose`, its type does not.
    async with aclosing(cast("AsyncGenerator[Event, None]", provider.stream(request))) as events:
        async for event in events:
            match event:
                case TextDelta(text=text):
                    pieces.append(text)
                case UsageReport(usage=usage) if spend is not None:
                    spend(usage)
                case Error(kind=kind, message=message, public=public):
                    raise ProviderError(message, kind=kind, public=public)
    return "".join(pieces)

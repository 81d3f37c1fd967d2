"""Answers that nobody watches: what a model says, once it has said all of it, or what is raised instead."""

from collections.abc import Callable
from contextlib import aclosing

from antiphon.domain import Usage
from antiphon.errors import ProviderError
from antiphon.providers.base import Error, ModelRequest, Provider, TextDelta, UsageReport


async def whole_text(provider: Provider, request: ModelRequest, spend: Callable[[Usage], None] | None = None) -> str:
    """The text of the answer; `spend` is told what it cost. Raises `ProviderError` for one that does not end well."""
    pieces: list[str] = []
    async with aclosing(provider.stream(request)) as events:
        async for event in events:
            match event:
                case TextDelta(text=text):
                    pieces.append(text)
                case UsageReport(usage=usage) if spend is not None:
                    spend(usage)
                case Error() as error:
                    raise raised(error)
    return "".join(pieces)


def raised(error: Error) -> ProviderError:
    """The end of a stream as what is raised where there is none."""
    return ProviderError(
        error.message,
        kind=error.kind,
        public=error.public,
        retryable=error.retryable,
        retry_after=error.retry_after,
    )

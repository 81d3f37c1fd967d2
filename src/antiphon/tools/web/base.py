"""The contract of whoever reads the web for tools."""

from typing import Protocol, runtime_checkable

from msgspec import Struct


class WebPage(Struct, frozen=True, kw_only=True):
    """A page as text. `url` is where it was found in the end; `whole` is false where its end is missing: it was
    too long, or came cut off."""

    url: str
    title: str
    text: str
    whole: bool


@runtime_checkable
class WebReader(Protocol):
    """Reads public pages."""

    async def read(self, url: str) -> WebPage:
        """Raises `ToolError` saying why not, in words for a model."""
        ...

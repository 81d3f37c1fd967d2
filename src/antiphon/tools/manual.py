"""The tool that answers questions about the product itself."""

from msgspec import Struct

from antiphon.search.manual import Manual
from antiphon.tools.base import tool

_MANUAL = Manual()  # reads its pages at the first search and never changes after it
_RESULTS = 4
_TEXT_LIMIT = 2_000


class ManualPage(Struct, frozen=True):
    title: str
    text: str
    source: str


@tool
def search_manual(query: str) -> list[ManualPage]:
    """Search the manual of this product (Antiphon): setup, models, tools, commands, adapters, the Python interface.

    Answers with the sections that fit best, each with its title, text and source; an empty list when none does.

    Args:
        query: A few words of what to look for, in English.
    """
    return [
        ManualPage(section.title, section.text[:_TEXT_LIMIT], section.source)
        for section in _MANUAL.search(query, _RESULTS)
    ]

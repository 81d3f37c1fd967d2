"""The tool that answers questions about the product itself."""

from msgspec import Struct

from antiphon.search.base import Search
from antiphon.search.fusion import plain
from antiphon.search.sources import MANUAL
from antiphon.tools.base import ToolContext, tool

_RESULTS = 4


class ManualPage(Struct, frozen=True):
    title: str
    text: str
    source: str


@tool
async def search_manual(query: str, search: Search, context: ToolContext) -> list[ManualPage]:
    """Search the manual of this product (Antiphon): setup, models, tools, commands, adapters, the Python interface.

    Answers with the sections that fit best, each with its title, text and source; an empty list when none does.

    Args:
        query: A few words of what to look for, in English.
    """
    found = await search.find(context.person_id, query, limit=_RESULTS, sources=[MANUAL])
    return [ManualPage(section.title, plain(section.text), section.id) for section in found.items]

from collections.abc import Callable

from antiphon import ToolContext
from antiphon.tools.web.base import WebPage, WebReader
from antiphon.tools.web_fetch import web_fetch


class Book:
    """Has one long page."""

    async def read(self, url: str) -> WebPage:
        return WebPage(url=url, title="Book", text="".join(f"{number:06d}\n" for number in range(2_000)), whole=False)


async def test_a_long_page_is_given_in_portions(make_context: Callable[..., ToolContext]) -> None:
    context = make_context(services={WebReader: Book()})
    first = await web_fetch.call('{"url": "https://book.example/"}', context)
    assert first.text.startswith("Book (https://book.example/)\n\n000000\n000001\n")
    assert first.text.endswith("[characters 0 to 12000 of 14000; more with start=12000]")
    last = await web_fetch.call('{"url": "https://book.example/", "start": 13993}', context)
    assert last.text.endswith("001999\n\n\n[the page was not read to its end]")


async def test_behind_the_end_there_is_nothing(make_context: Callable[..., ToolContext]) -> None:
    context = make_context(services={WebReader: Book()})
    assert "(no text)" in (await web_fetch.call('{"url": "x", "start": 99999}', context)).text

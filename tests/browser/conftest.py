"""A house in its own process, and people at real browsers who look at it."""

import importlib.util
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright, expect

from antiphon.domain import new_id
from tests.serving import Served, Visitors
from tests.side_by_side import one_at_a_time

ROOT = Path(__file__).parents[2]
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)
OF_A_SERVER_AWAY = re.compile(r"net::ERR_|WebSocket connection to ")
OF_WHO_LEFT = re.compile(r"WebSocket is closed before the connection is established")
"""What Chromium says when a page is reloaded or closed while it still connects."""

# A loaded machine is no failure of the page.
expect.set_options(timeout=20_000)


class House(Served):
    """The whole house in a folder, which people look at."""

    was_away = False

    def kill(self) -> None:
        self.was_away = True
        super().kill()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.was_away = True
        return super().stop(how)

    async def talk(self, *messages: str) -> str:
        """Has a conversation as another client, each message after the answer to the one before; returns its id."""
        visitors = Visitors()
        visitor = await visitors.enter(self.url, client_id=new_id())
        for message in messages:
            await visitor.ask(message)
        await visitors.close()
        return visitor.conversation_id


class Person:
    """A person at a browser, and the record of all that went wrong there."""

    def __init__(self, context: BrowserContext, house: House) -> None:
        self.context = context
        self.url = house.url
        self.problems: list[str] = []
        self.foreign: list[str] = []
        self._page: Page | None = None
        context.on("request", lambda request: self._asked(request.url))
        context.on("console", lambda message: self._said(message.type, message.text))
        context.on("weberror", lambda error: self.problems.append(str(error.error)))

    @property
    def page(self) -> Page:
        """The tab that was opened last."""
        assert self._page is not None
        return self._page

    @property
    def composer(self) -> Locator:
        return self.see("composer")

    @property
    def answer(self) -> Locator:
        """The newest answer."""
        return self.see("message-assistant").last

    async def open(self, path: str = "/") -> Page:
        self._page = await self.context.new_page()
        self._page.on("websocket", lambda opened: self._asked(opened.url.replace("ws://", "http://")))
        await self._page.goto(self.url + path)
        await expect(self.composer).to_be_visible()
        return self._page

    def see(self, test_id: str, **attributes: str) -> Locator:
        """What carries this `data-testid`, and these further data attributes."""
        wanted = "".join(f"[data-{name}='{value}']" for name, value in attributes.items())
        return self.page.locator(f"[data-testid={test_id}]{wanted}")

    async def say(self, text: str) -> None:
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def ask(self, text: str) -> Locator:
        """Says it once no answer is under way, waits for the end of its answer, and returns that."""
        await expect(self.see("message-assistant", state="streaming")).to_have_count(0)
        answered = self.see("answer-footer")
        count = await answered.count()
        await self.say(text)
        await expect(answered).to_have_count(count + 1)
        return self.answer

    async def watch_growth(self) -> str:
        """Waits until the answer is longer than when it was first seen; returns the text it has then."""
        text = self.see("message-assistant", state="streaming").get_by_test_id("answer-text")
        await expect(text).to_contain_text(re.compile(r"\w"))
        first = await text.inner_text()
        await expect(text).not_to_have_text(first)
        grown = await text.inner_text()
        assert grown.startswith(first[:20])
        assert len(grown) > len(first)
        return grown

    async def width_overflows(self) -> bool:
        return bool(await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def _asked(self, url: str) -> None:
        if not url.startswith(self.url + "/"):
            self.foreign.append(url)

    def _said(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.problems.append(text)


Visit = Callable[..., Awaitable[Person]]
"""`await visit(house, **options of the browser context)`: one more person."""


def _load_build_hook() -> Any:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def built_page(request: pytest.FixtureRequest) -> None:
    """The page as its sources are now, built when they are newer."""
    hook = _load_build_hook()
    with one_at_a_time(ROOT / "ui"):
        if hook.page_is_due(ROOT):
            request.getfixturevalue("node")
            hook.build_page(ROOT)


@pytest.fixture(scope="module")
def house(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The house that the tests of a module share."""
    yield from keep(House(tmp_path_factory.mktemp("house")))


@pytest.fixture
def own_house(built_page: None, tmp_path: Path) -> Iterator[House]:
    """A house for a test that kills it."""
    yield from keep(House(tmp_path))


def keep(house: House) -> Iterator[House]:
    house.start()
    yield house
    house.end()
    assert "Traceback" not in house.log


@pytest.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGS))
        yield launched
        await launched.close()


@pytest.fixture
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    """Lets people come. When they leave, nothing may have gone wrong, and nothing come from elsewhere."""
    present: list[tuple[Person, House]] = []

    async def come(house: House, **options: Any) -> Person:
        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 820}, **options})
        context.set_default_timeout(20_000)
        person = Person(context, house)
        present.append((person, house))
        return person

    yield come
    for person, house in present:
        await person.context.close()
        excused = OF_A_SERVER_AWAY if house.was_away else OF_WHO_LEFT
        assert [problem for problem in person.problems if not excused.search(problem)] == []
        assert person.foreign == []


@pytest.fixture
async def person(visit: Visit, house: House) -> Person:
    """A person who has the page open, at a desk."""
    came = await visit(house)
    await came.open()
    return came

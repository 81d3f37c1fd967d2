"""An image that an assistant has made: shown in its answer, now and after a reload."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from antiphon.providers.demo.server import DemoServer
from tests.browser.conftest import House, Visit


@pytest.fixture
def drawing_house(built_page: None, tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, ANTIPHON_TOOLS__IMAGES__MODEL="hand:demo")
    yield house
    house.end()


async def test_an_image_is_shown_in_the_answer(drawing_house: House, visit: Visit) -> None:
    hand = DemoServer()
    await hand.start()
    drawing_house.variables["ANTIPHON_PROVIDERS__HAND__BASE_URL"] = hand.url
    try:
        person = await visit(drawing_house.start())
        await person.open()
        await person.ask("Draw me a red boat")
        for _ in range(2):
            image = person.answer.locator(".markdown img")
            await expect(image).to_have_count(1)
            await expect(image).to_have_attribute("alt", "a red boat")
            await expect(image).to_have_js_property("complete", value=True)
            await expect(image).to_have_js_property("naturalWidth", 1024)
            await person.page.reload()
    finally:
        await hand.stop()

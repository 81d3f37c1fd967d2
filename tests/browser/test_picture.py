"""The picture in the README: a real conversation, taken again with ANTIPHON_TEST_SCREENSHOT=1."""

import os

from playwright.async_api import expect

from tests.browser.conftest import ROOT, House, Visit

PICTURE = ROOT / "docs" / "images" / "page.png"

EARLIER = [
    "What can you do?",
    "Remember that my sister's birthday is on 3 May",
    "What time is it in Tokyo?",
    "How do I connect Ollama?",
    "How far is 26.2 miles in km?",
]
ASKED = ["Can I use Antiphon from Python?", "How do I embed it in my own program?"]


async def test_the_page_looks_as_the_readme_shows_it(own_house: House, visit: Visit) -> None:
    for question in EARLIER:
        await own_house.talk(question)
    room = {"width": 1280, "height": 900}  # for a question and an answer with its code
    person = await visit(own_house, color_scheme="light", reduced_motion="reduce", viewport=room)
    await person.open()
    for question in ASKED:
        await person.ask(question)
    await expect(person.see("conversation-item")).to_have_text([ASKED[0], *reversed(EARLIER)])
    await expect(person.answer.locator("[data-name=search_manual][data-status=done]")).to_be_in_viewport(ratio=1)
    await expect(person.answer.locator("pre .hljs-keyword").first).to_be_in_viewport(ratio=1)
    await expect(person.answer.get_by_test_id("answer-footer")).to_be_in_viewport(ratio=1)
    await expect(person.see("message-user").last).to_be_in_viewport(ratio=1)
    if os.environ.get("ANTIPHON_TEST_SCREENSHOT") == "1" or not PICTURE.exists():
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        await person.page.screenshot(path=PICTURE, animations="disabled")
    assert 10_000 < PICTURE.stat().st_size < 250_000

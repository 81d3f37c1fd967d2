"""A tool that waits for a person is a card on the page: read, allowed or denied there, by mouse or keys."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import House, Person, Visit, keep

ASK = '!tool calculator {"expression": "6 * 7"}'


@pytest.fixture(scope="module")
def careful(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose operator wants to be asked before anything is calculated."""
    folder: Path = tmp_path_factory.mktemp("careful")
    yield from keep(House(folder, ANTIPHON_TOOLS__APPROVAL='{"calculator": "always"}'))


@pytest.fixture
async def asked(careful: House, visit: Visit) -> Person:
    person = await visit(careful)
    await person.open()
    await person.say(ASK)
    await expect(person.see("approval", name="calculator")).to_contain_text("6 * 7")
    return person


async def test_what_is_allowed_is_done_and_the_answer_goes_on(asked: Person) -> None:
    card = asked.see("approval")
    await expect(card).to_contain_text("calculator")
    await card.get_by_test_id("approve").click()
    await expect(asked.see("answer-footer")).to_have_count(1)
    await expect(asked.answer).to_contain_text("42")
    await expect(asked.see("approval")).to_have_count(0)


async def test_what_is_denied_is_not_done_and_the_reason_is_told(asked: Person) -> None:
    card = asked.see("approval")
    await card.get_by_role("textbox").fill("I know that one")
    await card.get_by_role("button", name=re.compile("Deny", re.IGNORECASE)).click()
    await expect(asked.see("answer-footer")).to_have_count(1)
    await expect(asked.see("approval")).to_have_count(0)
    await expect(asked.answer).not_to_contain_text("42")


async def test_keys_alone_are_enough(asked: Person) -> None:
    await asked.see("approve").focus()
    await asked.page.keyboard.press("Enter")
    await expect(asked.answer).to_contain_text("42")


async def test_another_tab_and_a_reload_see_the_card_and_one_answer_is_for_all(asked: Person) -> None:
    first = asked.page
    await first.reload()
    await expect(first.get_by_test_id("approval")).to_be_visible()
    second = await asked.context.new_page()
    await second.goto(first.url)
    await second.get_by_test_id("approve").click()
    for page in (first, second):
        await expect(page.get_by_test_id("approval")).to_have_count(0)
        await expect(page.get_by_test_id("message-assistant").last).to_contain_text("42")


async def test_a_narrow_screen_holds_it(careful: House, visit: Visit) -> None:
    person = await visit(careful, viewport={"width": 360, "height": 640})
    await person.open()
    await person.say(ASK)
    await expect(person.see("approve")).to_be_in_viewport()
    assert not await person.width_overflows()


async def test_a_newcomer_is_asked_before_something_is_forgotten(careful: House, visit: Visit) -> None:
    person = await visit(careful)
    await person.open()
    await person.say("Remember that my favourite colour is teal")
    await expect(person.answer).to_contain_text("Remembered")
    await person.say("Forget that my favourite colour is teal")
    card = person.see("approval", name="forget")
    await expect(card).to_contain_text("my favourite colour is teal")
    await card.get_by_test_id("approve").click()
    await expect(person.answer).to_contain_text("Forgotten: my favourite colour is teal")

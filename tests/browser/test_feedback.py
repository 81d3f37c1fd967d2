"""Thumbs below an answer: pressed by mouse or keys, shown to every tab, still there after a reload, taken back."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import House, Person, Visit


@pytest.fixture
async def answered(house: House, visit: Visit) -> Person:
    person = await visit(house)
    await person.open()
    await person.ask("!echo A lighthouse.")
    return person


async def expect_chosen(answer: Locator, *, up: bool = False, down: bool = False) -> None:
    for thumb, chosen in (("thumb-up", up), ("thumb-down", down)):
        await expect(answer.get_by_test_id(thumb)).to_have_attribute("aria-pressed", str(chosen).lower())


async def test_a_thumb_is_chosen_changed_and_taken_back(answered: Person) -> None:
    answer = answered.answer
    await expect_chosen(answer)
    await answer.get_by_role("button", name="Good answer").click()
    await expect_chosen(answer, up=True)
    await answer.get_by_role("button", name="Bad answer").click()
    await expect_chosen(answer, down=True)
    await answer.get_by_role("button", name="Bad answer").click()
    await expect_chosen(answer)


async def test_it_is_there_after_a_reload_and_in_every_tab(answered: Person) -> None:
    second = await answered.context.new_page()
    await second.goto(answered.page.url)
    there = second.get_by_test_id("message-assistant").last
    await expect_chosen(there)
    await answered.answer.get_by_test_id("thumb-up").click()
    await expect_chosen(there, up=True)
    await answered.page.reload()
    await expect_chosen(answered.answer, up=True)


async def test_keys_are_enough_and_a_bad_answer_can_be_explained(answered: Person) -> None:
    answer, keys = answered.answer, answered.page.keyboard
    await answer.get_by_test_id("thumb-down").focus()
    await keys.press("Space")
    await expect_chosen(answer, down=True)
    await keys.press("Tab")
    await expect(answer.get_by_label("What was wrong?")).to_be_focused()
    await keys.type("It is a windmill.")
    await keys.press("Enter")
    await expect(answer.get_by_test_id("thumb-why")).to_have_count(0)
    await expect(answer.get_by_test_id("thumb-down")).to_have_attribute("title", "It is a windmill.")
    await answered.page.reload()
    await expect(answer.get_by_test_id("thumb-down")).to_have_attribute("title", re.compile("windmill"))


async def test_a_command_presses_the_thumb_too_and_what_the_house_says_has_none(answered: Person) -> None:
    await answered.say("/good")
    await expect(answered.see("message-system")).to_contain_text("Noted")
    await expect_chosen(answered.answer, up=True)
    await expect(answered.see("message-system").get_by_test_id("thumb-up")).to_have_count(0)


async def test_an_answer_that_is_being_written_has_none(house: House, visit: Visit) -> None:
    person = await visit(house)
    await person.open()
    await person.say("!slow 100 !long 40")
    await expect(person.see("message-assistant", state="streaming")).to_have_count(1)
    await expect(person.see("thumb-up")).to_have_count(0)
    await expect(person.see("thumb-up")).to_have_count(1)


async def test_a_narrow_screen_holds_them(house: House, visit: Visit) -> None:
    person = await visit(house, viewport={"width": 360, "height": 640})
    await person.open()
    answer = await person.ask("!echo A lighthouse.")
    await answer.get_by_test_id("thumb-down").click()
    await expect(answer.get_by_test_id("thumb-why")).to_be_visible()
    assert not await person.width_overflows()

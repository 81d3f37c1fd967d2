"""The server dies or is stopped, and comes back: what people see meanwhile and afterwards."""

import re

import aiohttp
from playwright.async_api import Locator, expect

from tests.browser.conftest import House, Person, Visit


async def stored_questions(house: House, person: Person) -> list[str]:
    conversation_id = person.page.url.rpartition("/")[2]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{house.url}/api/v1/conversations/{conversation_id}/messages") as response,
    ):
        found = await response.json()
    return [message["text"] for message in found["items"] if message["role"] == "user"]


async def test_kill_9_in_the_middle_of_an_answer(own_house: House, visit: Visit) -> None:
    person = await visit(own_house)
    await person.open()
    await person.say("!slow 30 !long 900")
    await person.watch_growth()
    own_house.kill()
    bar = person.see("connection-bar")
    await expect(bar).to_contain_text("Reconnecting…")
    await expect(person.see("stop")).to_have_count(0)
    await expect(person.see("send")).to_be_visible()
    await person.say("!echo Written while nobody listened.")
    await expect(person.see("message-user", state="sending")).to_have_text("!echo Written while nobody listened.")

    own_house.start()
    await expect(bar).to_have_attribute("data-shown", "false")
    broken = person.see("message-assistant").first
    await expect(broken).to_have_attribute("data-state", "interrupted")
    await expect(broken.get_by_test_id("answer-footer")).to_contain_text("interrupted")
    await expect(person.answer.get_by_test_id("answer-text")).to_have_text("Written while nobody listened.")
    await expect(person.see("message-user", state="stored")).to_have_count(2)

    answer = await person.ask("!echo And after that.")
    await expect(answer.get_by_test_id("answer-text")).to_have_text("And after that.")
    questions = ["!slow 30 !long 900", "!echo Written while nobody listened.", "!echo And after that."]
    assert await stored_questions(own_house, person) == questions
    await person.page.reload()
    await expect(person.see("message-user")).to_have_text(questions)
    await expect(person.see("message-assistant")).to_have_count(3)
    await expect(broken).to_have_attribute("data-state", "interrupted")


async def test_a_conversation_begun_while_the_server_is_away_begins_once(own_house: House, visit: Visit) -> None:
    person = await visit(own_house)
    await person.open()
    own_house.kill()
    await expect(person.see("connection-bar")).to_have_attribute("data-shown", "true")
    await person.say("!echo Is anybody there?")
    own_house.start()
    await expect(person.answer.get_by_test_id("answer-text")).to_have_text("Is anybody there?")
    await expect(person.see("conversation-item")).to_have_text(["!echo Is anybody there?"])
    assert await stored_questions(own_house, person) == ["!echo Is anybody there?"]


async def test_after_a_restart_everything_is_found_by_list_and_by_link(own_house: House, visit: Visit) -> None:
    person = await visit(own_house)
    await person.open()
    await person.ask("What is 17% of 2,340?")
    link = person.page.url.removeprefix(own_house.url)
    assert own_house.stop() == 0
    own_house.start()
    later = await visit(own_house)
    await later.open()
    await later.see("conversation-item").filter(has_text="17%").click()
    await expect(later.answer).to_contain_text("397.8")
    await expect(later.page).to_have_url(own_house.url + link)
    await later.open(link)
    await expect(later.answer).to_contain_text("397.8")
    await expect(later.answer.get_by_test_id("tool-card")).to_have_attribute("data-status", "done")
    await expect(later.page).to_have_title("What is 17% of 2,340? · Antiphon")
    # The tab that was open all the time needs nobody to reload it.
    await expect(person.see("connection-bar")).to_have_attribute("data-shown", "false")
    await expect((await person.ask("!echo Still here.")).get_by_test_id("answer-text")).to_have_text("Still here.")


async def place_of(question: Locator) -> float:
    return float(await question.evaluate("element => element.getBoundingClientRect().top"))


async def test_a_long_conversation_loads_upwards_and_stays_where_it_is_read(house: House, visit: Visit) -> None:
    questions = [f"!echo number {number}" for number in range(70)]
    conversation_id = await house.talk(*questions)
    person = await visit(house)
    await person.open(f"/c/{conversation_id}")
    shown = person.see("message-user")
    await expect(person.answer).to_contain_text("number 69")
    await expect(person.answer).to_be_in_viewport()
    await expect(shown).to_have_count(25)
    first = person.see("message-user").filter(has_text=re.compile(r"number 45$"))
    await person.see("log").evaluate("element => { element.scrollTop = 300; }")
    before = await place_of(first)
    await expect(shown).to_have_count(50)
    assert abs(await place_of(first) - before) < 4
    await person.see("log").evaluate("element => { element.scrollTop = 0; }")
    await expect(shown).to_have_text(questions)
    await expect(person.see("load-older")).to_have_count(0)
    await person.see("jump-latest").click()
    await expect(person.answer).to_be_in_viewport()
    await expect(person.see("jump-latest")).to_have_count(0)

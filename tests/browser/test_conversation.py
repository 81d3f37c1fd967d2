"""A conversation as a person has it: asks, watches, stops, reads, keeps order in the list."""

import re

from playwright.async_api import expect

from tests.browser.conftest import House, Person, Visit


async def test_an_answer_arrives_word_by_word_under_a_title_that_is_listed_at_once(person: Person) -> None:
    await person.say("!slow 30 !long 100")
    grown = await person.watch_growth()
    await expect(person.see("conversation-item").first).to_have_text("!slow 30 !long 100")
    await expect(person.see("title")).to_have_text("!slow 30 !long 100")
    await expect(person.page).to_have_url(re.compile(r"/c/\w{26}$"))
    assert await person.answer.get_attribute("data-state") == "streaming"
    await expect(person.answer).to_have_attribute("data-state", "answered")
    final = await person.answer.get_by_test_id("answer-text").inner_text()
    assert final.startswith(grown.strip())
    assert len(final.split()) == 100
    await expect(person.see("answer-footer")).to_contain_text("demo · 100 tokens")


async def test_tools_show_what_they_were_asked_and_what_they_found(person: Person) -> None:
    answer = await person.ask("What time is it in Tokyo and what is 17% of 2,340?")
    cards = answer.get_by_test_id("tool-card")
    await expect(cards).to_have_count(2)
    await expect(answer.locator("[data-testid=tool-card][data-status=done]")).to_have_count(2)
    calculator = answer.locator("[data-name=calculator]")
    await expect(calculator).to_contain_text("17% of 2340")
    await expect(calculator.locator(".tool-body")).to_be_hidden()
    await calculator.locator("summary").click()
    await expect(calculator.locator(".tool-body")).to_contain_text("397.8")
    await expect(answer.get_by_test_id("answer-text").last).to_contain_text("397.8")


async def test_a_tool_that_fails_says_so_and_the_answer_goes_on(person: Person) -> None:
    answer = await person.ask("!tool calculator {}")
    await expect(answer.get_by_test_id("tool-card")).to_have_attribute("data-status", "failed")
    await expect(answer.get_by_test_id("tool-card")).to_contain_text("failed")
    await expect(answer).to_have_attribute("data-state", "answered")


async def test_markdown_becomes_headings_lists_tables_and_coloured_code(person: Person) -> None:
    source = (
        "## Plan\n\n1. **first**\n2. `second`\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n```python\ndef f(): return 1\n```"
    )
    answer = await person.ask(f"!echo {source}")
    await expect(answer.get_by_role("heading", name="Plan")).to_be_visible()
    await expect(answer.get_by_role("listitem")).to_have_text(["first", "second"])
    await expect(answer.get_by_role("cell")).to_have_text(["1", "2"])
    await expect(answer.locator("pre code")).to_have_text("def f(): return 1")
    keyword = answer.locator("pre .hljs-keyword").first
    await expect(keyword).to_have_text("def")
    plain = await answer.locator("pre code").evaluate("element => getComputedStyle(element).color")
    assert await keyword.evaluate("element => getComputedStyle(element).color") != plain


async def test_code_and_answers_are_copied_as_they_were_written(house: House, visit: Visit) -> None:
    person = await visit(house, permissions=["clipboard-read", "clipboard-write"])
    await person.open()
    answer = await person.ask("!echo Look:\n\n```sh\nls -l\n```")
    await answer.get_by_test_id("copy-code").click()
    await expect(answer.get_by_test_id("copy-code")).to_have_text("Copied")
    assert (await person.page.evaluate("navigator.clipboard.readText()")).strip() == "ls -l"
    await answer.get_by_test_id("copy-answer").click()
    await expect(answer.get_by_test_id("copy-answer")).to_have_accessible_name("Copied")
    assert await person.page.evaluate("navigator.clipboard.readText()") == "Look:\n\n```sh\nls -l\n```"


async def test_an_answer_that_is_stopped_keeps_what_it_had_and_the_next_is_answered(person: Person) -> None:
    await person.say("!slow 30 !long 600")
    grown = await person.watch_growth()
    await person.see("stop").click()
    stopped = person.see("message-assistant").first
    await expect(stopped).to_have_attribute("data-state", "interrupted")
    footer = stopped.get_by_test_id("answer-footer")
    await expect(footer).to_have_text(re.compile(r"^demo · about [\d,]+ tokens · .+ · stopped$"))
    await expect(person.see("stop")).to_have_count(0)
    await expect(stopped.get_by_test_id("notice")).to_have_count(0)
    kept = await stopped.get_by_test_id("answer-text").inner_text()
    assert kept.startswith(grown.strip())
    assert len(kept.split()) < 600
    answer = await person.ask("!echo And now this.")
    await expect(answer.get_by_test_id("answer-text")).to_have_text("And now this.")
    await person.page.reload()
    await expect(person.answer.get_by_test_id("answer-text")).to_have_text("And now this.")
    await expect(stopped.get_by_test_id("answer-text")).to_have_text(kept)
    await expect(stopped).to_have_attribute("data-state", "interrupted")
    await expect(footer).to_have_text(re.compile(r"^demo · about [\d,]+ tokens · .+ · stopped$"))


async def test_what_is_asked_meanwhile_waits_its_turn(person: Person) -> None:
    await person.say("!slow 30 !long 100")
    await person.watch_growth()
    await person.say("!echo The second.")
    await expect(person.see("message-user", state="queued")).to_contain_text("Queued")
    await expect(person.see("answer-footer")).to_have_count(2)
    await expect(person.see("message-user", state="queued")).to_have_count(0)
    spoken = person.see("log").get_by_role("article")
    states = [await article.get_attribute("data-testid") for article in await spoken.all()]
    assert states == ["message-user", "message-assistant"] * 2
    await expect(person.answer.get_by_test_id("answer-text")).to_have_text("The second.")


async def test_a_reload_in_the_middle_goes_on_and_a_second_tab_sees_the_same(person: Person) -> None:
    await person.say("!slow 30 !long 250")
    grown = await person.watch_growth()
    await person.page.reload()
    after = await person.watch_growth()
    assert after.startswith(grown.strip())
    first = person.page
    await person.open(first.url.removeprefix(person.url))
    joined = await person.watch_growth()
    assert joined.startswith(grown.strip())
    texts = []
    for tab in (first, person.page):
        await expect(tab.get_by_test_id("message-assistant")).to_have_attribute("data-state", "answered")
        await expect(tab.get_by_test_id("message-assistant")).to_have_count(1)
        await expect(tab.get_by_test_id("message-user")).to_have_count(1)
        texts.append(await tab.get_by_test_id("answer-text").inner_text())
    assert texts[0] == texts[1]
    assert len(texts[0].split()) == 250


async def test_thinking_is_folded_away_until_somebody_looks(person: Person) -> None:
    answer = await person.ask("!reason What is 3 km in miles?")
    thought = answer.get_by_test_id("thought").first
    await expect(thought.locator(".thought-text")).to_be_hidden()
    await thought.locator("summary").click()
    await expect(thought.locator(".thought-text")).to_contain_text("word by word")


async def test_a_model_that_fails_is_told_in_the_conversation_which_goes_on(person: Person) -> None:
    await person.say("!401")
    await expect(person.see("message-system", state="refused")).to_contain_text("check its API key")
    answer = await person.ask("!cut 8 !long 50")
    await expect(answer).to_have_attribute("data-state", "interrupted")
    await expect(answer.get_by_test_id("notice")).to_contain_text("Ask again.")
    await expect(answer.get_by_test_id("notice").locator("code")).to_have_text("!cut")
    await expect(answer.get_by_test_id("answer-footer")).to_have_text(re.compile(r"^demo · .+ · interrupted$"))
    answer = await person.ask("!echo All is well.")
    await expect(answer).to_contain_text("All is well.")


async def test_a_conversation_is_renamed_in_every_tab(person: Person) -> None:
    await person.ask("!echo Something to rename")
    first = person.page
    await person.open()
    await first.bring_to_front()
    await first.get_by_test_id("conversation-item").first.hover()
    await first.get_by_test_id("rename").first.click()
    await first.get_by_test_id("rename-input").fill("A better name")
    await first.get_by_test_id("rename-input").press("Enter")
    for tab in (first, person.page):
        await expect(tab.get_by_test_id("conversation-item").first).to_have_text("A better name")
    await expect(first.get_by_test_id("title")).to_have_text("A better name")
    await expect(first).to_have_title("A better name · Antiphon")


async def test_a_conversation_is_deleted_only_after_a_question(person: Person) -> None:
    await person.ask("!echo Something to delete")
    item = person.see("conversation-item").filter(has_text="Something to delete")
    address = person.page.url.removeprefix(person.url)
    await item.hover()
    await person.see("delete").first.click()
    await person.see("cancel-delete").click()
    await expect(item).to_have_count(1)
    await item.hover()
    await person.see("delete").first.click()
    await person.see("confirm-delete").click()
    await expect(item).to_have_count(0)
    await expect(person.see("empty-state")).to_be_visible()
    await person.page.goto(person.url + address)
    await expect(person.see("missing")).to_be_visible()


async def test_a_new_conversation_begins_empty_and_a_starter_starts_it(person: Person) -> None:
    await person.ask("!echo The old one")
    await person.see("new-conversation").click()
    await expect(person.see("empty-state")).to_be_visible()
    await expect(person.page).to_have_url(person.url + "/")
    await person.see("starter").filter(has_text="17%").click()
    await expect(person.see("answer-footer")).to_have_count(1)
    await expect(person.answer).to_contain_text("397.8")
    await person.page.go_back()
    await person.page.go_back()
    await expect(person.answer.get_by_test_id("answer-text")).to_have_text("The old one")


async def test_what_was_typed_and_not_sent_is_still_there_after_a_reload(person: Person) -> None:
    await person.composer.fill("half a thought")
    await person.page.reload()
    await expect(person.composer).to_have_value("half a thought")

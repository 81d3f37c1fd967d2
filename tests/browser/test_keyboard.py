"""The page without a mouse."""

import re

from playwright.async_api import Page, expect

from tests.browser.conftest import Person

FOCUSED = """() => {
  const element = document.activeElement;
  return element.dataset.testid ?? element.getAttribute("aria-label") ?? element.textContent.trim();
}"""

RING = """() => {
  const around = [];
  for (let e = document.activeElement, n = 0; e && n < 3; e = e.parentElement, n++) around.push(e);
  // In the middle of a transition both looks are the same.
  for (const element of around) element.style.transition = "none";
  const looks = () => JSON.stringify(around.map((element) => {
    const { outline, boxShadow, borderColor, transform, clipPath } = getComputedStyle(element);
    return [outline, boxShadow, borderColor, transform, clipPath];
  }));
  const element = document.activeElement;
  const focused = looks();
  element.blur();
  const plain = looks();
  element.focus({ focusVisible: true });
  return focused !== plain;
}"""


UNTIL_STILL = """log => new Promise((resolve) => {
  let still = 0, last = log.scrollTop;
  const look = () => {
    still = log.scrollTop === last ? still + 1 : 0;
    last = log.scrollTop;
    if (still > 20) resolve();
    else requestAnimationFrame(look);
  };
  look();
})"""


async def walk(page: Page) -> list[str]:
    """What Tab comes to, from the top of the page to its end; each of them shows that it has the focus."""
    await page.evaluate("document.activeElement.blur(), getSelection().removeAllRanges()")
    await page.evaluate("document.body.tabIndex = -1, document.body.focus(), document.body.removeAttribute('tabindex')")
    stops: list[str] = []
    while len(stops) < 60:
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement === document.body"):
            break
        stops.append(await page.evaluate(FOCUSED))
        assert await page.evaluate(RING), f"nobody sees that {stops[-1]} has the focus"
    return stops


async def test_tab_comes_to_everything_in_the_order_in_which_it_is_read(person: Person) -> None:
    await person.ask("What is 17% of 2,340?")
    stops = await walk(person.page)
    assert stops[0] == "Skip to the message field"
    expected = ["new-conversation", "filter", "conversation-item", "rename", "delete"]
    assert [stop for stop in stops if stop in expected][:5] == expected
    around = [stop for stop in stops if stop in {"model-chip", "log", "copy-answer", "composer"}]
    assert around == ["model-chip", "log", "copy-answer", "composer"]
    assert sum(stop.startswith("theme-") for stop in stops) == 1


async def test_a_whole_conversation_by_keys(person: Person) -> None:
    keys = person.page.keyboard
    await expect(person.composer).to_be_focused()
    await keys.type("!echo one")
    await keys.press("Shift+Enter")
    await keys.type("two")
    await expect(person.composer).to_have_value("!echo one\ntwo")
    await keys.press("Enter")
    await expect(person.see("answer-footer")).to_have_count(1)
    await expect(person.composer).to_have_value("")
    await expect(person.composer).to_be_focused()
    await keys.type("!slow 30 !long 600")
    await keys.press("Enter")
    await person.watch_growth()
    await keys.press("Escape")
    await expect(person.answer).to_have_attribute("data-state", "interrupted")
    await keys.press("Control+Shift+O")
    await expect(person.see("empty-state")).to_be_visible()
    await expect(person.composer).to_be_focused()


async def test_enter_alone_sends_nothing(person: Person) -> None:
    await person.composer.press("Enter")
    await person.composer.fill("  \n ")
    await person.composer.press("Enter")
    await expect(person.see("empty-state")).to_be_visible()
    await expect(person.see("send")).to_be_disabled()


async def test_the_list_is_searched_renamed_and_deleted_by_keys(person: Person) -> None:
    keys = person.page.keyboard
    await person.ask("!echo A needle in the list")
    await person.page.goto(person.url)
    await expect(person.composer).to_be_focused()
    await keys.press("Control+k")
    await expect(person.see("filter")).to_be_focused()
    await keys.type("needle")
    items = person.see("conversation-item")
    await expect(items).to_have_text(["!echo A needle in the list"])
    await keys.press("Tab")
    await expect(items.first).to_be_focused()
    await keys.press("Enter")
    await expect(person.answer).to_contain_text("A needle in the list")
    await items.first.focus()
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(person.see("rename-input")).to_be_focused()
    await keys.press("Escape")
    await expect(items).to_have_text(["!echo A needle in the list"])
    await items.first.focus()
    await keys.press("Tab")
    await keys.press("Enter")
    await keys.type("needle, renamed")
    await keys.press("Enter")
    await expect(items).to_have_text(["needle, renamed"])
    await person.see("delete").focus()
    await keys.press("Enter")
    await expect(person.see("cancel-delete")).to_be_focused()
    await keys.press("Escape")
    await expect(person.see("cancel-delete")).to_have_count(0)
    await person.see("delete").focus()
    await keys.press("Enter")
    await keys.press("Tab")
    await expect(person.see("confirm-delete")).to_be_focused()
    await keys.press("Enter")
    await expect(items).to_have_count(0)
    await person.see("filter").press("Escape")
    await expect(person.see("filter")).to_have_value("")


async def test_a_tool_opens_and_an_answer_is_read_by_keys(person: Person) -> None:
    answer = await person.ask("What is 17% of 2,340?")
    card = answer.get_by_test_id("tool-card")
    await card.locator("summary").focus()
    await person.page.keyboard.press("Enter")
    await expect(card.locator(".tool-body")).to_be_visible()
    await person.ask("!long 900")
    await person.see("log").focus()
    await person.page.keyboard.press("Home")
    await expect(person.see("message-user").first).to_be_in_viewport()
    await person.see("jump-latest").press("Enter")
    await expect(person.see("jump-latest")).to_have_count(0)
    await person.see("log").press("Home")
    # As soon as it is there: in the middle of the smooth scroll.
    await person.see("jump-latest").dispatch_event("click")
    await person.see("log").evaluate(UNTIL_STILL)
    assert await person.see("log").evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 2
    await expect(person.see("jump-latest")).to_have_count(0)
    await expect(person.answer).to_have_attribute("data-state", re.compile("answered"))

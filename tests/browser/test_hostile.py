"""What a model writes is text: nothing in it runs, loads, or leads anywhere by itself.

That nothing was loaded from elsewhere and that the browser reported no violation is asserted for every test when its
people leave.
"""

import pytest
from playwright.async_api import Browser, Error, expect

from tests.browser.conftest import House, Person

ELSEWHERE = "http://127.0.0.2:9/pixel.png"
SIGN = "window.pwned = true"

RUNS = [
    f"<img src=x onerror='{SIGN}'>",
    f"<script>{SIGN}</script>",
    f"<svg onload='{SIGN}'><animate onbegin='{SIGN}' attributeName=x dur=1s>",
    f"<iframe srcdoc='<script>parent.{SIGN}</script>'></iframe>",
    f"<details open ontoggle='{SIGN}'>x</details>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={SIGN}&gt;'>",
    f"<form action=javascript:{SIGN}><button autofocus onfocus='{SIGN}'>x</button></form>",
    f"<style>@import '{ELSEWHERE}'; body {{ background: url({ELSEWHERE}) }}</style>",
    f"<link rel=stylesheet href={ELSEWHERE}><base href={ELSEWHERE}><meta http-equiv=refresh content='0;{ELSEWHERE}'>",
    f"![pixel]({ELSEWHERE}) ![pixel][ref]\n\n[ref]: {ELSEWHERE}",
    f'```html"><img src=x onerror="{SIGN}">\n<script>{SIGN}</script>\n```',
    f"| a |\n| - |\n| <img src={ELSEWHERE} onerror='{SIGN}'> |",
]

NO_WEB_ADDRESSES = [
    "javascript:window.pwned=1",
    "JaVaScRiPt&colon;window.pwned=1",
    "data:text/html,x",
    "vbscript:x",
    "//127.0.0.2/",
    "file:///etc/passwd",
]


async def nothing_happened(person: Person) -> None:
    assert await person.page.evaluate("window.pwned") is None
    active = "img, script, iframe, object, embed, form:not(.composer), link, style, base, meta, animate"
    assert await person.see("log").locator(active).count() == 0
    handlers = "elements => elements.flatMap(e => e.getAttributeNames().filter(name => name.startsWith('on')))"
    assert await person.page.locator("body *").evaluate_all(handlers) == []


async def test_html_and_images_in_answers_are_shown_and_do_nothing(person: Person) -> None:
    for number, text in enumerate(RUNS):
        answer = await person.ask(f"!echo number {number}: {text}")
        await expect(answer).to_contain_text(f"number {number}")
        await nothing_happened(person)
    await expect(person.see("message-assistant").first).to_contain_text(RUNS[0])
    await person.page.reload()
    await expect(person.answer).to_contain_text(f"number {len(RUNS) - 1}")
    await nothing_happened(person)


async def test_html_is_as_harmless_while_it_streams(person: Person) -> None:
    await person.say("!slow 15 !echo " + " ".join(RUNS))
    await expect(person.answer).to_have_attribute("data-state", "answered")
    await nothing_happened(person)


async def test_a_link_that_is_no_web_address_leads_nowhere(person: Person) -> None:
    for address in NO_WEB_ADDRESSES:
        answer = await person.ask(f"!echo [{address[:6]}]({address})")
        link = answer.locator("a", has_text=address[:6])
        await expect(link).to_have_count(1)
        assert await link.get_attribute("href") is None
        await link.click()
        await nothing_happened(person)
    assert len(person.context.pages) == 1


async def test_a_link_to_the_web_opens_elsewhere_and_tells_nobody_where_it_was_found(person: Person) -> None:
    answer = await person.ask("!echo [a link](https://example.org/)")
    link = answer.locator("a")
    await expect(link).to_have_attribute("href", "https://example.org/")
    await expect(link).to_have_attribute("target", "_blank")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")


async def test_titles_questions_and_tools_are_text_too(person: Person) -> None:
    hostile = f"<img src={ELSEWHERE} onerror='{SIGN}'>"
    await person.ask(f"{hostile} **bold** [x](javascript:{SIGN})")
    await expect(person.see("message-user").first).to_contain_text(hostile)
    await expect(person.see("conversation-item").first).to_contain_text("<img src=")
    await expect(person.see("title")).to_contain_text("<img src=")
    answer = await person.ask('!tool search_manual {"query": "<script>window.pwned = true</script>"}')
    await answer.get_by_test_id("tool-card").locator("summary").click()
    await expect(answer.get_by_test_id("tool-card")).to_contain_text("<script>window.pwned = true</script>")
    await nothing_happened(person)


async def test_a_flood_without_spaces_or_line_ends_does_not_break_the_frame(person: Person) -> None:
    await person.ask("!echo " + "W" * 3000)
    assert not await person.width_overflows()
    await person.ask("!echo ```\n" + "W" * 3000 + "\n```\n\n| " + "W" * 3000 + " |\n| - |\n| x |")
    assert not await person.width_overflows()


async def test_what_would_go_wrong_is_noticed(house: House, browser: Browser) -> None:
    """The policy holds, and what these tests listen to tells of it."""
    person = Person(await browser.new_context(), house)
    page = await person.open()
    await page.evaluate("address => { new Image().src = address; }", ELSEWHERE)
    await page.evaluate("setTimeout(() => { throw new Error('on purpose'); })")
    await page.evaluate("document.body.append(Object.assign(document.createElement('style'), { textContent: 'p {}' }))")
    with pytest.raises(Error, match="TrustedHTML"):
        await page.evaluate("document.createElement('p').innerHTML = '<b>x</b>'")
    await expect(page.get_by_test_id("starter")).to_have_count(4)
    told = " ".join(person.problems)
    assert "on purpose" in told
    assert "img-src" in told
    assert "style-src" in told
    await person.context.close()

"""Both themes, both widths, and people who do not see the page: facts about its looks instead of pixels."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import House, Person, Visit

DESK, PHONE = {"width": 1280, "height": 820}, {"width": 390, "height": 844}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

CONTRASTS = """(selectors) => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colors) => {
    context.clearRect(0, 0, 1, 1);
    for (const color of colors) {
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return selectors.map((selector) => {
    const element = document.querySelector(selector);
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(getComputedStyle(e).backgroundColor);
    const back = luminance(paint(["Canvas", ...layers]));
    const front = luminance(paint(["Canvas", ...layers, getComputedStyle(element).color]));
    return [selector, (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05)];
  });
}"""

MAIN_TEXTS = [
    "[data-testid=answer-text] p",
    "[data-testid=answer-text] pre code",
    "[data-testid=answer-text] .hljs-keyword",
    "[data-testid=message-user] .bubble",
    "[data-testid=message-system]",
    "[data-testid=answer-footer] span",
    "[data-testid=tool-card] .tool-name",
    "[data-testid=title]",
    "[data-testid=composer]",
    "[data-testid=conversation-item]",
]


@pytest.fixture(scope="session")
def axe(npm_ci: Callable[[Path], Path]) -> str:
    """The source of axe-core."""
    folder = npm_ci(Path(__file__).parent / "node")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


async def violations(page: Page, axe: str) -> list[str]:
    """What axe finds that is moderate or worse, as `rule: where`."""
    await page.evaluate(axe)
    found: dict[str, Any] = await page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
        if rule["impact"] != "minor"
    ]


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_no_barrier_in_any_state(house: House, visit: Visit, axe: str, theme: str, viewport: Any) -> None:
    person = await visit(house, color_scheme=theme, viewport=viewport, reduced_motion="reduce")
    page = await person.open()
    await expect(person.see("starter")).to_have_count(4)
    assert await violations(page, axe) == []
    await person.say("!slow 40 !reason !long 600")
    await expect(person.see("message-assistant", state="streaming").get_by_test_id("thought")).to_be_visible()
    assert await violations(page, axe) == []
    await person.see("stop").click()
    await expect(person.see("answer-footer")).to_have_count(1)
    await person.ask("What is 17% of 2,340?")
    await person.ask("!echo Some *words*, a [link](https://example.org) and code:\n\n```python\ndef f(): return 1\n```")
    await person.say("/help")
    await person.say("/nonsense")
    await expect(person.see("message-system")).to_have_count(2)
    await person.see("tool-card", name="calculator").locator("summary").click()
    await person.see("model-chip").click()
    await expect(person.see("model-option").first).to_be_visible()
    assert await violations(page, axe) == []
    assert not await person.width_overflows()
    assert {name: ratio for name, ratio in await page.evaluate(CONTRASTS, MAIN_TEXTS) if ratio < 4.5} == {}


async def background(page: Page) -> int:
    """How bright the page is behind everything: the sum of red, green and blue."""
    shown: int = await page.evaluate("""() => {
      const context = new OffscreenCanvas(1, 1).getContext("2d");
      context.fillStyle = getComputedStyle(document.body).backgroundColor;
      context.fillRect(0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).reduce((sum, part) => sum + part);
    }""")
    return shown


async def test_colours_follow_the_system_until_somebody_chooses(house: House, visit: Visit) -> None:
    person = await visit(house, color_scheme="dark")
    page = await person.open()
    dark = await background(page)
    await page.emulate_media(color_scheme="light")
    light = await background(page)
    assert dark < 200
    assert light > 600
    await person.see("theme-dark").check(force=True)
    assert await background(page) == dark
    await page.reload()
    await expect(person.composer).to_be_visible()
    assert await background(page) == dark
    await person.see("theme-system").check(force=True)
    assert await background(page) == light


async def test_on_a_phone_the_list_is_a_drawer_and_the_composer_stays_in_reach(house: House, visit: Visit) -> None:
    person = await visit(house, viewport=PHONE, has_touch=True, is_mobile=True)
    await person.open()
    await person.ask("How do I write my own tool in Python?")
    assert not await person.width_overflows()
    await expect(person.composer).to_be_in_viewport(ratio=1)
    await expect(person.see("conversation-item").first).not_to_be_in_viewport()
    await person.see("open-sidebar").tap()
    await expect(person.see("conversation-item").first).to_be_in_viewport(ratio=0.9)
    await person.see("new-conversation").tap()
    await expect(person.see("empty-state")).to_be_visible()
    await expect(person.see("new-conversation")).not_to_be_in_viewport()
    await expect(person.composer).to_be_in_viewport(ratio=1)
    touched = person.page.locator("main button:visible, main textarea")
    boxes = await touched.evaluate_all("all => all.map(e => [e.offsetWidth, e.offsetHeight])")
    assert min(side for box in boxes for side in box) >= 24


async def test_the_composer_grows_with_the_text_and_stops(person: Person) -> None:
    async def height() -> float:
        return float(await person.composer.evaluate("element => element.offsetHeight"))

    one = await height()
    await person.composer.fill("one\ntwo\nthree")
    three = await height()
    await person.composer.fill("line\n" * 200)
    assert one < three < await height() <= 240
    await expect(person.see("send")).to_be_in_viewport(ratio=1)
    await person.composer.fill("")
    assert await height() == one


async def test_every_block_runs_in_the_direction_of_its_script(person: Person) -> None:
    answer = await person.ask("!echo In English.\n\n- \u05e2\u05d1\u05e8\u05d9\u05ea\n\n```python\nx = 1\n```")
    direction = "element => getComputedStyle(element).direction"
    blocks = answer.locator(".markdown p, .markdown li, .markdown pre")
    await expect(blocks).to_have_count(3)
    assert await blocks.evaluate_all(f"all => all.map({direction})") == ["ltr", "rtl", "ltr"]


async def test_a_finished_answer_is_announced_and_its_tokens_are_not(person: Person) -> None:
    log, announcer = person.see("log"), person.see("announcer")
    await expect(announcer).to_have_attribute("aria-live", "polite")
    heard = """announcer => {
      window.heard = [];
      new MutationObserver(() => window.heard.push(announcer.textContent))
        .observe(announcer, { childList: true, characterData: true, subtree: true });
    }"""
    await announcer.evaluate(heard)
    await person.say("!slow 30 !long 100")
    await person.watch_growth()
    await expect(log).to_have_attribute("role", "log")
    await expect(log).to_have_attribute("aria-live", "off")
    await expect(person.answer).to_have_attribute("aria-busy", "true")
    assert await person.page.evaluate("window.heard") == []
    await expect(person.answer).to_have_attribute("data-state", "answered")
    await expect(person.answer).to_have_attribute("aria-busy", "false")
    text = await person.answer.get_by_test_id("answer-text").inner_text()
    assert await person.page.evaluate("window.heard") == [text]


async def test_the_page_is_there_at_once(house: House, visit: Visit) -> None:
    person = await visit(house)
    async with asyncio.timeout(5):
        page = await person.open()
    names = await page.evaluate(
        "performance.getEntriesByType('resource').map(entry => [entry.name, entry.encodedBodySize])"
    )
    assert sum(size for name, size in names if "/assets/" in name) < 60_000

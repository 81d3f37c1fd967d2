"""Files on the page: chosen, pasted and dropped, seen before and after they are sent, and by keys alone."""

import re
from pathlib import Path

from playwright.async_api import expect

from tests.attached import png
from tests.browser.conftest import House, Person, Visit

REFUSED = re.compile(r"status of 41[35]")

GIVE = """([event, name, kind, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
  const field = document.querySelector("[data-testid=composer]");
  const more = event === "paste" ? { clipboardData: files } : { dataTransfer: files };
  const made = event === "paste" ? new ClipboardEvent(event, { bubbles: true, cancelable: true, ...more })
    : new DragEvent(event, { bubbles: true, cancelable: true, ...more });
  field.dispatchEvent(made);
  return made.defaultPrevented;
}"""


async def give(person: Person, event: str, name: str, kind: str, data: bytes) -> bool:
    """A file that comes by the clipboard or by the mouse; whether the page took it."""
    taken: bool = await person.page.evaluate(GIVE, [event, name, kind, list(data)])
    return taken


async def choose(person: Person, name: str, kind: str, data: bytes) -> None:
    await person.see("attach-input").set_input_files({"name": name, "mimeType": kind, "buffer": data})


async def test_a_picture_is_chosen_seen_sent_and_there_after_a_reload(person: Person) -> None:
    await choose(person, "plan.png", "image/png", png(30, 20))
    await expect(person.see("upload", state="kept")).to_have_count(1)
    await expect(person.see("upload")).to_contain_text("plan.png")
    await person.say("What is this?")
    await expect(person.answer).to_contain_text("30 x 20 pixels")
    await expect(person.see("upload")).to_have_count(0)
    for _ in range(2):
        await expect(person.see("attached-picture").locator("img")).to_have_attribute("alt", "plan.png")
        await person.page.wait_for_function(
            "() => document.querySelector('[data-testid=attached-picture] img')?.naturalWidth === 30"
        )
        await person.page.reload()


async def test_what_is_pasted_and_dropped_comes_along_and_what_is_removed_does_not(person: Person) -> None:
    assert await give(person, "paste", "shot.png", "image/png", png(8, 8))
    assert await give(person, "drop", "notes.txt", "text/plain", b"Tea is at five. Cake too.")
    assert await give(person, "drop", "other.txt", "text/plain", b"Not meant.")
    await expect(person.see("upload", state="kept")).to_have_count(3)
    await person.page.get_by_role("button", name="Remove other.txt").click()
    await expect(person.composer).to_be_focused()
    await person.see("send").click()
    await expect(person.answer).to_contain_text("8 x 8 pixels")
    await expect(person.answer).to_contain_text("It begins: “Tea is at five.”")
    await expect(person.answer).not_to_contain_text("other.txt")
    await expect(person.see("attached-file")).to_have_text(re.compile(r"notes\.txt\s*25 B"))


async def test_what_is_refused_says_why_and_holds_the_message_back(person: Person) -> None:
    await choose(person, "evil.png", "image/png", b"<script>alert(1)</script>")
    failed = person.see("upload", state="failed")
    await expect(failed.get_by_role("alert")).to_contain_text("its content is something else")
    await person.composer.fill("Look.")
    await expect(person.see("send")).to_be_disabled()
    await person.composer.press("Enter")
    await expect(person.see("message-user")).to_have_count(0)
    await person.see("upload-remove").click()
    await person.composer.press("Enter")
    await expect(person.see("message-user")).to_have_count(1)
    person.problems = [problem for problem in person.problems if not REFUSED.search(problem)]


async def test_keys_alone_attach_and_remove(person: Person, tmp_path: Path) -> None:
    await expect(person.composer).to_be_focused()
    (tmp_path / "a.png").write_bytes(png())
    async with person.page.expect_file_chooser() as opened:
        await person.see("attach").press("Enter")
    await (await opened.value).set_files(tmp_path / "a.png")
    await expect(person.composer).to_be_focused()
    await expect(person.see("upload", state="kept")).to_have_count(1)
    await person.page.get_by_role("button", name="Remove a.png").focus()
    await person.page.keyboard.press("Space")
    await expect(person.see("upload")).to_have_count(0)
    await expect(person.composer).to_be_focused()


async def test_nothing_jumps_when_pictures_arrive(house: House, visit: Visit) -> None:
    person = await visit(house, viewport={"width": 390, "height": 780})
    await person.open()
    for number in range(4):
        await choose(person, f"{'long' * 40}{number}.png", "image/png", png(2000, 10, note=b"%d" % number))
    await expect(person.see("upload", state="kept")).to_have_count(4)
    assert not await person.width_overflows()
    await person.see("send").click()
    await expect(person.see("attached-picture")).to_have_count(4)
    boxes = [await box.bounding_box() for box in await person.see("attached-picture").all()]
    assert {(round(box["width"]), round(box["height"])) for box in boxes if box} == {(160, 120)}
    assert not await person.width_overflows()


async def test_a_file_that_the_assistant_wrote_is_downloaded_from_its_answer(person: Person) -> None:
    await person.ask('!tool write_file {"name": "prices.csv", "text": "lamp,12"}')
    link = person.answer.locator(".markdown a")
    await expect(link).to_have_text("prices.csv")
    async with person.page.expect_download() as coming:
        await link.click()
    download = await coming.value
    assert download.suggested_filename == "prices.csv"
    assert Path(await download.path()).read_text() == "lamp,12"

"""A voice note on the page: sent as a file, read as text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, expect

from antiphon.providers.demo.server import DemoServer
from tests.browser.conftest import House, Visit
from tests.sounds import wav


@pytest.fixture
def listening_house(built_page: None, tmp_path: Path) -> Iterator[House]:
    house = House(
        tmp_path,
        ANTIPHON_PLUGINS__ENABLED='["voice"]',
        ANTIPHON_PLUGINS__VOICE__PROVIDER="ears",
        ANTIPHON_PLUGINS__VOICE__MODEL="demo",
    )
    yield house
    house.end()


async def test_a_note_is_read_as_what_was_said_in_it(listening_house: House, visit: Visit) -> None:
    ears = DemoServer()
    await ears.start()
    listening_house.variables["ANTIPHON_PROVIDERS__EARS__BASE_URL"] = ears.url
    try:
        person = await visit(listening_house.start())
        await person.open()
        note = FilePayload(name="note.wav", mimeType="audio/wav", buffer=wav(comment="What is 6 times 7?"))
        await person.see("attach-input").set_input_files(note)
        await expect(person.see("upload", state="kept")).to_have_count(1)
        await person.see("send").click()
        await expect(person.answer).to_contain_text("42")
        for _ in range(2):
            asked = person.see("message-user")
            await expect(asked).to_have_count(1)
            await expect(asked).to_contain_text("What is 6 times 7?")
            await expect(asked).to_contain_text("note.wav")
            await expect(person.see("question-notice", code="transcribed")).to_have_text("Transcribed from note.wav.")
            await person.page.reload()
    finally:
        await ears.stop()

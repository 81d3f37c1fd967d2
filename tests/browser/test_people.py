"""Who else has a conversation open, as each of them sees it in the header."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from playwright.async_api import expect

from antiphon.domain import Person as HousePerson
from antiphon.storage.base import LOCAL_ACCOUNT
from antiphon.workspace import Workspace
from tests.browser.conftest import House, Person, Visit
from tests.serving import serving


class Here:
    """A house in this process, where a test says who arrives."""

    was_away = False

    def __init__(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = workspace.url
        self.workspace = workspace
        self._monkeypatch = monkeypatch

    async def arrives(self, visit: Visit, who: HousePerson, path: str, **options: object) -> Person:
        async def known(*_: object, **__: object) -> HousePerson:
            return who

        self._monkeypatch.setattr(self.workspace.store.people, "by_account", known)
        person = await visit(cast("House", self), **options)
        await person.open(path)
        return person


@pytest.fixture
async def here(built_page: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Here]:
    async with serving(tmp_path) as workspace:
        yield Here(workspace, monkeypatch)


async def test_people_see_who_else_is_here_and_that_they_have_gone(here: Here, visit: Visit) -> None:
    people = here.workspace.store.people
    ann = await people.by_account("telegram", "ann", name="Ann <b>Lee</b>")
    ada = await people.by_account(*LOCAL_ACCOUNT, name="Ada")
    hers = await here.workspace.history.create(ann, client_id="c", assistant="antiphon")
    one = await here.arrives(visit, ann, f"/c/{hers.id}")
    second_tab = await one.open(f"/c/{hers.id}")
    await expect(one.see("model-chip")).to_be_visible()
    await expect(one.see("people")).to_have_count(0)
    other = await here.arrives(visit, ada, f"/c/{hers.id}", viewport={"width": 390, "height": 800})
    await expect(one.see("people").locator(":not([aria-hidden])")).to_have_text("Also here: Ada")
    await expect(one.see("people").locator("bdi")).to_have_text("Ada")
    await expect(one.see("people").locator("bdi")).to_be_visible()
    await expect(other.see("people").locator(":not([aria-hidden])")).to_have_text("Also here: Ann <b>Lee</b>")
    await expect(other.see("people").locator("bdi")).to_be_hidden()
    await expect(other.see("people").locator(".initial")).to_be_visible()
    assert not await other.width_overflows()
    await second_tab.close()
    await other.see("new-conversation").dispatch_event("click")
    await expect(other.see("people")).to_have_count(0)
    await expect(one.context.pages[0].get_by_test_id("people")).to_have_count(0)


async def test_many_people_with_long_names_leave_room_for_the_rest(here: Here, visit: Visit) -> None:
    ada = await here.workspace.store.people.by_account(*LOCAL_ACCOUNT, name="Ada")
    conversation = await here.workspace.history.create(ada, client_id="c", assistant="antiphon", title="Tides " * 30)
    person = await here.arrives(visit, ada, f"/c/{conversation.id}")
    for number in range(5):
        meta = {"name": f"{number} {'x' * 150}", "online_at": "2026-11-22T10:00:00Z"}
        await here.workspace.phoenix.presence.track(f"guest {number}", f"conversation:{conversation.id}", meta)
    await expect(person.see("people").locator(".initial")).to_have_text(["0", "1", "2"])
    await expect(person.see("people")).to_contain_text("and 3 more")
    for width in (1280, 820, 360):
        await person.page.set_viewport_size({"width": width, "height": 800})
        assert not await person.width_overflows()
        await expect(person.see("model-chip")).to_be_in_viewport(ratio=1)

"""`/docs` shows the API, and asks nobody else for anything."""

from playwright.async_api import expect

from tests.browser.conftest import Person


async def test_the_api_is_documented_without_the_internet(person: Person) -> None:
    await person.open()
    await person.page.goto(f"{person.url}/docs")
    await expect(person.page.get_by_text("/api/v1/conversations", exact=True)).to_be_visible()
    await person.page.get_by_text("/api/v1/models", exact=True).click()
    await expect(person.page.get_by_text("The models on offer")).to_be_visible()

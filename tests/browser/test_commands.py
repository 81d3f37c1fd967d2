"""`/`: what people can ask of the house itself."""

from playwright.async_api import expect

from tests.browser.conftest import Person


async def test_a_slash_lists_the_commands_and_keys_choose_one(person: Person) -> None:
    await person.composer.press_sequentially("/")
    options = person.see("slash-option")
    await expect(options).to_contain_text(["/help", "/model", "/reset", "/status", "/why"])
    await expect(options.first).to_have_attribute("aria-selected", "true")
    await person.composer.press("ArrowUp")
    await expect(options.last).to_have_attribute("aria-selected", "true")
    await person.composer.press_sequentially("st")
    await expect(options).to_have_count(1)
    await person.composer.press("Enter")
    await expect(person.composer).to_have_value("/status")
    await person.composer.press("Enter")
    await expect(person.see("message-system", state="answered")).to_contain_text("guide")


async def test_pointer_and_keys_move_one_and_the_same_choice(person: Person) -> None:
    await person.composer.press_sequentially("/")
    options = person.see("slash-option")
    chosen = person.see("slash-menu").get_by_role("option", selected=True)
    await options.filter(has_text="/reset").hover()
    await expect(chosen).to_contain_text(["/reset"])
    await person.composer.press("ArrowDown")
    await expect(chosen).to_contain_text(["/status"])
    looks = "all => all.map(option => getComputedStyle(option).backgroundColor)"
    backgrounds = await options.evaluate_all(looks)
    assert [backgrounds.count(colour) for colour in backgrounds] == [4, 4, 4, 1, 4]
    await person.composer.press("Enter")
    await expect(person.composer).to_have_value("/status")


async def test_escape_closes_the_menu_and_keeps_the_text(person: Person) -> None:
    await person.composer.press_sequentially("/h")
    await expect(person.see("slash-menu")).to_be_visible()
    await person.composer.press("Escape")
    await expect(person.see("slash-menu")).to_have_count(0)
    await expect(person.composer).to_have_value("/h")


async def test_a_command_is_answered_by_the_house_in_its_own_look(person: Person) -> None:
    await person.say("/help")
    house = person.see("message-system", state="answered")
    await expect(house.get_by_role("listitem")).to_have_count(14)
    await expect(house.locator("code").filter(has_text="/reset")).to_be_visible()
    await expect(person.see("message-assistant")).to_have_count(0)


async def test_the_model_is_shown_and_chosen_by_name_or_by_mouse(person: Person) -> None:
    await person.ask("!echo first")
    await expect(person.see("model-chip")).to_contain_text("demo")
    await person.say("/model")
    await expect(person.see("message-system")).to_contain_text("answers here")
    await person.see("model-chip").click()
    chosen = person.see("model-option").filter(has_text="demo")
    await expect(chosen).to_have_attribute("aria-checked", "true")
    await person.page.keyboard.press("Escape")
    await expect(person.see("model-option")).to_have_count(0)
    await expect(person.see("model-chip")).to_be_focused()
    await person.composer.press_sequentially("/model de")
    await person.composer.press("Tab")
    name = await person.composer.input_value()
    assert name.startswith("/model demo")
    await person.composer.press("Enter")
    await expect(person.see("message-system").last).to_contain_text("answers in this conversation from now on")
    await person.ask("!echo and on")


async def test_unknown_commands_and_models_are_refused_with_a_hint(person: Person) -> None:
    await person.say("/nonsense")
    await expect(person.see("message-system", state="refused")).to_contain_text("/help")
    await person.say("/model nobody:nothing")
    await expect(person.see("message-system", state="refused")).to_have_count(2)
    await expect(person.see("message-system").last).to_contain_text("/model shows what there is")


async def test_a_reset_is_said_and_what_came_before_can_still_be_read(person: Person) -> None:
    await person.ask("!echo before")
    await person.say("/reset")
    await expect(person.see("message-system", state="answered")).to_have_count(1)
    await person.page.reload()
    await expect(person.see("message-assistant").first).to_contain_text("before")

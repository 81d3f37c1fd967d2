"""Voice notes become text over real HTTP; of whatever goes wrong with that the person reads, and the turn goes on."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.errors import ConfigError
from antiphon.plugins.voice import AT_ONCE
from antiphon.providers.demo.server import DemoServer
from antiphon.workspace import Workspace
from tests.attached import png
from tests.flows.conftest import KEY, Serving
from tests.plugins import plugin
from tests.serving import Visitor, Visitors
from tests.sounds import ogg, wav


def listening(vendor: DemoServer, **voice: Any) -> dict[str, Any]:
    """A house whose demo model answers, and in which the vendor listens."""
    patience = {"connect": 2.0, "first_byte": 2.0, "between": 2.0}
    ears = {"base_url": vendor.url, "api_key": KEY, "timeouts": patience, "body": {"user": "me"}}
    section = {"provider": "ears", "model": "demo", **voice}
    return {"providers": {"demo": {"rate": 0}, "ears": ears}, "plugins": {"enabled": ["voice"], "voice": section}}


async def send(
    workspace: Workspace, visitor: Visitor, *sounds: bytes, text: str = "", name: str = "note.wav", **headers: str
) -> str:
    """Sends sounds as the page does, and returns the id of the turn."""
    files = []
    async with aiohttp.ClientSession() as session:
        for data in sounds:
            kept = session.post(f"{workspace.url}/api/v1/files", params={"name": name}, data=data, headers=headers)
            async with kept as answer:
                assert answer.status == 201, await answer.text()
                files.append({"id": (await answer.json())["id"]})
    receipt = await visitor.channel.push("message", {"text": text, "attachments": files})
    return str(receipt["turn_id"])


def question(visitor: Visitor, turn_id: str) -> dict[str, Any]:
    return next(each for each in visitor.messages.values() if each["turn_id"] == turn_id and each["role"] == "user")


async def spent_on_ears(workspace: Workspace) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{workspace.url}/api/v1/usage?by=model") as answer:
        (spent,) = [each for each in (await answer.json())["items"] if each["owner"] == "ears:demo"]
    return dict(spent)


async def test_what_is_said_in_a_note_is_stored_shown_and_answered(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**listening(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn = await send(workspace, visitor, wav(comment="What is 6 times 7?"))
        assert "42" in (await visitor.answer(turn))["text"]
        asked = question(visitor, turn)
        assert asked["text"] == "What is 6 times 7?"
        assert asked["parts"] == [{"type": "notice", "code": "transcribed", "text": "Transcribed from note.wav."}]
        assert [each["name"] for each in asked["attachments"]] == ["note.wav"]
        address = f"{workspace.url}/api/v1/conversations/{visitor.conversation_id}"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            assert (await answer.json())["title"] == "What is 6 times 7?"
        spent = await spent_on_ears(workspace)
        assert (spent["calls"], spent["unpriced_calls"], spent["cost"]) == (1, 1, None)  # nobody knows its price


def watched(vendor: DemoServer, folder: Path, **voice: Any) -> dict[str, Any]:
    """As `listening`, with a plugin that writes down into `seen` what a model is given: its files, and the person's
    words."""
    body = f"""
        priority = -1

        async def context_built(self, moment, messages):
            for message in messages:
                if message.role == "user":
                    with open({str(folder / "seen")!r}, "a") as file:
                        file.write(f"{{len(message.files)}} {{message.text!r}}\\n")
        """
    plugin(folder / "plugins", "watcher", body)
    sections = listening(vendor, **voice)
    sections["plugins"] |= {"folders": [str(folder / "plugins")], "enabled": ["voice", "watcher"]}
    return sections


async def test_the_model_reads_what_was_said_and_does_not_hear_it(
    house: Serving, vendor: DemoServer, visitors: Visitors, tmp_path: Path
) -> None:
    async with house(**watched(vendor, tmp_path)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.answer(await send(workspace, visitor, wav(comment="hello")))
        await visitor.ask("And now?")  # the note is in the history by now
    assert (tmp_path / "seen").read_text() == "0 'hello'\n0 'hello'\n0 'And now?'\n"


async def test_the_model_is_told_of_a_sound_that_did_not_become_text(
    house: Serving, vendor: DemoServer, visitors: Visitors, tmp_path: Path
) -> None:
    async with house(**watched(vendor, tmp_path)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn = await send(workspace, visitor, wav(comment="!401"), wav(comment="hello"), text="Who is it?")
        await visitor.answer(turn)
        notices = question(visitor, turn)["parts"]
        assert [notice["code"] for notice in notices] == ["transcribed", "not_transcribed"]
        await visitor.ask("And now?")
    asked = "0 'Who is it?\\n\\n[sound: note.wav, which could not be turned into text]\\n\\nhello'\n"
    assert (tmp_path / "seen").read_text() == f"{asked}{asked}0 'And now?'\n"


async def test_a_picture_with_a_sound_that_did_not_become_text_is_answered_with_a_notice(
    house: Serving, vendor: DemoServer, visitors: Visitors, tmp_path: Path
) -> None:
    async with house(**watched(vendor, tmp_path)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn = await send(workspace, visitor, wav(comment="!401"), png(), name="thing")
        await visitor.answer(turn)
        (notice,) = question(visitor, turn)["parts"]
        assert notice["code"] == "not_transcribed"
    assert (tmp_path / "seen").read_text() == "1 '[sound: thing, which could not be turned into text]'\n"


async def test_all_sounds_of_a_message_have_one_time_together(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**listening(vendor, seconds=1.0)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn = await send(workspace, visitor, *[wav(comment="!hang")] * (AT_ONCE + 1), text="!echo Still here")
        assert (await visitor.answer(turn))["text"] == "Still here"
        assert all("took too long" in notice["text"] for notice in question(visitor, turn)["parts"])
        assert len(question(visitor, turn)["parts"]) == AT_ONCE + 1
        assert (await spent_on_ears(workspace))["calls"] == AT_ONCE


async def test_a_sound_from_a_client_of_the_openai_api_is_heard_by_the_model(
    house: Serving, vendor: DemoServer
) -> None:
    """It is kept nowhere, so nobody makes a text of it first."""
    sound = {"type": "input_audio", "input_audio": {"data": b64encode(wav(1.0)).decode(), "format": "wav"}}
    asked = {"model": "antiphon", "messages": [{"role": "user", "content": [sound]}]}
    async with house(**listening(vendor)) as workspace, aiohttp.ClientSession() as session:
        async with session.get(f"{workspace.url}/v1/models") as listed:
            asked["model"] = (await listed.json())["data"][0]["id"]
        async with session.post(f"{workspace.url}/v1/chat/completions", json=asked) as answer:
            said = await answer.json()
            assert answer.status == 200, said
    assert "audio/wav" in said["choices"][0]["message"]["content"]


async def test_text_and_several_notes_are_one_message(house: Serving, vendor: DemoServer, visitors: Visitors) -> None:
    async with house(**listening(vendor, language="de", prompt="Antiphon")) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn = await send(workspace, visitor, wav(comment="one"), wav(2.0), text="!echo Listen:")
        await visitor.answer(turn)
        assert question(visitor, turn)["text"] == (
            "!echo Listen:\n\none (de Antiphon)\n\n2.0 seconds of sound (de Antiphon)"
        )


async def test_a_note_of_another_form_is_known_by_its_type(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**listening(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn = await send(workspace, visitor, ogg(3.0), name='a "\r\nnote')
        await visitor.answer(turn)
        assert question(visitor, turn)["text"] == "3.0 seconds of sound"


FAULTS = {
    "!401": "the key for it is not accepted",
    "!quota": "the paid quota for it is used up",
    "!500": "cannot be reached or is busy",
    "!overload": "cannot be reached or is busy",
    "!garbage": "cannot be reached or is busy",
    "!cut": "cannot be reached or is busy",
    "!hang": "it took too long",
    "!echo": "nobody speaks in it",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_goes_wrong_is_said(house: Serving, vendor: DemoServer, visitors: Visitors, fault: str) -> None:
    services = {"backoff_factor": 1.0, "retry_attempts": 1}
    async with house(services=services, **listening(vendor, seconds=1.0)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn = await send(workspace, visitor, wav(comment=fault), text="!echo Still here")
        answer = await visitor.answer(turn)
        assert (answer["end"]["status"], answer["text"]) == ("answered", "Still here")
        (notice,) = question(visitor, turn)["parts"]
        assert notice["code"] == "not_transcribed"
        assert FAULTS[fault] in notice["text"]
        alone = await visitor.answer(await send(workspace, visitor, wav(comment=fault)))
        assert (alone["end"]["status"], alone["role"]) == ("refused", "system")
        assert FAULTS[fault] in alone["text"]
        assert (await visitor.ask("!echo and still"))["text"] == "and still"


async def test_a_vendor_that_is_busy_for_a_moment_is_asked_again(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**listening(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn = await send(workspace, visitor, wav(comment="!429 1 !echo heard"))
        await visitor.answer(turn)
        assert question(visitor, turn)["text"] == "heard"


async def test_nobody_listens_to_what_is_too_large_or_too_long(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**listening(vendor, max_seconds=5, max_bytes=60_000)) as workspace:
        visitor = await visitors.enter(workspace.url)
        for sound, reason in (
            (wav(10.0), "it has 80,044 bytes, and 60,000 are the most"),
            (ogg(600.0), "it lasts 600 seconds, and 5 are the most"),
        ):
            answer = await visitor.answer(await send(workspace, visitor, sound))
            assert reason in answer["text"]
        assert vendor.active == 0


async def test_a_budget_that_is_used_up_pays_for_no_note(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(budgets={"person": {"tokens_per_day": 1}}, **listening(vendor)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.answer(await send(workspace, visitor, wav(comment="hello")))
        assert "the budget for today does not reach for it" in answer["text"]


async def test_without_a_vendor_that_listens_it_is_out_of_order_and_the_house_answers(
    house: Serving, visitors: Visitors
) -> None:
    sections = {"plugins": {"enabled": ["voice"], "voice": {"provider": "anthropic"}}}
    async with house(**sections) as workspace:
        (state,) = workspace.plugins.states()
        assert state.status == "failed"
        assert "anthropic turns no sound into text" in state.detail
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo here"))["text"] == "here"


async def test_a_wrong_section_keeps_the_house_from_starting(house: Serving) -> None:
    for section, setting in (({"modle": "x"}, "modle"), ({"language": "German"}, "language")):
        with pytest.raises(ConfigError, match=f"plugins.voice.{setting}"):
            async with house(plugins={"enabled": ["voice"], "voice": section}):
                pass

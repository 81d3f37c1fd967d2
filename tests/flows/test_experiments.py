"""Prompts that are compared over a served house, and what people say of answers, from everywhere they can say it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.experiments import assign
from antiphon.assistants.prompts import Experiment, Variant
from antiphon.assistants.strategies import ResponseContext
from antiphon.conversation.feedback import COMMENT_LIMIT
from antiphon.domain import Assignment
from antiphon.errors import ConfigError
from antiphon.realtime.client.push import PushError
from antiphon.settings.config import Config
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import to_read
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.flows.test_approvals import Pigeons
from tests.serving import LONGEST, Served, Visitor, Visitors

TONE: dict[str, Any] = {"variants": {"plain": {"text": "Be plain."}, "warm": {"text": "Be warm.", "weight": 2}}}
NOBODYS = "01M7YTFAF3A5C20VBDC381VVAW"
"""A message that does not exist, by an id that could."""


class Parrot:
    """Says what it was told to be."""

    async def generate_response(self, context: ResponseContext) -> str:
        return context.messages[0].text


class Flock(Pigeons):
    """Pigeons of many lofts."""

    async def ask(self, person: str) -> str:
        """What somebody is answered in a loft of their own."""
        known = len(self.sent)
        await self.say("Hello", place=person, account=person)
        async with asyncio.timeout(LONGEST):
            while len(self.sent) == known:
                self._arrived.clear()
                await self._arrived.wait()
        return self.sent[-1]


PARROT = Assistant("guide", strategy=Parrot())


@pytest.fixture
async def http(here: Workspace) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(here.url) as session:
        yield session


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "antiphon.yaml").write_text(json.dumps({"assistants": {"experiments": {"tone": TONE}}}))
    made = Served(tmp_path)
    yield made
    made.end()


def variant_of(person: str) -> str:
    variants = (Variant(name="plain", prompt=""), Variant(name="warm", prompt="", weight=2))
    return assign(Experiment(name="tone", variants=variants), person).name


async def report(url: str, name: str = "tone") -> dict[str, Any]:
    async with aiohttp.ClientSession(url) as session, session.get(f"/api/v1/experiments/{name}") as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


def counted(shown: dict[str, Any], *names: str) -> dict[str, tuple[int, ...]]:
    return {variant["name"]: tuple(variant[name] for name in names) for variant in shown["variants"]}


# --- experiments ----------------------------------------------------------------------------------------------------


async def test_a_person_has_one_prompt_and_it_is_said_which(house: Serving, visitors: Visitors) -> None:
    async with house(added=(PARROT,), assistants={"experiments": {"tone": TONE}}) as workspace:
        visitor = await visitors.enter(workspace.url)
        mine = variant_of("local")
        assert {(await visitor.ask("Hello"))["text"] for _ in range(3)} == {f"Be {mine}."}
        why = (await visitor.ask("/why"))["text"]
        assert f"`{mine}`, a variant of the experiment `tone`" in why
        shown = await report(workspace.url)
        assert counted(shown, "people", "turns", "answered")[mine] == (1, 3, 3)
        assert sum(variant["turns"] for variant in shown["variants"]) == 3
        assert f"| `{mine}` | 1 | 3 |" in (await visitor.ask("/experiments"))["text"]


async def test_many_people_are_shared_out_and_each_keeps_theirs(house: Serving) -> None:
    pigeons, people = Flock(), [f"person-{number}" for number in range(24)]

    async def hello() -> dict[str, str]:
        return {person: await pigeons.ask(person) for person in people}

    sections = {"experiments": {"tone": TONE}}
    async with house(adapters={"pigeons": pigeons}, added=(PARROT,), assistants=sections) as workspace:
        first = await hello()
        assert set(first.values()) == {"Be plain.", "Be warm."}
        shown = await report(workspace.url)
        assert sum(people for (people,) in counted(shown, "people").values()) == len(people)
    # After a restart with other weights and one more variant everybody has what they had.
    more = {"plain": {"text": "Be plain.", "weight": 0}, "warm": {"text": "Be warm."}, "dry": {"text": "Be dry."}}
    sections = {"experiments": {"tone": {"variants": more}}}
    async with house(adapters={"pigeons": pigeons}, added=(PARROT,), assistants=sections) as workspace:
        assert await hello() == first
        shown = await report(workspace.url)
        assert counted(shown, "turns")["dry"] == (0,)
        assert sum(turns for (turns,) in counted(shown, "turns").values()) == 2 * len(people)


async def test_another_process_and_a_crash_change_nothing(served: Served, visitors: Visitors) -> None:
    """No code: the experiment stands in the settings. What was answered is counted once, whenever the process ends."""
    visitor = await visitors.enter(served.start().url)
    await visitor.ask("!echo one")
    served.kill()
    served.start()
    again = await visitors.enter(served.url)
    await again.ask("!echo two")
    shown = await report(served.url)
    assert counted(shown, "people", "turns")[variant_of("local")] == (1, 2)
    assert shown["state"] == "running"
    assert shown["variants"][0]["finding"] == "first"
    assert shown["variants"][1]["finding"] == "not enough data"


async def test_a_turn_that_a_crash_interrupted_is_counted_as_that(served: Served, visitors: Visitors) -> None:
    visitor = await visitors.enter(served.start().url)
    turn_id = (await visitor.say("!slow 500 !long 400"))["turn_id"]
    await visitor.until("delta", turn_id=turn_id)
    served.kill()
    served.start()
    await visitor.see(lambda: {message["status"] for message in visitor.shown()} == {"interrupted"})
    shown = await report(served.url)
    assert counted(shown, "turns", "answered", "interrupted")[variant_of("local")] == (1, 0, 1)


async def test_clients_of_the_openai_api_meet_the_same_prompt(house: Serving) -> None:
    """What is stored of it is counted; what is not leaves nothing behind."""
    sections = {"experiments": {"tone": TONE}}
    async with house(added=(PARROT,), assistants=sections) as ws, aiohttp.ClientSession(ws.url) as http:
        asked = {"model": "guide", "messages": [{"role": "user", "content": "Hello"}]}
        for store, turns in ((False, 0), (True, 1)):
            async with http.post("/v1/chat/completions", json=asked | {"store": store}) as answered:
                said = (await answered.json())["choices"][0]["message"]["content"]
            assert said == f"Be {variant_of('local')}."
            assert counted(await report(ws.url), "turns")[variant_of("local")] == (turns,)


async def test_a_running_house_takes_the_end_of_an_experiment(served: Served, visitors: Visitors) -> None:
    visitor = await visitors.enter(served.start().url)
    await visitor.ask("!echo one")
    assert "a variant of" in (await visitor.ask("/why"))["text"]
    paused = {"assistants": {"experiments": {"tone": TONE | {"paused": True}}}}
    (served.folder / "antiphon.yaml").write_text(json.dumps(paused))
    served.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(LONGEST):
        while (await report(served.url))["state"] != "paused":
            await asyncio.sleep(0.01)
    await visitor.ask("!echo two")
    assert "a variant of" not in (await visitor.ask("/why"))["text"]
    assert sum(turns for (turns,) in counted(await report(served.url), "turns").values()) == 1


async def test_a_replay_is_told_what_the_turn_was_told(house: Serving, visitors: Visitors, tmp_path: Path) -> None:
    sections = {"experiments": {"tone": TONE}}
    async with house(added=(PARROT,), assistants=sections) as workspace:
        visitor = await visitors.enter(workspace.url)
        said = (await visitor.ask("Hello"))["text"]
    database = to_read(DatabaseSettings(url=f"sqlite:///{tmp_path}/antiphon.db"))
    beside = Workspace(Config(detect_local_models=False, database=database, assistants=sections))
    beside.assistants.add(PARROT)
    async with beside.aside() as replay:
        past = await replay.find(None)
        assert past.record.assignment == Assignment(experiment="tone", variant=variant_of("local"))
        assert (await replay.original(past)).assistant.instructions == said
        assert (await replay.original(past, instructions="Be odd.")).assistant.instructions == "Be odd."


async def test_without_an_answer_nothing_is_kept_and_commands_are_no_turns(house: Serving, visitors: Visitors) -> None:
    async with house(added=(PARROT,), assistants={"experiments": {"tone": TONE}}) as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.ask("/status")
        assert await workspace.store.experiments.assigned("tone", "local") is None
        assert await workspace.store.experiments.names() == []


async def test_an_experiment_of_a_program_is_one_that_an_operator_can_end(house: Serving, visitors: Visitors) -> None:
    tone = Experiment(
        name="tone",
        variants=(Variant(name="plain", prompt="Be plain."), Variant(name="warm", prompt="Be warm.", weight=99)),
    )
    mine = Assistant("mine", instructions=tone, strategy=Parrot())
    async with house(added=(mine,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("Hello"))["text"] == f"Be {assign(tone, 'local').name}."
        assert await workspace.store.experiments.names() == ["tone"]


async def test_a_wrong_experiment_keeps_the_house_from_starting(house: Serving) -> None:
    wrong = {"experiments": {"tone": TONE | {"assistant": "gude"}}}
    with pytest.raises(ConfigError, match="Did you mean guide"):
        async with house(assistants=wrong):
            raise AssertionError


async def test_results_go_with_their_conversation(house: Serving, visitors: Visitors) -> None:
    async with house(added=(PARROT,), assistants={"experiments": {"tone": TONE}}) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("Hello")
        await visitor.channel.push("feedback", {"message_id": answer["id"], "verdict": "up"})
        assert counted(await report(workspace.url), "turns", "up")[variant_of("local")] == (1, 1)
        async with aiohttp.ClientSession(workspace.url) as http:
            await http.delete(f"/api/v1/conversations/{visitor.conversation_id}")
        assert counted(await report(workspace.url), "turns", "up")[variant_of("local")] == (0, 0)


# --- feedback -------------------------------------------------------------------------------------------------------


async def judged(visitor: Visitor) -> list[Any]:
    """What the conversation's answers are said to be, as whoever comes back sees it."""
    page = await visitor.channel.push("history", {"before": 2**50})
    return [
        message["feedback"] and (message["feedback"]["verdict"], message["feedback"]["comment"])
        for message in page["messages"]
        if message["role"] == "assistant"
    ]


async def test_a_thumb_is_given_by_socket_http_and_command_and_everybody_there_sees_it(
    here: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    visitor = await visitors.enter(here.url)
    answer = await visitor.ask("!echo one")
    assert answer["feedback"] is None
    other = await visitors.enter(here.url, visitor.conversation_id)
    given = await visitor.channel.push("feedback", {"message_id": answer["id"], "verdict": "up"})
    assert given["feedback"]["verdict"] == "up"
    told = await other.until("feedback", message_id=answer["id"])
    assert told["feedback"] == given["feedback"]
    path = f"/api/v1/messages/{answer['id']}/feedback"
    answered = await http.put(path, json={"verdict": "down", "comment": "  Too short. "})
    assert (answered.status, (await answered.json())["comment"]) == (200, "Too short.")
    assert await judged(visitor) == [("down", "Too short.")]
    assert (await http.delete(path)).status == 204
    assert (await http.delete(path)).status == 204
    assert await judged(visitor) == [None]
    assert "Noted" in (await visitor.ask("/good  Just right"))["text"]
    assert await judged(visitor) == [("up", "Just right")]
    await visitor.ask("/bad")
    assert await judged(visitor) == [("down", None)]
    await visitor.ask("/good undo")
    assert await judged(visitor) == [None]


async def test_a_command_judges_the_last_answer_before_it(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    refused = await visitor.ask("/bad")
    assert (refused["status"], "no answer yet" in refused["text"]) == ("refused", True)
    await visitor.ask("!echo one")
    await visitor.ask("!echo two")
    await visitor.ask("/help")
    await visitor.ask("/bad wrong")
    assert await judged(visitor) == [None, ("down", "wrong")]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"message_id": None, "verdict": "up"},
        {"message_id": NOBODYS, "verdict": "up"},
        {"message_id": "x" * 10_000, "verdict": "up"},
        {"message_id": "\0", "verdict": None},
        {"message_id": "ANSWER", "verdict": "sideways"},
        {"message_id": "ANSWER", "verdict": ["up"]},
        {"message_id": "ANSWER", "verdict": "up", "comment": 7},
        {"message_id": "ANSWER", "verdict": "up", "comment": "x" * (COMMENT_LIMIT + 1)},
        {"message_id": "QUESTION", "verdict": "up"},
        "up",
    ],
)
async def test_what_makes_no_sense_is_refused_and_harms_nothing(
    here: Workspace, visitors: Visitors, payload: Any
) -> None:
    visitor = await visitors.enter(here.url)
    answer = await visitor.ask("!echo one")
    question = next(message["id"] for message in visitor.messages.values() if message["role"] == "user")
    if isinstance(payload, dict):
        meant = {"ANSWER": answer["id"], "QUESTION": question}.get(str(payload.get("message_id")))
        payload = payload | ({"message_id": meant} if meant else {})
    with pytest.raises(PushError):
        await visitor.channel.push("feedback", payload)
    assert await judged(visitor) == [None]
    assert (await visitor.ask("!echo still there"))["text"] == "still there"


async def test_an_answer_elsewhere_is_not_judged_from_here(here: Workspace, visitors: Visitors) -> None:
    there = await visitors.enter(here.url)
    answer = await there.ask("!echo one")
    visitor = await visitors.enter(here.url, client_id="c2")
    with pytest.raises(PushError, match="not yours"):
        await visitor.channel.push("feedback", {"message_id": answer["id"], "verdict": "up"})
    assert await judged(there) == [None]


async def test_what_others_were_answered_is_not_ours_to_judge(house: Serving) -> None:
    """An operator sees the conversations of everybody, and still speaks for nobody else."""
    pigeons = Pigeons()
    async with house(adapters={"pigeons": pigeons}) as workspace, aiohttp.ClientSession(workspace.url) as http:
        await pigeons.say("!echo one", account="ada")
        await pigeons.hears("one")
        ada = await workspace.store.people.by_account("pigeons", "ada")
        (talk,) = await workspace.store.conversations.list(ada.id)
        *_, answer = await workspace.store.conversations.messages(talk.id)
        refused = await http.put(f"/api/v1/messages/{answer.id}/feedback", json={"verdict": "up"})
        assert refused.status == 404
        await pigeons.say("/bad not mine", account="eve", place="loft")
        await pigeons.hears("not yours to judge")
        await pigeons.say("/bad", account="ada")
        await pigeons.hears("Noted")
        *_, answer = [
            each for each in await workspace.store.conversations.messages(talk.id) if each.role == "assistant"
        ]
        assert answer.feedback is not None
        assert answer.feedback.verdict == "down"


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "sideways"},
        {"verdict": None},
        {},
        {"verdict": "up", "comment": "x" * (COMMENT_LIMIT + 1)},
        {"verdict": "up", "message_id": NOBODYS},
    ],
)
async def test_a_wrong_request_is_explained(http: aiohttp.ClientSession, body: dict[str, Any]) -> None:
    answer = await http.put(f"/api/v1/messages/{NOBODYS}/feedback", json=body)
    assert (answer.status, answer.content_type) == (422, "application/problem+json")


async def test_what_does_not_exist_is_not_found(http: aiohttp.ClientSession) -> None:
    assert (await http.put(f"/api/v1/messages/{NOBODYS}/feedback", json={"verdict": "up"})).status == 404
    assert (await http.delete(f"/api/v1/messages/{NOBODYS}/feedback")).status == 404
    assert (await http.get("/api/v1/experiments/tone")).status == 404
    assert (await (await http.get("/api/v1/experiments")).json()) == {"items": []}


async def test_many_words_at_once_are_one(here: Workspace, http: aiohttp.ClientSession, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    answer = await visitor.ask("!echo one")
    path = f"/api/v1/messages/{answer['id']}/feedback"
    words = [http.put(path, json={"verdict": "up" if number % 2 else "down"}) for number in range(16)]
    assert {answered.status for answered in await asyncio.gather(*words, http.delete(path))} == {200, 204}
    await http.put(path, json={"verdict": "up", "comment": "last"})
    assert await judged(visitor) == [("up", "last")]


async def test_a_comment_is_in_no_log(here: Workspace, visitors: Visitors) -> None:
    """Every test ends by looking through what was logged for this text, among others."""
    visitor = await visitors.enter(here.url)
    answer = await visitor.ask("!echo one")
    comment = "my diary says so"
    await visitor.channel.push("feedback", {"message_id": answer["id"], "verdict": "down", "comment": comment})
    await visitor.ask(f"/bad {comment}")
    assert await judged(visitor) == [("down", comment)]

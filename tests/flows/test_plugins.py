"""Plugins from a folder: each hook changes what it promises, and one that fails, hangs or lies costs no answer."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp
import pytest

from antiphon.assistants.prompts import Prompt
from antiphon.errors import ConfigError, PluginError
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.plugins import BEGIN, plugin
from tests.serving import Served, Visitor, Visitors


def switched_on(folder: Path, *names: str, **more: Any) -> dict[str, Any]:
    return {"plugins": {"folders": [str(folder)], "enabled": list(names), **more}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "plugins"


async def get(workspace: Workspace, path: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{workspace.url}{path}") as answer:
        assert answer.status == 200, await answer.text()
        body: dict[str, Any] = await answer.json()
        return body


def counted(workspace: Workspace, line: str) -> float:
    found = [each for each in workspace.metrics.render().decode().splitlines() if each.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


# --- each hook does what it promises ----------------------------------------------------------------------------------


async def test_words_of_a_person_are_changed_before_anything_else_is_made_of_them(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    plugin(
        folder,
        "softly",
        """
        async def message_arrived(self, moment: Moment, said: Said) -> Said:
            return said.reworded(said.text.replace("DAMN", "dear me"), NoticePart(code="softly", text="Softened."))
        """,
    )
    async with house(**switched_on(folder, "softly")) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("!echo DAMN rain")
        assert answer["text"] == "dear me rain"
        (question,) = [each for each in visitor.messages.values() if each["role"] == "user"]
        assert question["text"] == "!echo dear me rain"
        assert question["parts"] == [{"type": "notice", "code": "softly", "text": "Softened."}]
        listed = await get(workspace, "/api/v1/conversations")
        assert listed["items"][0]["title"] == "!echo dear me rain"
        found = await get(workspace, "/api/v1/search?q=dear")
        assert [each["role"] for each in found["items"]] != []
    async with house() as workspace:  # it was stored so
        (again,) = (await get(workspace, "/api/v1/conversations"))["items"]
        messages = await get(workspace, f"/api/v1/conversations/{again['id']}/messages")
        assert [each["text"] for each in messages["items"]] == ["!echo dear me rain", "dear me rain"]


async def test_a_message_and_a_session_can_be_refused_with_a_sentence(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    plugin(
        folder,
        "closed",
        """
        async def message_arrived(self, moment: Moment, said: Said) -> None:
            assert moment.person is None
            if "open" in said.text:
                raise NotAllowedError("We open at nine.")

        async def session_resolved(self, moment, conversation) -> None:
            if moment.person.id == "local" and moment.turn.text.startswith("/status"):
                raise NotAllowedError(f"Nothing for {moment.person.id}.")
        """,
    )
    async with house(**switched_on(folder, "closed")) as workspace:
        visitor = await visitors.enter(workspace.url)
        refused = await visitor.ask("Are you open?")
        assert (refused["end"]["status"], refused["text"], refused["role"]) == ("refused", "We open at nine.", "system")
        assert (await visitor.ask("/status"))["text"] == "Nothing for local."
        assert (await visitor.ask("!echo hello"))["text"] == "hello"
        assert "open" not in (await visitor.ask("What did I say before?"))["text"]  # no model ever sees it


async def test_the_prompt_and_the_request_can_be_changed(house: Serving, folder: Path, visitors: Visitors) -> None:
    plugin(
        folder,
        "prompter",
        """
        async def context_built(self, moment, messages):
            *before, question = messages
            assert moment.assistant == "helpful" or moment.assistant
            return (*before, structs.replace(question, text=question.text.replace("!echo", "!echo prompted")))

        async def before_model(self, moment, request):
            assert request.model == "demo"
            if "stop here" in request.messages[-1].text:
                raise NotAllowedError("Not this one.")
            *before, last = request.messages
            return structs.replace(
                request, model="another", messages=(*before, structs.replace(last, text=last.text + ", asked"))
            )
        """,
    )
    async with house(**switched_on(folder, "prompter")) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo yes"))["text"] == "prompted yes, asked"
        refused = await visitor.ask("!echo stop here")
        assert (refused["end"]["status"], refused["text"]) == ("refused", "Not this one.")


async def test_calls_of_tools_and_their_results_can_be_changed_and_refused(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    plugin(
        folder,
        "warden",
        """
        async def tool_wished(self, moment, call):
            if "forbidden" in call.arguments:
                raise NotAllowedError("That number is forbidden.")
            return structs.replace(call, name="clock", arguments=call.arguments.replace("2 + 2", "40 + 2"))

        async def tool_ended(self, moment, part):
            if part.result == "7":
                raise NotAllowedError("Nobody may know.")
            return structs.replace(part, result=part.result + " exactly", name="clock")
        """,
    )
    async with house(**switched_on(folder, "warden")) as workspace:
        visitor = await visitors.enter(workspace.url)
        calls = '!tool calculator {"expression": "2 + 2"} !tool calculator {"expression": "forbidden"}'
        answer = await visitor.ask(calls + ' !tool calculator {"expression": "3 + 4"}')
        tools = [part for part in answer["parts"] if part["type"] == "tool"]
        assert [(part["name"], part["status"], part["result"]) for part in tools] == [
            ("calculator", "done", "42 exactly"),
            ("calculator", "cancelled", "That number is forbidden."),
            ("calculator", "failed", "Nobody may know."),
        ]
        assert tools[0]["arguments"] == '{"expression": "40 + 2"}'


async def test_an_answer_gets_other_words_or_is_refused_and_its_end_is_told(
    house: Serving, folder: Path, visitors: Visitors, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    plugin(
        folder,
        "editor",
        f"""
        async def answer_ready(self, moment, answer):
            if "secret" in answer:
                raise NotAllowedError("This stays in the house.")
            return answer.replace("colour", "color")

        async def reply_stored(self, moment, record, reply):
            with open({str(told)!r}, "a") as file:
                file.write(f"{{record.outcome}} {{moment.turn.text}} -> {{reply}}\\n")
        """,
    )
    async with house(**switched_on(folder, "editor")) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo the colour"))["text"] == "the color"
        assert (await visitor.ask("/nothing"))["end"]["status"] == "refused"
        hidden = await visitor.ask("!echo the secret")
        assert (hidden["end"]["status"], hidden["text"], hidden["parts"]) == ("refused", "This stays in the house.", [])
    assert told.read_text().splitlines()[::2] == [
        "answered !echo the colour -> the color",
        "refused !echo the secret -> This stays in the house.",
    ]


# --- what a plugin adds -----------------------------------------------------------------------------------------------


async def test_a_plugin_adds_tools_commands_assistants_providers_and_prompts(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    plugin(
        folder,
        "kitchen",
        """
        def register(self, house: PluginHouse) -> None:
            from antiphon.providers.demo.provider import DemoProvider

            @tool
            async def eggs(minutes: int) -> str:
                "Boil eggs."
                return f"boiled for {minutes} minutes, {house.settings['salt']}"

            async def menu(call) -> CommandOutcome:
                return CommandOutcome(text="Eggs.")

            house.add_tool(eggs)
            house.add_command(Command(name="menu", usage="/menu", summary="What there is.", run=menu))
            house.add_prompt("cook", "You cook for {person}.")
            house.add_provider("stove", DemoProvider())
            house.add_assistant(Assistant("cook", model="stove:demo", tools=[eggs]))
        """,
    )
    async with house(**switched_on(folder, "kitchen", kitchen={"salt": "salted"})) as workspace:
        assert [each.name for each in workspace.assistants.all()][1:] == ["cook"]
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask('!tool eggs {"minutes": 5}')
        assert (
            next(part for part in answer["parts"] if part["type"] == "tool")["result"] == "boiled for 5 minutes, salted"
        )
        assert (await visitor.ask("/menu"))["text"] == "Eggs."
        assert "/menu" in (await visitor.ask("/help"))["text"]
        client = await visitors.connect(workspace.url)
        cook = await visitors.join(client, await visitors.new_conversation(client, "c2", assistant="cook"))
        assert (await cook.ask("!echo soup"))["end"]["model"] == "stove:demo"


async def test_it_is_listed_with_what_it_can_do(house: Serving, folder: Path) -> None:
    plugin(folder, "listed", "async def answer_ready(self, moment, answer): ...", about=', capabilities=["reading"]')
    async with house(**switched_on(folder, "listed")) as workspace:
        (found,) = (await get(workspace, "/api/v1/plugins"))["items"]
        assert (found["name"], found["version"], found["status"], found["hooks"]) == (
            "listed",
            "1.2.3",
            "running",
            ["answer_ready"],
        )
        assert found["capabilities"] == ["reading"]
        deep = await get(workspace, "/health/deep")
        assert next(each for each in deep["checks"] if each["name"] == "plugins")["healthy"]


# --- what they must not cost ------------------------------------------------------------------------------------------

BROKEN: Mapping[str, str] = {
    "raises": "raise KeyError('a secret that somebody wrote')",
    "hangs": "await asyncio.Event().wait()",
    "is deaf": """
    while True:
        try:
            await asyncio.sleep(3)
            return
        except asyncio.CancelledError:
            pass
    """,
    "ends the process": "raise SystemExit(3)",
    "gives something else": "return 17",
    "gives nothing to say": "return said.reworded('   ')",
    "gives far too much": "return said.reworded('x' * 2_000_000)",
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_hook_that_fails_is_left_out(
    house: Serving, folder: Path, visitors: Visitors, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = "seconds = 0.05\nasync def message_arrived(self, moment, said):\n"
    plugin(folder, "broken", body + "".join(f"    {line}\n" for line in dedent(BROKEN[how]).strip().splitlines()))
    async with house(**switched_on(folder, "broken")) as workspace:
        visitor = await visitors.enter(workspace.url)
        line = 'antiphon_plugin_failures_total{hook="message_arrived",plugin="broken"}'
        before = counted(workspace, line)
        assert (await visitor.ask("!echo here"))["text"] == "here"
        assert counted(workspace, line) == before + 1
        for number in range(3):
            assert (await visitor.ask(f"!echo {number}"))["text"] == str(number)
        assert counted(workspace, line) == before + 3  # after that it is left alone for a while
        with pytest.raises(PluginError, match=r"broken\.message_arrived is left alone"):
            workspace.plugins.check()
    assert "a secret that somebody wrote" not in caplog.text


async def test_what_cannot_be_used_is_left_out_wherever_it_is_found(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    """Each of them would have cost the turn a step later."""
    plugin(
        folder,
        "nonsense",
        """
        async def message_arrived(self, moment, said):
            return Said(text=said.text, notices=("loose words",))

        async def context_built(self, moment, messages):
            return (*messages, "loose words")

        async def before_model(self, moment, request):
            return structs.replace(request, messages=None)

        async def tool_wished(self, moment, call):
            return structs.replace(call, arguments={"ready": "made"})

        async def tool_ended(self, moment, part):
            return structs.replace(part, result=17)
        """,
    )
    async with house(**switched_on(folder, "nonsense")) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask('!tool calculator {"expression": "6*7"}')
        assert answer["end"]["status"] == "answered"
        (used,) = [part for part in answer["parts"] if part["type"] == "tool"]
        assert (used["status"], used["result"]) == ("done", "42")
        for hook in ("message_arrived", "context_built", "before_model", "tool_wished", "tool_ended"):
            assert counted(workspace, f'antiphon_plugin_failures_total{{hook="{hook}",plugin="nonsense"}}') >= 1


@pytest.mark.parametrize("hook", ["message_arrived", "session_resolved", "context_built", "before_model"])
async def test_a_hook_that_cancels_itself_stops_nobodys_turn(
    house: Serving, folder: Path, visitors: Visitors, hook: str
) -> None:
    plugin(folder, "giving_up", f"async def {hook}(self, moment, value):\n    raise asyncio.CancelledError")
    async with house(**switched_on(folder, "giving_up")) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo here"))["text"] == "here"


async def test_without_a_required_hook_nothing_is_answered(house: Serving, folder: Path, visitors: Visitors) -> None:
    plugin(
        folder,
        "gate",
        """
        required = frozenset({"message_arrived"})

        async def message_arrived(self, moment, said):
            raise RuntimeError("out of order")
        """,
    )
    async with house(**switched_on(folder, "gate")) as workspace:
        visitor = await visitors.enter(workspace.url)
        for _ in range(5):
            refused = await visitor.ask("!echo here")
            assert refused["end"]["status"] == "refused"
            assert "its plugin gate" in refused["text"]


async def test_a_required_plugin_that_does_not_start_refuses_too(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    plugin(
        folder,
        "gate",
        """
        required = frozenset({"answer_ready"})

        async def initialize(self):
            raise OSError("no key")

        async def answer_ready(self, moment, answer): ...
        """,
    )
    plugin(
        folder,
        "other",
        """
        async def message_arrived(self, moment, said):
            return said.reworded(said.text + "!")
        """,
    )
    async with house(**switched_on(folder, "gate", "other")) as workspace:
        assert [each.status for each in workspace.plugins.states()] == ["failed", "running"]
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo here"))["end"]["status"] == "refused"
        question = next(each for each in visitor.messages.values() if each["role"] == "user")
        assert question["text"] == "!echo here!"


async def test_two_plugins_are_asked_in_the_order_of_their_priority(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    for name, priority in (("alpha", 0), ("beta", 0), ("late", -1), ("soon", 10)):
        body = f"priority = {priority}\nasync def answer_ready(self, moment, answer):\n    return answer + ' {name}'"
        plugin(folder, name, body)
    async with house(**switched_on(folder, "late", "beta", "soon", "alpha")) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo order:"))["text"] == "order: soon alpha beta late"


def holding_up(folder: Path, hook: str, required: tuple[str, ...] = ()) -> Path:
    """A plugin whose hook comes to no end for questions with "wait"; the file exists when one is held up."""
    begun = folder / "begun"
    body = f"""
        required = frozenset({required})

        async def {hook}(self, moment, value):
            if "wait" in moment.turn.text:
                open({str(begun)!r}, "w").close()
                await asyncio.Event().wait()
        """
    plugin(folder, "slow", body)
    return begun


async def stopped(visitor: Visitor, text: str, begun: Path) -> dict[str, Any]:
    """What becomes of a turn that the person stops while a hook is holding it up."""
    receipt = await visitor.say(text)
    async with asyncio.timeout(10):
        while not begun.exists():
            await asyncio.sleep(0.01)
    await visitor.channel.push("cancel", {"turn_id": receipt["turn_id"]})
    async with asyncio.timeout(5):
        return await visitor.answer(receipt["turn_id"])


HELD_UP = {
    "message_arrived": "interrupted",
    "session_resolved": "interrupted",
    "context_built": "interrupted",
    "before_model": "interrupted",
    "answer_ready": "answered",  # it was whole
}


@pytest.mark.parametrize("hook", HELD_UP)
async def test_a_person_stops_a_turn_that_a_hook_holds_up(
    house: Serving, folder: Path, visitors: Visitors, hook: str
) -> None:
    begun = holding_up(folder, hook)
    async with house(**switched_on(folder, "slow", hook_seconds=60)) as workspace:
        visitor = await visitors.enter(workspace.url)
        ended = await stopped(visitor, "!echo wait", begun)
        assert ended["end"]["status"] == HELD_UP[hook]
        assert (await visitor.ask("!echo and on"))["text"] == "and on"
        assert counted(workspace, f'antiphon_plugin_failures_total{{hook="{hook}",plugin="slow"}}') == 0


@pytest.mark.parametrize("hook", ["session_resolved", "context_built", "answer_ready"])
async def test_no_stop_brings_a_turn_past_a_required_hook(
    house: Serving, folder: Path, visitors: Visitors, hook: str
) -> None:
    begun = holding_up(folder, hook, required=(hook,))
    async with house(**switched_on(folder, "slow", hook_seconds=60)) as workspace:
        visitor = await visitors.enter(workspace.url)
        ended = await stopped(visitor, "!echo wait", begun)
        assert (ended["end"]["status"], ended["text"]) == ("refused", "Stopped.")


async def test_a_command_that_a_person_stops_in_time_is_not_carried_out(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    begun = holding_up(folder, "session_resolved")
    async with house(**switched_on(folder, "slow", hook_seconds=60)) as workspace:
        visitor = await visitors.enter(workspace.url)
        ended = await stopped(visitor, "/remember to wait", begun)
        assert (ended["end"]["status"], ended["text"]) == ("refused", "Stopped.")
        assert "to wait" not in (await visitor.ask("/memory"))["text"]


async def test_a_hook_without_an_end_has_its_time_and_no_more(house: Serving, folder: Path, visitors: Visitors) -> None:
    holding_up(folder, "answer_ready")
    async with house(**switched_on(folder, "slow", hook_seconds=0.1)) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo wait"))["text"] == "wait"
        assert counted(workspace, 'antiphon_plugin_failures_total{hook="answer_ready",plugin="slow"}') == 1


async def test_what_was_said_before_a_stop_comes_to_the_plugins_too(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    plugin(folder, "softly", "async def answer_ready(self, moment, answer):\n    return answer.replace('one', 'two')")
    async with house(providers={"demo": {"rate": 20}}, **switched_on(folder, "softly")) as workspace:
        visitor = await visitors.enter(workspace.url)
        receipt = await visitor.say("!echo one " + "and on " * 500)
        await visitor.until("delta", turn_id=receipt["turn_id"])
        await visitor.channel.push("cancel", {"turn_id": receipt["turn_id"]})
        ended = await visitor.answer(receipt["turn_id"])
        assert (ended["end"]["status"], ended["text"].split()[0]) == ("interrupted", "two")


async def test_no_stop_brings_a_message_past_a_required_hook(house: Serving, folder: Path, visitors: Visitors) -> None:
    """Neither is a command carried out, nor does a later turn give a model what the plugin would have taken out."""
    plugin(
        folder,
        "gate",
        """
        required = frozenset({"message_arrived"})

        async def message_arrived(self, moment, said):
            if "secret" in said.text:
                await asyncio.sleep(30)

        async def context_built(self, moment, messages):
            if any("secret" in message.text for message in messages):
                raise NotAllowedError("It came past.")
        """,
    )
    async with house(**switched_on(folder, "gate", hook_seconds=60)) as workspace:
        visitor = await visitors.enter(workspace.url)
        for text in ("/model demo secret", "My secret is 1234."):
            receipt = await visitor.say(text)
            await visitor.channel.push("cancel", {"turn_id": receipt["turn_id"]})
            ended = await visitor.answer(receipt["turn_id"])
            assert (ended["end"]["status"], ended["text"]) == ("refused", "Stopped.")
        assert (await visitor.ask("!echo here"))["text"] == "here"


async def test_a_plugin_that_cannot_register_or_start_stands_in_nobodys_way(
    house: Serving, folder: Path, visitors: Visitors
) -> None:
    plugin(folder, "clumsy", "def register(self, house):\n    raise LookupError('nothing there')")
    plugin(folder, "endless", "async def initialize(self):\n    raise SystemExit(4)")
    plugin(folder, "well", "async def answer_ready(self, moment, answer):\n    return answer + '.'")
    async with house(**switched_on(folder, "clumsy", "endless", "well")) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo fine"))["text"] == "fine."
        states = {each["name"]: each for each in (await get(workspace, "/api/v1/plugins"))["items"]}
        assert states["clumsy"]["detail"] == "It failed to register: LookupError."
        assert states["endless"]["detail"] == "It failed to start: SystemExit."
        assert states["well"]["status"] == "running"


# --- what is said at the start ----------------------------------------------------------------------------------------


async def test_what_is_not_there_or_not_right_is_refused_by_name(house: Serving, folder: Path) -> None:
    plugin(folder, "softly", "pass")
    folder.joinpath("half.py").write_text("this is no Python")
    folder.joinpath("two.py").write_text(
        f"{BEGIN}\nclass A(BasePlugin): pass\nclass B(BasePlugin): pass\n", encoding="utf-8"
    )
    plugin(folder, "renamed", "metadata = PluginMetadata(name='other', version='1')")
    for sections, sentence in (
        (switched_on(folder, "sofly"), "plugins.enabled names 'sofly', which is no plugin. Did you mean softly?"),
        (switched_on(folder, softy={"a": 1}), "plugins.softy is no setting, and no plugin. Did you mean softly?"),
        (switched_on(folder / "nowhere"), "which is no folder"),
        (switched_on(folder, "half"), "The plugin 'half' cannot be loaded: SyntaxError"),
        (switched_on(folder, "two"), "it must hold one plugin and holds 2"),
        (switched_on(folder, "renamed"), "calls itself 'other'"),
    ):
        with pytest.raises((ConfigError, PluginError)) as caught:
            async with house(**sections):
                pass
        assert sentence in str(caught.value)
    loose = folder / "softly.py"
    loose.chmod(0o666)
    with pytest.raises(PluginError, match=r"everybody may write to .*softly\.py"):
        async with house(**switched_on(folder, "softly")):
            pass
    loose.chmod(0o644)
    package = folder / "whole"
    (package / "parts").mkdir(parents=True)
    plugin(package, "__init__", "metadata = PluginMetadata(name='whole', version='1')")
    for part in (package / "parts", package):
        part.chmod(0o777)
        with pytest.raises(PluginError, match=f"everybody may write to {part};"):
            async with house(**switched_on(folder, "whole")):
                pass
        part.chmod(0o755)
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="into which everybody may write"):
        async with house(**switched_on(folder, "softly")):
            pass
    async with house() as workspace:  # nothing of them is left behind
        assert workspace.plugins.states() == []


async def test_a_changed_list_of_plugins_waits_for_a_restart(served: Served, visitors: Visitors) -> None:
    folder = served.folder / "plugins"
    plugin(folder, "dots", "async def answer_ready(self, moment, answer):\n    return answer + '...'")
    settings = served.folder / "antiphon.yaml"
    settings.write_text("watch_seconds: 0.1\nplugins: {folders: [plugins]}\n")
    served.start()
    visitor = await visitors.enter(served.url)
    assert (await visitor.ask("!echo one"))["text"] == "one"
    settings.write_text("watch_seconds: 0.1\nplugins: {folders: [plugins], enabled: [dots]}\n")
    async with asyncio.timeout(10):
        while '"setting":"plugins.enabled"' not in served.log:
            await asyncio.sleep(0.05)
    assert "config.restart_needed" in served.log
    assert (await visitor.ask("!echo two"))["text"] == "two"
    assert served.stop() == 0
    served.start()
    visitor = await visitors.enter(served.url, client_id="c3")
    assert (await visitor.ask("!echo three"))["text"] == "three..."


async def test_what_a_house_has_already_stays_its_own(house: Serving, folder: Path, visitors: Visitors) -> None:
    """A plugin that brings a name that is taken is out of order, and the others are not."""
    plugin(
        folder,
        "help_too",
        """
        def register(self, house):
            async def run(call): ...
            house.add_command(Command(name="help", usage="/help", summary="", run=run))
        """,
    )
    plugin(folder, "openai_too", "def register(self, house):\n    house.add_provider('openai', object())")
    plugin(
        folder,
        "twice",
        """
        def register(self, house):
            house.add_assistant(Assistant("same"))
            house.add_assistant(Assistant("same"))
        """,
    )
    for name, of in (("clock_too", "clock"), ("recall_too", "recall"), ("eggs", "eggs"), ("more_eggs", "eggs")):
        plugin(
            folder,
            name,
            f"""
            def register(self, house):
                house.add_tool(tool(name="{of}")(self.lie))

            def lie(self) -> str:
                "Lies."
                return "Lies."
            """,
        )
    names = ("help_too", "openai_too", "twice", "clock_too", "recall_too", "more_eggs")
    async with house(**switched_on(folder, "eggs", *names)) as workspace:
        states = {each.name: each for each in workspace.plugins.states()}
        assert [states[name].status for name in names] == ["failed"] * 6
        assert "The tool clock of the plugin clock_too has the name of one of this house" in states["clock_too"].detail
        assert (
            "The tool recall of the plugin recall_too has the name of one of this house" in states["recall_too"].detail
        )
        assert (
            "The tool eggs of the plugin more_eggs has the name of one of the plugin eggs" in states["more_eggs"].detail
        )
        assert "There is a command /help already" in states["help_too"].detail
        assert "There is a provider called openai already" in states["openai_too"].detail
        assert "There is an assistant called same already" in states["twice"].detail
        visitor = await visitors.enter(workspace.url)
        assert "/status" in (await visitor.ask("/help"))["text"]
        (called,) = [each for each in (await visitor.ask("!tool clock {}"))["parts"] if each["type"] == "tool"]
        assert "Lies" not in called["result"]
        assert "UTC" in called["result"]


HALFWAY: Mapping[str, str] = {
    "raise LookupError": "LookupError",
    "raise SystemExit(1)": "SystemExit",
    "house.add_assistant(Assistant('second'))": "There is an assistant called second already",
    "house.add_assistant(Assistant('guide'))": "There is an assistant called guide already",
    "house.add_prompt('late', '{')": "Prompt late: Single '{' encountered",
}


@pytest.mark.parametrize(("last", "why"), HALFWAY.items())
async def test_of_a_plugin_that_registers_halfway_nothing_is_left(
    house: Serving, folder: Path, visitors: Visitors, last: str, why: str
) -> None:
    plugin(
        folder,
        "halfway",
        f"""
        def register(self, house):
            from antiphon.providers.demo.provider import DemoProvider
            from antiphon.runtime.clock import Clock, SystemClock

            @tool
            def eggs() -> str:
                "Boil eggs."

            class Hourglass(SystemClock):
                pass

            async def menu(call, glass: Hourglass): ...

            house.services.register(Hourglass)
            house.services.register_singleton(Clock, Hourglass())
            house.services.resolve(Clock)
            house.add_tool(eggs)
            house.add_command(Command(name="menu", usage="/menu", summary="", run=menu))
            house.add_provider("stove", DemoProvider())
            house.add_prompt("cook", "You cook.")
            house.add_prompt("helpful", "You do not help.")
            house.add_assistant(Assistant("second"))
            {last}
        """,
    )
    async with house(**switched_on(folder, "halfway")) as workspace:
        (state,) = workspace.plugins.states()
        assert (state.status, why in state.detail) == ("failed", True), state.detail
        assert [each.name for each in workspace.assistants.all()] == ["guide"]
        assert "eggs" not in {each.name for each in workspace.assistants.default.tools}
        assert "eggs" not in workspace.tools
        assert "stove" not in workspace.providers
        assert type(workspace.services.resolve(Clock)) is SystemClock
        with pytest.raises(ConfigError, match="Prompt helpful has no version 2"):
            workspace.prompts.find(Prompt("helpful", 2))
        with pytest.raises(ConfigError, match="There is no prompt 'cook'"):
            workspace.prompts.find(Prompt("cook"))
        visitor = await visitors.enter(workspace.url)
        assert "There is no command /menu" in (await visitor.ask("/menu"))["text"]


async def test_clients_of_the_openai_api_come_past_the_hooks_too(house: Serving, folder: Path) -> None:
    plugin(
        folder,
        "everywhere",
        """
        required = frozenset({"message_arrived"})

        async def message_arrived(self, moment, said):
            if "forbidden" in said.text:
                raise NotAllowedError("Not in this house.")
            return said.reworded(said.text.replace("DAMN", "dear me"))

        async def session_resolved(self, moment, conversation):
            assert moment.person.id == "local"
            assert conversation.adapter == "openai"

        async def before_model(self, moment, request):
            *before, last = request.messages
            return structs.replace(request, messages=(*before, structs.replace(last, text=last.text + " indeed")))
        """,
    )
    async with house(**switched_on(folder, "everywhere")) as workspace, aiohttp.ClientSession() as session:

        async def ask(text: str) -> tuple[int, Any]:
            body = {"model": workspace.assistants.default.name, "messages": [{"role": "user", "content": text}]}
            async with session.post(f"{workspace.url}/v1/chat/completions", json=body) as answer:
                return answer.status, await answer.json()

        status, body = await ask("!echo DAMN")
        assert (status, body["choices"][0]["message"]["content"]) == (200, "dear me indeed")
        status, body = await ask("the forbidden")
        assert (status, body["error"]["message"], body["error"]["code"]) == (403, "Not in this house.", "not_allowed")

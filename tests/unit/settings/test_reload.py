"""Settings that change under a running house: what can be taken is, what is wrong changes nothing."""

import asyncio
import os
import signal
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import ConfigError, ModuleError
from antiphon.settings import reload
from antiphon.settings.config import Config
from antiphon.settings.reload import ConfigReloader

Events = list[MutableMapping[str, Any]]


def events(logged: Events, name: str) -> Events:
    return [event for event in logged if event["event"] == name]


@pytest.fixture
def file(folder: Path) -> Path:
    file = folder / "antiphon.yaml"
    file.write_text("log_level: INFO\nserver: {port: 1}\n")
    return file


async def test_what_may_change_is_taken_and_told(file: Path, logged: Events) -> None:
    reloader = ConfigReloader(Config.load(environ={}))
    told: list[str] = []
    reloader.listen(lambda config: told.append(config.log_level))

    async def later(config: Config) -> None:
        told.append(f"later {config.log_level}")

    reloader.listen(later)
    file.write_text("log_level: ERROR\nserver: {port: 1}\nfeatures: {beta: 50%}\nassistants: {instructions: Rhyme.}\n")
    assert await reloader.reload()
    assert told == ["ERROR", "later ERROR"]
    assert reloader.config.features.names() == ("choose_model", "beta")
    (event,) = events(logged, "config.reloaded")
    assert event["settings"] == ["assistants.instructions", "features.beta", "log_level"]
    assert not await reloader.reload()
    assert len(told) == 2


async def test_what_may_not_change_stays_and_is_named(file: Path, logged: Events) -> None:
    reloader = ConfigReloader(Config.load(environ={}))
    file.write_text(
        "log_level: ERROR\nserver: {port: 2, drain_seconds: 9}\nassistants: {name: other, description: New.}\n"
        "providers: {office: {base_url: 'https://m.example'}}\n"
    )
    assert await reloader.reload()
    config = reloader.config
    assert (config.log_level, config.server.port, config.server.drain_seconds) == ("ERROR", 1, 5.0)
    assert (config.assistants.name, config.assistants.description) == ("guide", "New.")
    assert config.providers.named("office") is None
    named = {event["setting"]: event["source"] for event in events(logged, "config.restart_needed")}
    assert named["server.port"] == "antiphon.yaml:2"
    assert {"server.drain_seconds", "assistants.name", "providers.office.base_url"} <= set(named)


@pytest.mark.parametrize(
    "text",
    [
        "log_level: LOUD\n",
        "log_level: [",
        "servr: {}\n",
        "- 1\n",
        "\0",
        "environment: production\ndatabase: {url: ':memory:'}",
    ],
)
async def test_sources_that_are_wrong_change_nothing(file: Path, logged: Events, text: str) -> None:
    reloader = ConfigReloader(Config.load(environ={}))
    before = reloader.config
    reloader.listen(lambda _: pytest.fail("nothing was to be told"))
    file.write_text(text)
    assert not await reloader.reload()
    assert reloader.config is before
    assert events(logged, "config.refused") or events(logged, "config.restart_needed")
    file.write_text("log_level: INFO\nserver: {port: 1}\n")
    assert not await reloader.reload()


async def test_what_cannot_be_served_is_refused_as_a_whole(file: Path, logged: Events) -> None:
    def check(config: Config) -> None:
        if config.default_model == "ollama:x":
            raise ModuleError("There is no provider “ollama”.")

    reloader = ConfigReloader(Config.load(environ={}), check=check)
    file.write_text("log_level: ERROR\ndefault_model: ollama:x\n")
    assert not await reloader.reload()
    assert reloader.config.log_level == "INFO"
    (event,) = events(logged, "config.refused")
    assert event["reason"] == "There is no provider “ollama”."


async def test_when_one_part_fails_all_go_back_too(file: Path) -> None:
    told: list[str] = []

    def broken(config: Config) -> None:
        if config.debug:
            raise RuntimeError("a defect")

    reloader = ConfigReloader(Config.load(environ={}))
    before = reloader.config
    reloader.listen(lambda config: told.append(str(config.debug)))
    reloader.listen(broken)
    file.write_text("debug: true")
    with pytest.raises(RuntimeError):
        await reloader.reload()
    assert told == ["True", "False"]
    assert reloader.config is before


async def test_when_one_part_cannot_take_it_all_go_back(file: Path, logged: Events) -> None:
    told: list[str] = []

    def picky(config: Config) -> None:
        if config.log_format == "%(nothing)s":
            raise ConfigError("The log format cannot be filled in.")

    reloader = ConfigReloader(Config.load(environ={}))
    before = reloader.config
    reloader.listen(lambda config: told.append(config.log_format))
    reloader.listen(picky)
    file.write_text("log_format: '%(nothing)s'\nserver: {port: 1}\n")
    assert not await reloader.reload()
    assert told == ["%(nothing)s", "auto"]
    assert reloader.config is before
    assert events(logged, "config.refused")[0]["reason"] == "The log format cannot be filled in."


async def test_a_configuration_made_in_code_is_not_read_again(logged: Events) -> None:
    assert not await ConfigReloader(Config()).reload()
    assert "made in code" in events(logged, "config.refused")[0]["reason"]


async def test_what_the_rules_say_is_logged_at_the_start(logged: Events) -> None:
    reloader = ConfigReloader(Config(environment="production", debug=True))
    await reloader.start()
    (event,) = events(logged, "config.problem")
    assert (event["setting"], "set debug to false" in event["problem"]) == ("debug", True)
    await reloader.stop()


async def changed_to(reloader: ConfigReloader, level: str) -> None:
    changed = asyncio.Event()
    reloader.listen(lambda config: changed.set() if config.log_level == level else None)
    async with asyncio.timeout(10):
        await changed.wait()


@pytest.mark.parametrize("how", ["written", "replaced", "appeared"])
async def test_files_are_watched_where_that_is_asked_for(folder: Path, how: str) -> None:
    file = folder / "antiphon.yaml"
    if how != "appeared":
        file.write_text("log_level: INFO\n")
    reloader = ConfigReloader(Config.load(environ={"ANTIPHON_WATCH_SECONDS": "0.1"}))
    await reloader.start()
    waiting = asyncio.create_task(changed_to(reloader, "ERROR"))
    await asyncio.sleep(0)
    if how == "replaced":
        (folder / "new").write_text("log_level: ERROR\n")
        (folder / "new").rename(file)
    else:
        file.write_text("log_level: ERROR\n")
    await waiting
    await reloader.stop()
    await reloader.stop()


async def test_nothing_is_watched_unless_that_is_asked_for(file: Path) -> None:
    before = asyncio.all_tasks()
    reloader = ConfigReloader(Config.load(environ={}))
    await reloader.start()
    assert asyncio.all_tasks() == before
    await reloader.stop()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
@pytest.mark.parametrize("closed", [False, True])
async def test_sighup_reads_again_unless_the_terminal_is_gone(
    file: Path, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    terminals = iter([closed, False])
    monkeypatch.setattr(reload, "has_terminal", lambda: next(terminals))
    reloader = ConfigReloader(Config.load(environ={}))
    ended = asyncio.Event()
    before = signal.getsignal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with reloader.on_hangup(ended.set):
            file.write_text("log_level: ERROR\n")
            waiting = asyncio.create_task(ended.wait() if closed else changed_to(reloader, "ERROR"))
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGHUP)
            async with asyncio.timeout(10):
                await waiting
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
        await reloader.stop()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
async def test_a_program_that_survives_its_terminal_keeps_doing_so(file: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ConfigReloader(Config.load(environ={})).on_hangup(lambda: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

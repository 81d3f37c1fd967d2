"""What is right by itself and wrong together, the rules of others included."""

import re
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import AntiphonError, ConfigError
from antiphon.settings import rules
from antiphon.settings.config import Config
from antiphon.settings.rules import Problem, sentence
from antiphon.telemetry.redaction import redact_text
from antiphon.workspace import Workspace


def severities(config: Config) -> dict[str, str]:
    return {problem.key: problem.severity for problem in config.problems()}


def test_the_defaults_are_right() -> None:
    assert Config().problems() == []


@pytest.mark.parametrize(
    ("settings", "key", "severity"),
    [
        ({"environment": "production", "debug": True}, "debug", "warning"),
        ({"environment": "production", "database": {"url": "sqlite:///:memory:"}}, "database.url", "error"),
        ({"server": {"host": "192.0.2.1"}}, "server.host", "error"),
        ({"realtime": {"security": {"origins": "any"}}}, "realtime.security.origins", "warning"),
        ({"realtime": {"mount": "/api/v1"}}, "realtime.mount", "error"),
        ({"realtime": {"supabase_mount": "/api/realtime"}}, "realtime.supabase_mount", "error"),
        (
            {"providers": {"office": {"base_url": "http://models.example/v1", "api_key": "k"}}},
            "providers.office.base_url",
            "warning",
        ),
    ],
)
def test_each_rule_finds_what_it_looks_for(settings: dict[str, Any], key: str, severity: str) -> None:
    assert severities(Config.model_validate(settings)) == {key: severity}


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"database": {"url": "mysql://me:geheim@h/d"}}, "database.url"),
    ({"database": {"url": "postgresql://me:geheim@h:port/d"}}, "database.url"),
    ({"database": {"url": "postgresql://me:ge/heim@h/d"}}, "database.url"),
    ({"database": {"url": "postgresql://me:geheim@h"}}, "database.url"),
    ({"database": {"url": "sqlite://data.db"}}, "database.url"),
    ({"redis": {"url": "http://me:geheim@h/0"}}, "redis.url"),
    ({"redis": {"url": "redis://me:geheim@h:port/0"}}, "redis.url"),
    ({"redis": {"url": "redis://h"}, "cache": {"url": "memcached://me:geheim@h"}}, "cache.url"),
    ({"default_model": "foo:bar"}, "default_model"),
    ({"server": {"workers": 2}}, "server.workers"),
    (
        {
            "cluster": {"url": "redis://me:geheim@h"},
            "cache": {"url": "redis://h"},
            "database": {"url": "sqlite:///a.db"},
        },
        "database.url",
    ),
    (
        {
            "cluster": {"url": "redis://me:geheim@h"},
            "cache": {"url": "memory://"},
            "database": {"url": "postgresql://h/d"},
        },
        "cache.url",
    ),
    (
        {
            "cluster": {"url": "mqtt://me:geheim@h"},
            "database": {"url": "postgresql://h/d"},
            "redis": {"url": "redis://h"},
        },
        "cluster.url",
    ),
    ({"default_model": "gpt-5"}, "default_model"),
    ({"assistants": {"platform_models": {"web": "foo:bar"}}}, "assistants.platform_models.web"),
    ({"providers": {"opnai": {"api_key": "geheim"}}}, "providers"),
]


async def start(config: Config) -> None:
    workspace = Workspace(config)
    try:
        await workspace.start()
    finally:
        await workspace.stop()


@pytest.mark.parametrize(("settings", "key"), UNFIT)
async def test_what_the_start_would_refuse_is_an_error_now(folder: Path, settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)} \(an argument\): ") as caught:
        Config.load(environ={}, **settings)
    assert "heim" not in str(caught.value)
    with pytest.raises(AntiphonError):
        await start(Config.model_validate(settings))


@pytest.mark.parametrize(("model", "refused"), [(None, True), ("demo", False)])
def test_a_wrong_address_of_a_vendor_is_told_where_it_decides(folder: Path, model: str | None, refused: bool) -> None:
    (folder / ".env").write_text("OPENAI_BASE_URL=models.example\n")
    with pytest.raises(ConfigError, match="wrong address for openai") if refused else nullcontext():
        Config.load(environ={}, default_model=model)


@pytest.mark.parametrize(
    "settings",
    [
        {"environment": "staging", "debug": True},
        {"database": {"url": "sqlite:///:memory:"}},
        {"database": {"url": "postgresql://u@h/d"}, "environment": "production"},
        {"providers": {"office": {"base_url": "http://127.0.0.1:9/v1", "api_key": "k"}}},
        {"providers": {"office": {"base_url": "http://models.example/v1"}}},
        {"providers": {"office": {"base_url": "http://models.example/v1"}}, "default_model": "office:large"},
        {"redis": {"url": "redis://me:pw@127.0.0.1:1/0"}, "default_model": "demo"},
        {"redis": {"url": "http://unused"}, "cache": {"url": "memory://"}},
        {"cluster": {"url": "memory://"}},
        {"server": {"workers": 2}, "redis": {"url": "redis://h"}, "database": {"url": "postgresql://h/d"}},
        {"cluster": {"url": "nats://h"}, "redis": {"url": "redis://h"}, "database": {"url": "postgresql://h/d"}},
    ],
)
def test_no_rule_finds_what_is_not_there(settings: dict[str, Any]) -> None:
    assert Config.model_validate(settings).problems() == []


def test_an_error_keeps_the_house_from_starting_and_names_the_source(folder: Path) -> None:
    (folder / "antiphon.yaml").write_text('environment: production\ndatabase:\n  url: "sqlite:///:memory:"\n')
    with pytest.raises(ConfigError, match=r"^database\.url \(antiphon\.yaml:3\): Nothing would be kept"):
        Config.load(environ={})


def test_sqlite_on_a_network_file_system_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_file_system", lambda path: "nfs4")
    assert severities(Config()) == {"database.url": "warning"}


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = f"none / ext4 rw 0 0\nserver:/x {tmp_path}/my\\040data nfs4 rw 0 0\nnone {tmp_path}/my fuse rw 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: mounts)
    assert rules._file_system(tmp_path / "my data" / "a.db") == "nfs4"
    assert rules._file_system(tmp_path / "my dat" / "a.db") == "ext4"


def test_secrets_that_everybody_may_read_are_warned_about(public: Path) -> None:
    secrets = public / "secrets"
    secrets.mkdir(mode=0o755)
    file = secrets / "providers__openai__api_key"
    file.write_text("k")
    file.chmod(0o644)
    config = Config.load(environ={"ANTIPHON_SECRETS_DIR": "secrets"})
    (problem,) = config.problems()
    assert str(file) in sentence(config, problem)
    assert sentence(config, problem).startswith("secrets_dir (the variable ANTIPHON_SECRETS_DIR): ")
    file.chmod(0o600)
    assert config.problems() == []
    file.chmod(0o644)
    secrets.chmod(stat.S_IRWXU)
    assert config.problems() == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "OPENAI_API_KEY=geheim\n"),
        (".env", "GITHUB_TOKEN=geheim\n"),
        (".env", "ANTIPHON_PROVIDERS__OPENAI__API_KEY=geheim\n"),
        (".env", "ANTIPHON_DATABASE__URL=postgresql://me:geheim@h/d\n"),
        ("antiphon.yaml", "database: {url: 'postgresql://me:geheim@h/d'}\n"),
        ("antiphon.yaml", "redis: {url: 'redis://:geheim@h'}\n"),
        ("antiphon.yaml", "providers: {openai: {headers: {X-Key: geheim}}}\n"),
    ],
)
def test_a_file_that_holds_a_secret_and_everybody_may_read_is_warned_about(public: Path, name: str, text: str) -> None:
    file = public / name
    file.write_text(text)
    file.chmod(0o644)
    config = Config.load(environ={})
    (told,) = (sentence(config, problem) for problem in config.problems())
    assert told == f"{file} holds a secret, and everybody on this machine may read it; chmod 600 it."
    assert redact_text(told) == told
    assert severities(config) == {name: "warning"}
    file.chmod(0o640)
    assert config.problems() == []
    file.chmod(0o644)
    public.chmod(stat.S_IRWXU)
    assert config.problems() == []


def test_what_holds_no_secret_may_be_read_by_all(public: Path) -> None:
    for name, text in {
        ".env": "OPENAI_API_KEY=\nANTIPHON_ASSISTANTS__CONTEXT_TOKENS=9000\nMAX_TOKENS=3\n",
        "antiphon.yaml": "redis: {url: 'redis://h:6379/0'}\nassistants: {instructions: 'Say password: please'}\n",
        "antiphon.development.yaml": "providers: {openai: {api_key: null}}\n",
    }.items():
        (public / name).write_text(text)
        (public / name).chmod(0o644)
    assert Config.load(environ={"OPENAI_API_KEY": "geheim"}).problems() == []


def no_port_below_five(config: Config) -> Iterator[Problem]:
    if config.server.port < 5:
        yield Problem("server.port", "Ports below 5 are for the boss.")
    if config.server.port == 5:
        yield Problem("the mood", "Five is an odd number.", "warning")


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [("os:system", r"fails \(TypeError\)"), ("builtins:repr", "gives something else"), ("os:sep", r"fails \(TypeErr")],
)
def test_a_rule_that_fails_is_named(rule: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=rf"^The rule {rule} {wrong}.*take it out of rules"):
        Config(rules=[rule]).problems()


def test_a_rule_may_be_named_in_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "house_rules.py").write_text(
        "from antiphon.settings.rules import Problem\n"
        "def check(config):\n"
        "    if config.server.port < 5:\n"
        "        yield Problem('server.port', 'Ports below 5 are for the boss.')\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    (folder / "antiphon.yaml").write_text("rules: ['house_rules:check']\n")
    assert Config.load(environ={}).problems() == []
    with pytest.raises(ConfigError, match=r"server\.port \(an argument\): Ports below 5 are for the boss\."):
        Config.load(environ={}, server={"port": 4})


def test_a_package_may_bring_a_rule(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", "house:rule", rules.GROUP)
    monkeypatch.setattr(rules, "entry_points", lambda group: [point] if group == rules.GROUP else [])
    monkeypatch.setattr(rules, "loaded", lambda what, name: no_port_below_five)
    config = Config(server={"port": 5})
    (problem,) = config.problems()
    assert sentence(config, problem) == "Five is an odd number."


@pytest.mark.parametrize("name", ["nowhere", "nowhere:rule", "antiphon.settings.rules:nothing", ":", "os.path:"])
def test_a_rule_that_cannot_be_loaded_is_named(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Config.load(environ={}, rules=[name])

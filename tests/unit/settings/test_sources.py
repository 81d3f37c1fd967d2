"""Which files, secrets and variables are read, in which order, and which are left alone."""

import os
import re
from pathlib import Path

import pytest

from antiphon.errors import ConfigError
from antiphon.settings import sources
from antiphon.settings.config import Config


@pytest.fixture(autouse=True)
def no_secrets_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "SECRETS", tmp_path / "run" / "secrets")


# --- the folder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [None, "config"])
def test_a_folder_holds_a_file_for_each_section(folder: Path, named: str | None) -> None:
    (folder / "config").mkdir()
    files = {
        "antiphon.yaml": "log_level: ERROR\nserver: {port: 1}\n",
        "server.yaml": "port: 2\n",
        "logging_config.yaml": "outputs: [{to: stdout}]\n",
        "monitoring_config.yaml": "interval_seconds: 7\n",
        "performance_config.yaml": "performance:\n  cache_ttl: 60\n",
        "service_config.yaml": "retry_attempts: 9\n",
    }
    for name, text in files.items():
        (folder / "config" / name).write_text(text)
    config = Config.load(named, environ={})
    assert (config.log_level, config.server.port) == ("ERROR", 2)
    assert [output.to for output in config.logging.outputs] == ["stdout"]
    assert config.monitoring.interval_seconds == 7
    assert config.performance.cache_ttl == 60
    assert config.services.retry_attempts == 9
    assert config.source("performance.cache_ttl") == "config/performance_config.yaml:2"
    assert Config.load(environ={"ANTIPHON_CONFIG": "config"}).services.retry_attempts == 9


def test_the_one_file_goes_before_the_folder(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "server.yaml").write_text("port: 2\n")
    (folder / "antiphon.yaml").write_text("debug: true\n")
    assert Config.load(environ={}).server.port == 4000


def test_what_others_keep_in_a_folder_called_config_is_left_alone(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "webpack.yaml").write_text("- not: ours\n")
    assert Config.load(environ={}).server.port == 4000
    with pytest.raises(ConfigError, match=r"webpack\.yaml is called like no section\."):
        Config.load("config", environ={})
    (folder / "config" / "webpack.yaml").rename(folder / "config" / "servr.yaml")
    with pytest.raises(ConfigError, match=r"servr\.yaml is called like no section\. Did you mean server\?"):
        Config.load("config", environ={})


def test_two_files_for_one_section_are_refused(folder: Path) -> None:
    (folder / "config").mkdir()
    for name in ("logging.yaml", "logging_config.yaml"):
        (folder / "config" / name).write_text("{}")
    with pytest.raises(ConfigError, match="both hold the section logging; keep one"):
        Config.load(environ={})


@pytest.mark.parametrize("name", ["antiphon.yml", "antiphon.json"])
def test_a_file_that_is_not_read_is_told(folder: Path, name: str) -> None:
    (folder / name).write_text("{}")
    assert Config.load(environ={}).unused_files == (folder / name,)


# --- environments -------------------------------------------------------------------------------------------------


def test_a_file_of_the_environment_lies_over_the_file(folder: Path) -> None:
    (folder / "antiphon.yaml").write_text("server: {port: 1, drain_seconds: 1}\n")
    (folder / "antiphon.production.yaml").write_text("server: {port: 2}\n")
    config = Config.load(environ={"ANTIPHON_ENVIRONMENT": "production"})
    assert (config.server.port, config.server.drain_seconds) == (2, 1)
    assert config.source("server.port") == "antiphon.production.yaml:1"
    assert Config.load(environ={}).server.port == 1
    assert Config.load(environ={"ANTIPHON_ENVIRONMENT": "production", "ANTIPHON_SERVER__PORT": "3"}).server.port == 3


def test_files_of_a_folder_have_them_too(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "server.yaml").write_text("port: 1\n")
    (folder / "config" / "server.staging.yaml").write_text("port: 2\n")
    assert Config.load("config", environ={}, environment="staging").server.port == 2
    assert Config.load("config", environ={}).server.port == 1


@pytest.mark.parametrize("where", ["antiphon.yaml", ".env", "secret", "argument"])
def test_any_source_may_name_the_environment(folder: Path, where: str) -> None:
    (folder / "antiphon.yaml").write_text("environment: staging\n" if where == "antiphon.yaml" else "{}\n")
    (folder / "antiphon.staging.yaml").write_text("debug: true\n")
    if where == ".env":
        (folder / ".env").write_text("ANTIPHON_ENVIRONMENT=staging\n")
    if where == "secret":
        (folder / "keys").mkdir(mode=0o700)
        (folder / "keys" / "environment").write_text("staging\n")
    arguments = {"environment": "staging"} if where == "argument" else {}
    if where == "secret":
        arguments["secrets_dir"] = "keys"
    config = Config.load(environ={}, **arguments)
    assert (config.environment, config.debug) == ("staging", True)


def test_a_file_of_an_environment_cannot_change_it(folder: Path) -> None:
    (folder / "antiphon.yaml").write_text("environment: staging\n")
    (folder / "antiphon.staging.yaml").write_text("environment: production\n")
    with pytest.raises(ConfigError, match=r"antiphon\.staging\.yaml cannot set environment"):
        Config.load(environ={})


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "pro duction", "PRODUCTION"])
def test_an_environment_that_does_not_exist_reads_no_file(folder: Path, name: str) -> None:
    (folder / "antiphon.yaml").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"environment .* must be “development”"):
        Config.load(environ={"ANTIPHON_ENVIRONMENT": name})


# --- secrets ------------------------------------------------------------------------------------------------------


def test_secrets_lie_between_dotenv_and_the_environment(folder: Path) -> None:
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    (keys / "providers__openai__api_key").write_text("from-secret\n")
    (keys / "ANTIPHON_SERVER__PORT").write_text("2\n")
    (keys / "providers__office").write_text('{"base_url": "https://m.example", "headers": {"X-Team": "a"}}\n')
    (keys / "tls.crt").write_bytes(b"somebody else's")
    (folder / ".env").write_text("ANTIPHON_SERVER__PORT=1\nANTIPHON_PROVIDERS__OPENAI__API_KEY=from-dotenv\n")
    config = Config.load(environ={"ANTIPHON_SECRETS_DIR": "keys"})
    openai, office = config.providers.named("openai"), config.providers.named("office")
    assert openai is not None
    assert openai.api_key is not None
    assert openai.api_key.get_secret_value() == "from-secret"
    assert config.source("providers.openai.api_key") == f"the secret file {keys / 'providers__openai__api_key'}"
    assert config.server.port == 2
    assert office is not None
    assert office.headers["X-Team"].get_secret_value() == "a"
    assert {file.name for file in config.secret_files} == {path.name for path in keys.iterdir()} - {"tls.crt"}
    over = Config.load(environ={"ANTIPHON_SECRETS_DIR": "keys", "ANTIPHON_SERVER__PORT": "3"})
    assert over.server.port == 3


def test_the_usual_place_of_containers_is_read_without_being_named(folder: Path) -> None:
    place = sources.SECRETS
    assert Config.load(environ={}).providers.named("openai") is None
    place.mkdir(parents=True)
    (place / "providers__openai__api_key").write_text("k")
    (place / "postgres_password").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"postgres_password is not UTF-8 text"):
        Config.load(environ={})
    (place / "postgres_password").write_bytes(b"x")
    config = Config.load(environ={})
    assert config.providers.named("openai") is not None
    assert config.problems() == []


def test_a_secrets_directory_that_is_missing_or_holds_a_slip_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="keys does not exist"):
        Config.load(environ={}, secrets_dir="keys")
    (folder / "keys").mkdir(mode=0o700)
    (folder / "keys" / "providers__openai__api_kye").write_text("geheim-geheim")
    with pytest.raises(ConfigError, match=r"api_kye is no setting \(the secret file .*Did you mean") as caught:
        Config.load(environ={}, secrets_dir="keys")
    assert "geheim" not in str(caught.value)


# --- variables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("SERVER__PORT", "many", "server.port (the variable ANTIPHON_SERVER__PORT) must be a whole number."),
        ("SERVER__PORT", "", "server.port (the variable ANTIPHON_SERVER__PORT) must be a whole number."),
        ("DEBUG", "perhaps", "debug (the variable ANTIPHON_DEBUG) must be true or false."),
        ("LOG_LEVEL", "warn", "“CRITICAL”. Did you mean WARNING?"),
        ("SERVER", "{port", 'server (the variable ANTIPHON_SERVER) must be JSON here, such as {"name": "value"}.'),
        ("SERVER", "7", "server (the variable ANTIPHON_SERVER) must be a section of settings"),
        ("REALTIME__SECURITY__ORIGINS", "[x]", 'must be JSON here, such as ["one", "two"].'),
        ("REALTIME__SECURITY__ORIGINS", "anywhere", "must be “same-host” or “same-connection” or “any” or a list"),
        ("REALTIME__SECURITY__ORIGINS", "[1]", "realtime.security.origins"),
        ("PROVIDERS__OFFICE__HEADERS", "X: y", 'must be JSON here, such as {"name": "value"}.'),
        ("PROVIDERS__OFFICE__HEADERS", '{"X Y": "z"}', "providers.office.headers.X Y"),
        ("PROVIDERS__OFFICE__BASE_URL", "models", "must be an address such as https://models.example/v1."),
        ("PROVIDERS__OFFICE__TIMEOUTS__CONNECT", "-1", "must be greater than 0."),
        ("ASSISTANTS__PLATFORM_MODELS", "{", "must be JSON here"),
        ("WATCH_SECONDS", "soon", "watch_seconds (the variable ANTIPHON_WATCH_SECONDS) must be a number."),
        ("SERVER__PORT__DEEP", "1", "server.port (the variable ANTIPHON_SERVER__PORT__DEEP) must be a whole number."),
    ],
)
def test_what_is_wrong_in_a_variable_is_one_sentence_of_ours(
    folder: Path, variable: str, value: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load(environ={f"ANTIPHON_{variable}": value})
    told = str(caught.value)
    assert sentence in told
    assert not {"Input", "literal[", "tuple[", "input_value", "pydantic"} & set(told.replace("(", " ").split())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE__URL", "sqlite:///a\0b"),
        ("DATABASE__URL", "sqlite:///\udcff"),
        ("PROVIDERS__OPENAI__API_KEY", "geheim\ud800"),
        ("REALTIME__SECURITY__ORIGINS", '["https://\\ud800"]'),
        ("SERVER", '{"host": "\\u0000"}'),
    ],
)
def test_what_is_no_text_is_refused_where_it_stands(folder: Path, variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"\(the variable ANTIPHON_{variable}\) is no text") as caught:
        Config.load(environ={f"ANTIPHON_{variable}": value})
    assert "geheim" not in str(caught.value)


def test_every_variable_that_is_unknown_is_named_at_once(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load(environ={"ANTIPHON_SERVR__PORT": "1", "ANTIPHON_DEBUGG": "1"})
    assert "ANTIPHON_SERVR__PORT is no setting" in str(caught.value)
    assert "ANTIPHON_DEBUGG is no setting" in str(caught.value)


def test_a_mapping_with_names_of_ones_own_is_set_as_a_whole_or_by_name(folder: Path) -> None:
    environ = {
        "ANTIPHON_PROVIDERS__OFFICE__BASE_URL": "https://m.example",
        "ANTIPHON_PROVIDERS__OFFICE__HEADERS": '{"X-Team": "a"}',
        "ANTIPHON_ASSISTANTS__PLATFORM_MODELS__TELEGRAM": "demo",
    }
    config = Config.load(environ=environ)
    office = config.providers.named("office")
    assert office is not None
    assert office.headers["X-Team"].get_secret_value() == "a"
    assert config.assistants.platform_models == {"telegram": "demo"}


def test_a_section_whose_lines_are_commented_out_is_empty(folder: Path) -> None:
    (folder / "antiphon.yaml").write_text("server:\n  # port: 1\nproviders:\n  ollama:\n")
    config = Config.load(environ={})
    assert config.server.port == 4000
    assert config.providers.names() == ("ollama",)


def test_a_narrower_variable_wins_over_a_wider_one(folder: Path) -> None:
    environ = {"ANTIPHON_SERVER__PORT": "2", "ANTIPHON_SERVER": '{"port": 1, "drain_seconds": 3}'}
    config = Config.load(environ=environ)
    assert (config.server.port, config.server.drain_seconds) == (2, 3)


@pytest.mark.parametrize("name", ["antiphon.yaml", "antiphon.development.yaml", "config/server.yaml"])
def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_told_and_never_waited_for(folder: Path, name: str) -> None:
    place = folder / name
    place.parent.mkdir(exist_ok=True)
    if "development" in name:
        (folder / "antiphon.yaml").write_text("{}")
    place.mkdir()
    with pytest.raises(ConfigError, match=rf"{re.escape(name)} is a folder and not a file: put"):
        Config.load(environ={})
    place.rmdir()
    os.mkfifo(place)
    with pytest.raises(ConfigError, match=rf"{re.escape(name)} is a pipe or a device and not a file: put"):
        Config.load(environ={})
    with pytest.raises(ConfigError, match="is a pipe or a device"):
        Config.load(place, environ={})


def test_a_link_that_leads_nowhere_is_not_passed_by(folder: Path) -> None:
    (folder / "antiphon.yaml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"antiphon\.yaml cannot be read \(No such file or directory\)"):
        Config.load(environ={})


def test_a_folder_that_is_named_must_hold_settings(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "server.production.yaml").write_text("port: 5\n")
    (folder / "empty" / "passwd").write_text("root")
    with pytest.raises(ConfigError, match=r"^The folder empty holds no settings: no antiphon\.yaml and no file"):
        Config.load("empty", environ={})

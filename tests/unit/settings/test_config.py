"""Where settings come from, which source wins, and how clearly a wrong one is refused."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel, ConfigDict

from antiphon.errors import ConfigError
from antiphon.settings.config import SECTIONS, Config
from antiphon.storage.config import DatabaseSettings


def test_without_anything_it_works(folder: Path) -> None:
    config = Config.load(environ={})
    assert (config.server.host, config.server.port) == ("127.0.0.1", 4000)
    assert config.database.url == "sqlite:///data/antiphon.db"
    assert config.default_model is None
    assert config.server.is_loopback


def test_later_sources_win_field_by_field(folder: Path) -> None:
    (folder / "antiphon.yaml").write_text("server: {port: 1, host: '::1', drain_seconds: 1, max_body_bytes: 2000}\n")
    (folder / ".env").write_text("ANTIPHON_SERVER__PORT=2\nANTIPHON_SERVER__HOST=localhost\nANTIPHON_DEBUG=true\n")
    environ = {"ANTIPHON_SERVER__PORT": "3", "antiphon_server__drain_seconds": "3"}
    config = Config.load(environ=environ, server={"port": 4})
    assert config.server.model_dump() == {
        "host": "localhost", "port": 4, "workers": 1, "drain_seconds": 3.0, "max_body_bytes": 2000,
    }  # fmt: skip
    assert config.debug


def test_variables_that_are_no_text_are_one_clear_sentence(folder: Path) -> None:
    (folder / ".env").write_bytes(b"ANTIPHON_DEBUG=\xff\n")
    with pytest.raises(ConfigError, match=r"\.env is not UTF-8 text\.$"):
        Config.load(environ={})


def test_a_file_by_name(folder: Path) -> None:
    (folder / "mine.yaml").write_text("default_model: demo\n")
    assert Config.load("mine.yaml", environ={}).default_model == "demo"
    assert Config.load(environ={"ANTIPHON_CONFIG": str(folder / "mine.yaml")}).default_model == "demo"
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist"):
        Config.load("nowhere.yaml", environ={})
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist"):
        Config.load(environ={"ANTIPHON_CONFIG": "nowhere.yaml"})


@pytest.mark.parametrize(
    ("yaml", "sentence"),
    [
        ("servr: {}", "servr is no setting (antiphon.yaml:1). Did you mean server?"),
        ("server: {prot: 1}", "server.prot is no setting (antiphon.yaml:1). Did you mean server.port?"),
        ("providers: {openai: {api_kye: x}}", "providers.openai.api_kye is no setting (antiphon.yaml:1)."),
        (
            "providers: {openai: {timeouts: {conect: 1}}}",
            "providers.openai.timeouts.conect is no setting (antiphon",
        ),
        ("server: {port: 99999}", "server.port (antiphon.yaml:1) must be less than or equal to 65535."),
        (
            "realtime: {security: {secret: short}}",
            "realtime.security.secret (antiphon.yaml:1) must have at least 20 characters.",
        ),
        ("server: 7", "server (antiphon.yaml:1) must be a section of settings, written as `name: value`."),
        (
            "log_level: LOUD",
            "log_level (antiphon.yaml:1) must be “DEBUG” or “INFO” or “WARNING” or “ERROR” or “CRITICAL”.",
        ),
        ("- a\n- b", "must hold settings as `name: value`."),
        ("server: {port: [", "line 1 is not valid YAML."),
        ("a: b: c", "line 1 is not valid YAML."),
        pytest.param("a: " + "[" * 20_000, "antiphon.yaml is not valid YAML.", id="deeper than a parser goes"),
    ],
)
def test_a_wrong_file_is_one_clear_sentence(folder: Path, yaml: str, sentence: str) -> None:
    (folder / "antiphon.yaml").write_text(yaml)
    with pytest.raises(ConfigError) as caught:
        Config.load(environ={})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "name", "meant"),
    [
        ("ANTIPHON_SERVR__PORT", "ANTIPHON_SERVR__PORT", "ANTIPHON_SERVER"),
        ("ANTIPHON_PORT", "ANTIPHON_PORT", ""),
        ("ANTIPHON_SERVER__PROT", "server.prot", "server.port"),
        ("ANTIPHON_PROVIDERS__OPENAI__API_KYE", "providers.openai.api_kye", "providers.openai.api_key"),
    ],
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_wrong_variable_is_refused_by_name(folder: Path, where: str, variable: str, name: str, meant: str) -> None:
    environ = {variable: "1"} if where == "environment" else {}
    if where == ".env":
        (folder / ".env").write_text(f"# first\n{variable}=1\n")
    with pytest.raises(ConfigError) as caught:
        Config.load(environ=environ)
    where = f"the variable {variable}" if where == "environment" else ".env:2"
    assert str(caught.value).startswith(f"{name} is no setting ({where}).{f' Did you mean {meant}?' if meant else ''}")


def test_a_wrong_argument_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.prot is no setting \(an argument\)\. Did you mean server\.port"):
        Config.load(environ={}, server={"prot": 1})


def test_variables_of_others_are_left_alone(folder: Path) -> None:
    environ = {"ANTIPHON_TEST_REQUIRE": "node", "ANTIPHON_SKIP_UI": "1", "PATH": "x", "SERVER__PORT": "x"}
    assert Config.load(environ=environ).environ == environ


def test_a_list_or_section_in_one_variable_is_json(folder: Path) -> None:
    origins = '["https://a.example", "//b.example"]'
    config = Config.load(environ={"ANTIPHON_REALTIME__SECURITY__ORIGINS": origins, "ANTIPHON_SERVER": '{"port": 7}'})
    assert config.realtime.security.origins == ("https://a.example", "//b.example")
    assert config.server.port == 7


def test_a_section_that_is_no_json_is_one_sentence(folder: Path) -> None:
    with pytest.raises(ConfigError, match="server"):
        Config.load(environ={"ANTIPHON_SERVER": "{port"})


def test_secrets_are_in_no_text(folder: Path) -> None:
    secret = "sk-0123456789abcdef"
    config = Config.load(environ={"ANTIPHON_PROVIDERS__OPENAI__API_KEY": secret})
    section = config.providers.named("openai")
    assert section is not None
    assert section.api_key is not None
    assert section.api_key.get_secret_value() == secret
    assert secret not in repr(config) + str(config) + config.model_dump_json()
    with pytest.raises(ConfigError) as caught:
        Config.load(environ={"ANTIPHON_PROVIDERS__OPENAI__API_KEY": f"{secret}\n\x00"})
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_vendors_variables_reach_the_providers(folder: Path) -> None:
    (folder / ".env").write_text("OPENAI_API_KEY=from-file\n")
    assert Config.load(environ={}).environ["OPENAI_API_KEY"] == "from-file"
    assert Config.load(environ={"OPENAI_API_KEY": "mine"}).environ["OPENAI_API_KEY"] == "mine"


@pytest.mark.parametrize(
    ("environment", "chosen", "shown"),
    [
        ("development", "auto", "auto"),
        ("testing", "auto", "auto"),
        ("staging", "auto", "json"),
        ("production", "auto", "json"),
        ("production", "console", "console"),
    ],
)
def test_logs_in_production_are_json(folder: Path, environment: str, chosen: str, shown: str) -> None:
    environ = {"ANTIPHON_ENVIRONMENT": environment, "ANTIPHON_LOG_FORMAT": chosen}
    assert Config.load(environ=environ).logs_as == shown


def test_a_config_in_code_reads_nothing_around_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_SERVER__PORT", "1")
    (folder / ".env").write_text("ANTIPHON_SERVER__PORT=2\n")
    assert Config().server.port == 4000


# --- environments -------------------------------------------------------------------------------------------------


def test_production_depends_on_nothing_that_happens_to_listen(folder: Path) -> None:
    assert Config(environment="production", debug=False, log_level="INFO").detect_local_models is False
    assert Config.load(environ={"ANTIPHON_ENVIRONMENT": "production"}).detect_local_models is False
    assert Config.load(environ={}).detect_local_models is True


def test_a_test_leaves_nothing_behind(folder: Path) -> None:
    config = Config.load(environ={}, environment="testing", database={"queue": 5})
    assert (config.database.url, config.database.queue) == ("sqlite:///:memory:", 5)
    assert Config(environment="testing", database=DatabaseSettings()).database.url == DatabaseSettings().url


def test_what_is_set_wins_over_the_environments_defaults(folder: Path) -> None:
    environ = {"ANTIPHON_ENVIRONMENT": "production", "ANTIPHON_DETECT_LOCAL_MODELS": "true"}
    config = Config.load(environ=environ)
    assert config.detect_local_models
    assert config.source("detect_local_models") == "the variable ANTIPHON_DETECT_LOCAL_MODELS"


# --- where a value came from --------------------------------------------------------------------------------------


def test_each_value_tells_its_source(folder: Path) -> None:
    (folder / "antiphon.yaml").write_text("# mine\nserver:\n  port: 1\n  host: '::1'\n")
    (folder / ".env").write_text("\nANTIPHON_DEBUG=true\n")
    environ = {"ANTIPHON_REALTIME": '{"transport": {"max_channels": 7}}', "ANTIPHON_ENVIRONMENT": "staging"}
    config = Config.load(environ=environ, log_level="ERROR")
    assert config.source("server.port") == "antiphon.yaml:3"
    assert config.source("debug") == ".env:2"
    assert config.source("realtime.transport.max_channels") == "the variable ANTIPHON_REALTIME"
    assert config.source("log_level") == "an argument"
    assert config.source("database.url") == "default"
    assert config.source("detect_local_models") == "default in staging"
    assert config.source("server") == "antiphon.yaml:3, antiphon.yaml:4"
    with pytest.raises(ConfigError, match=r"server\.prot is no setting\. Did you mean server\.port\?"):
        config.source("server.prot")


def test_all_values_are_told_and_secrets_are_not(folder: Path) -> None:
    environ = {"ANTIPHON_PROVIDERS__OFFICE": '{"base_url": "https://m.example", "api_key": "sk-geheim-geheim"}'}
    told = {name: (value, source) for name, value, source in Config.load(environ=environ).values()}
    assert told["server.port"] == (4000, "default")
    assert told["providers.office.base_url"] == ("https://m.example", "the variable ANTIPHON_PROVIDERS__OFFICE")
    assert "geheim" not in str(told)


def test_a_configuration_made_in_code_cannot_be_read_again() -> None:
    config = Config(log_level="ERROR")
    assert config.source("log_level") == "default"
    with pytest.raises(ConfigError, match="made in code"):
        config.reload()


# --- sections of installed packages -------------------------------------------------------------------------------


class Weather(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    city: str = "Lisbon"
    days: int = 3


def test_a_section_of_a_package_is_imported_when_its_name_occurs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        SECTIONS: [
            EntryPoint("weather", f"{__name__}:Weather", SECTIONS),
            EntryPoint("broken", "no_such_package:Settings", SECTIONS),
        ]
    }
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__, ModuleType(__name__)))
    monkeypatch.setattr(sys.modules[__name__], "Weather", Weather, raising=False)
    monkeypatch.setattr("antiphon.settings.config.entry_points", lambda group: points.get(group, []))
    assert Config.load(environ={}).section("weather") is None
    config = Config.load(environ={"ANTIPHON_WEATHER__DAYS": "5"})
    assert config.section("weather") == Weather(days=5)
    assert config.source("weather.days") == "the variable ANTIPHON_WEATHER__DAYS"
    with pytest.raises(ConfigError, match=r"weather\.dayz is no setting .*Did you mean weather\.days"):
        Config.load(environ={"ANTIPHON_WEATHER__DAYZ": "5"})
    with pytest.raises(ConfigError, match="The section no_such_package:Settings cannot be loaded"):
        Config.load(environ={}, broken={})


def test_what_the_variables_of_vendors_set_is_told_with_its_place(folder: Path) -> None:
    (folder / ".env").write_text("OPENAI_API_KEY=geheim\nGITHUB_TOKEN=geheim\nOPENROUTER_API_KEY=\n")
    (folder / "antiphon.yaml").write_text("providers: {openai: {connections: 3}}\n")
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "PATH": "/bin"}

    def told() -> list[tuple[str, object, str]]:
        found = Config.load(environ=environ).values()
        return [each for each in found if each[0].startswith("providers.") and not each[2].startswith("default")]

    assert told() == [
        ("providers.openai.connections", 3, "antiphon.yaml:1"),
        ("providers.openai.api_key", "**********", ".env:1 (OPENAI_API_KEY)"),
        ("providers.openai.base_url", "http://127.0.0.1:9/v1", "the variable OPENAI_BASE_URL"),
    ]
    (folder / "antiphon.yaml").write_text("default_model: demo\nproviders: {openai: {api_key: x}, github: {}}\n")
    environ["OPENAI_BASE_URL"] = "no address"
    assert told()[0] == ("providers.openai.api_key", "**********", "antiphon.yaml:2")
    assert told()[-1] == ("providers.github.api_key", "**********", ".env:2 (GITHUB_TOKEN)")
    assert sum(name.endswith("api_key") for name, *_ in told()) == 2
    assert all(value != "no address" for _, value, _ in told())

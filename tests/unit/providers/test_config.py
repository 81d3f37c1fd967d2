from pathlib import Path

import pytest
from pydantic import ValidationError

from antiphon.providers.config import ProviderSettings, ProvidersSettings, Timeouts, with_environment
from antiphon.settings.config import Config


def test_a_name_that_is_not_built_in_is_a_section_too() -> None:
    settings = ProvidersSettings.model_validate(
        {"openai": {"api_key": "k"}, "mygateway": {"base_url": "https://gate.example/v1/"}, "demo": {"rate": 5}}
    )
    assert settings.names() == ("openai", "mygateway")
    gateway = settings.named("mygateway")
    assert gateway is not None
    assert gateway.base_url == "https://gate.example/v1"
    assert settings.demo.rate == 5
    assert settings.named("ollama") is None


def test_it_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    variables = {
        "ANTIPHON_PROVIDERS__MYGATEWAY__BASE_URL": "http://127.0.0.1:9/v1",
        "ANTIPHON_PROVIDERS__OPENAI__API_KEY": "k",
        "ANTIPHON_PROVIDERS__OPENAI__TIMEOUTS__CONNECT": "3",
        "ANTIPHON_PROVIDERS__OPENAI__BODY": '{"service_tier": "flex"}',
    }
    providers = Config.load(environ=variables).providers
    openai = providers.named("openai")
    assert openai is not None
    assert openai.timeouts == Timeouts(connect=3)
    assert openai.body == {"service_tier": "flex"}
    assert set(providers.names()) == {"openai", "mygateway"}


@pytest.mark.parametrize(
    "section",
    [
        {"api_kee": "x"},
        {"base_url": "gate.example/v1"},
        {"base_url": "ftp://gate.example"},
        {"base_url": "http://"},
        {"base_url": "http://user:pass@gate.example"},
        {"base_url": "http://gate.example/v1?key=x"},
        {"api_key": "a\r\nX-Evil: 1"},
        {"api_key": "schlüssel"},
        {"headers": {"X-A": "b\nc"}},
        {"headers": {"X: A": "b"}},
        {"timeouts": {"between": 0}},
        {"connections": 0},
        {"api": "completions"},
        {"api_version": "2024-10-21&x=1"},
    ],
)
def test_what_is_wrong_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProvidersSettings.model_validate({"openai": section})


def test_a_key_is_not_printed() -> None:
    section = ProviderSettings.model_validate({"api_key": "k3y", "headers": {"X-Key": "h3ader"}})
    assert "k3y" not in repr(section)
    assert "h3ader" not in repr(section)
    assert "k3y" not in section.model_dump_json()


def test_a_key_from_a_file_ends_with_a_line() -> None:
    section = ProviderSettings.model_validate({"api_key": "k3y\n"})
    assert section.api_key is not None
    assert section.api_key.get_secret_value() == "k3y"


def key(name: str, section: ProviderSettings | None, **environ: str) -> str | None:
    found = with_environment(name, section, environ).api_key
    return found.get_secret_value() if found else None


def test_the_usual_variables_fill_what_is_not_set() -> None:
    assert key("openai", None, OPENAI_API_KEY="env") == "env"
    assert key("openai", ProviderSettings.model_validate({"api_key": "own"}), OPENAI_API_KEY="env") == "own"
    assert key("openai", None, OPENAI_API_KEY="  ") is None
    assert key("openrouter", None, OPENROUTER_API_KEY="env") == "env"
    assert key("anthropic", None, ANTHROPIC_API_KEY="env") == "env"
    assert key("google", None, GOOGLE_API_KEY="second") == "second"
    assert key("google", None, GOOGLE_API_KEY="second", GEMINI_API_KEY="first") == "first"
    assert key("google", None, GOOGLE_API_KEY="second", GEMINI_API_KEY=" ") == "second"
    assert key("mygateway", None, OPENAI_API_KEY="env") is None
    assert key("azure", None, AZURE_OPENAI_API_KEY="env") == "env"
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    assert with_environment("openai", None, environ).base_url == "http://127.0.0.1:1/v1"


def test_a_github_token_goes_nowhere_unasked() -> None:
    assert key("github", None, GITHUB_TOKEN="env") is None
    assert key("github", ProviderSettings(), GITHUB_TOKEN="env") == "env"

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from antiphon.errors import ConfigError, ModuleError, ValidationError
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProviderSettings, ProvidersSettings
from antiphon.providers.http import HttpProvider
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.registry import ProviderRegistry


def registry(settings: dict[str, Any] | None = None, *points: EntryPoint, **environ: str) -> ProviderRegistry:
    return ProviderRegistry(ProvidersSettings.model_validate(settings or {}), environ=environ, plugged=points)


def inner(providers: ProviderRegistry, name: str) -> Any:
    provider: Any = providers.get(name)
    while hasattr(provider, "_provider"):  # what it wraps is nobody else's business
        provider = provider._provider
    return provider


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("openai", "https://api.openai.com/v1"),
        ("openrouter", "https://openrouter.ai/api/v1"),
        ("github", "https://models.github.ai/inference"),
        ("groq", "https://api.groq.com/openai/v1"),
        ("mistral", "https://api.mistral.ai/v1"),
        ("deepseek", "https://api.deepseek.com/v1"),
        ("xai", "https://api.x.ai/v1"),
        ("together", "https://api.together.ai/v1"),
        ("fireworks", "https://api.fireworks.ai/inference/v1"),
        ("llamacpp", "http://127.0.0.1:8080/v1"),
        ("lmstudio", "http://127.0.0.1:1234/v1"),
        ("vllm", "http://127.0.0.1:8000/v1"),
    ],
)
def test_vendors_that_are_built_in(name: str, url: str) -> None:
    provider = inner(registry(), name)
    assert isinstance(provider, HttpProvider)
    assert (provider.name, provider.base_url) == (name, url)
    moved = inner(registry({name: {"base_url": "http://127.0.0.1:9/v1"}}), name)
    assert moved.base_url == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("given", ["", "/", "/v1", "/v1/", "/api"])
def test_ollama_is_found_wherever_its_address_ends(given: str) -> None:
    assert inner(registry(), "ollama").base_url == "http://127.0.0.1:11434"
    moved = inner(registry({"ollama": {"base_url": f"http://127.0.0.1:9{given}"}}), "ollama")
    assert moved.base_url == "http://127.0.0.1:9"


def test_azure_needs_the_address_of_a_resource() -> None:
    with pytest.raises(ConfigError, match=r"providers\.azure has no base_url"):
        registry(AZURE_OPENAI_API_KEY="k").get("azure")
    named = inner(registry(AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com/"), "azure")
    assert named.base_url == "https://mine.openai.azure.com/openai/v1"


def test_any_other_name_is_an_address() -> None:
    providers = registry({"mygateway": {"base_url": "https://gate.example/v1"}})
    provider, model = providers.resolve("mygateway:qwen3:8b")
    assert (provider.name, model) == ("mygateway", "qwen3:8b")
    assert isinstance(inner(providers, "mygateway"), CompatibleProvider)
    assert "mygateway" in providers.names()


def test_the_demo_model_needs_no_name_of_a_model() -> None:
    pytest.importorskip("antiphon.providers.demo.provider", reason="the demo model is not there yet")
    providers = registry({"demo": {"rate": 7}})
    for wish in ("demo", "demo:demo", " demo "):
        provider, model = providers.resolve(wish)
        assert (provider.name, model) == ("demo", "demo")


def test_a_vendor_is_made_once() -> None:
    providers = registry()
    assert providers.get("openai") is providers.resolve("openai:gpt-5")[0]


@pytest.mark.parametrize(
    ("wish", "hint"),
    [("opnai:gpt-5", "Did you mean openai?"), ("Ollama:x", "Did you mean ollama?"), ("zzz:x", "Known are")],
)
def test_an_unknown_name_is_refused_with_the_nearest(wish: str, hint: str) -> None:
    with pytest.raises(ModuleError, match="There is no provider") as caught:
        registry().resolve(wish)
    assert hint in caught.value.public


@pytest.mark.parametrize("wish", ["", "gpt-5", "openai:", ":gpt-5"])
def test_half_a_name_is_refused(wish: str) -> None:
    with pytest.raises(ValidationError, match="provider:model"):
        registry().resolve(wish)


def test_a_section_for_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"providers\.opnai has no base_url.*Did you mean openai\?"):
        registry({"opnai": {"api_key": "k"}})


def test_a_wrong_address_in_the_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match="wrong address for openai: it must be an address such as"):
        registry(OPENAI_BASE_URL="nonsense").get("openai")


def test_a_wrong_key_in_the_environment_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="wrong key for openai: it must be printable") as caught:
        registry(OPENAI_API_KEY="sk-secret\nline").get("openai")
    assert "sk-secret" not in str(caught.value)


def test_a_vendor_that_also_listens_and_paints_still_talks() -> None:
    providers = registry()
    mine = CompatibleProvider("mine", ProviderSettings(base_url="http://127.0.0.1:9/v1", body={"user": "us"}))
    providers.add("mine", mine)
    assert providers.transcriber("mine").name == "mine-audio"
    assert providers.painter("mine", {}).name == "mine-images"
    assert providers.get("mine").name == "mine"
    assert isinstance(mine.codec, OpenAIChat)


def test_others_can_add_vendors() -> None:
    point = EntryPoint("acme", "antiphon.providers.openai:OpenAIProvider", "antiphon.providers")
    providers = registry({"acme": {"api_key": "k"}}, point)
    assert inner(providers, "acme").name == "acme"


def test_others_cannot_replace_ours() -> None:
    point = EntryPoint("ollama", "antiphon.providers.openai:OpenAIProvider", "antiphon.providers")
    assert inner(registry(None, point), "ollama").base_url == "http://127.0.0.1:11434"


def test_an_addition_that_cannot_be_loaded_says_so() -> None:
    point = EntryPoint("acme", "no_such_package:Acme", "antiphon.providers")
    with pytest.raises(ModuleError, match="acme cannot be loaded"):
        registry(None, point).get("acme")


async def test_stopping_stops_what_was_made() -> None:
    providers = registry()
    made = inner(providers, "openai")
    await providers.stop()
    assert made._stopped


async def test_a_vendor_that_cannot_stop_does_not_keep_the_others_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise OSError

    providers = registry()
    first, second = inner(providers, "openai"), inner(providers, "ollama")
    monkeypatch.setattr(first, "stop", fail)
    with pytest.raises(OSError):
        await providers.stop()
    assert second._stopped


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, antiphon.providers.registry as r; p = r.ProviderRegistry(environ={});"
        "assert 'aiohttp' not in sys.modules; p.get('ollama');"
        "assert 'antiphon.providers.ollama' in sys.modules; assert 'antiphon.providers.github' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

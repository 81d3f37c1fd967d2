import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from antiphon.providers.config import ProvidersSettings
from antiphon.providers.detect import Detected, detect
from antiphon.providers.registry import ProviderRegistry

LOCAL = ("ollama", "llamacpp", "lmstudio", "vllm")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[dict[str, Handler]], Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server with a handler for each path and gives its port."""
    runners: list[web.AppRunner] = []

    async def start(routes: dict[str, Handler]) -> int:
        app = web.Application()
        for path, handler in routes.items():
            app.router.add_route("*", path, handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    yield start
    for runner in runners:
        await runner.cleanup()


def gives(value: Any) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=value if isinstance(value, bytes) else json.dumps(value).encode())

    return handler


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


def at(closed: int, environ: dict[str, str] | None = None, /, **ports: int) -> ProviderRegistry:
    """A registry whose local servers are at `ports`, the others at a closed port."""
    sections = {name: {"base_url": f"http://127.0.0.1:{ports.get(name, closed)}/v1"} for name in LOCAL}
    return ProviderRegistry(ProvidersSettings.model_validate(sections), environ=environ or {}, plugged=())


TAGS = {
    "models": [
        {"name": "small:1b", "size": 1_000},
        {"name": "nomic-embed-text:latest", "size": 9_000},
        {"name": "big:70b", "size": 7_000},
        {"name": "middle:8b", "size": 5_000},
        {"name": "huge:480b-cloud", "size": 10_000},
        {"name": "far:90b", "size": 9_500, "remote_host": "https://elsewhere.example"},
        {"name": "evil\n\x1b[31mred", "size": 99_000},
    ]
}


async def test_what_is_configured_wins(free_port: int) -> None:
    found = await detect(at(free_port, {"OPENAI_API_KEY": "k"}), "acme:m")
    assert found == Detected("acme:m", "It is set as default_model.")


@pytest.mark.parametrize(
    ("environ", "provider"),
    [
        ({"OPENAI_API_KEY": "k", "OPENROUTER_API_KEY": "k"}, "openai"),
        ({"ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k"}, "anthropic"),
        ({"GEMINI_API_KEY": "k", "OPENROUTER_API_KEY": "k"}, "google"),
        ({"GOOGLE_API_KEY": "k"}, "google"),
        ({"OPENROUTER_API_KEY": "k"}, "openrouter"),
        ({"MISTRAL_API_KEY": "k"}, "mistral"),
        ({"XAI_API_KEY": "k"}, "xai"),
        ({"DEEPSEEK_API_KEY": "k"}, "deepseek"),
        ({"GROQ_API_KEY": "k"}, "groq"),
        ({"TOGETHER_API_KEY": "k"}, "together"),
        ({"FIREWORKS_API_KEY": "k"}, "fireworks"),
        ({"GITHUB_TOKEN": "k"}, "demo"),
        ({}, "demo"),
    ],
)
async def test_a_key_in_the_environment(environ: dict[str, str], provider: str, free_port: int) -> None:
    found = await detect(at(free_port, environ))
    assert found.model.partition(":")[0] == provider
    assert found.how.endswith(".")
    if provider != "demo":
        assert next(iter(environ)) in found.how


async def test_a_key_goes_before_a_local_server(serve: Serve, free_port: int) -> None:
    port = await serve({"/api/tags": gives(TAGS)})
    assert (await detect(at(free_port, {"OPENAI_API_KEY": "k"}, ollama=port))).model.startswith("openai:")


PATIENT = 5.0
"""Seconds for servers that do answer: a loaded machine takes its time, and nothing waits them out."""


async def test_the_largest_model_of_ollama_that_can_call_tools(serve: Serve, free_port: int) -> None:
    async def show(request: web.Request) -> web.StreamResponse:
        name = (await request.json())["model"]
        able = {"big:70b": ["completion"], "middle:8b": ["completion", "tools"], "small:1b": ["completion", "tools"]}
        return web.json_response({"capabilities": able[name]})

    port = await serve({"/api/tags": gives(TAGS), "/api/show": show})
    registry = at(free_port, ollama=port)
    assert await detect(registry, within=PATIENT) == Detected("ollama:middle:8b", "Ollama runs on this machine.")
    assert registry.resolve("ollama:middle:8b")[1] == "middle:8b"


@pytest.mark.parametrize("show", [hangs, gives(b"junk"), gives([]), gives({"capabilities": "all"})])
async def test_an_ollama_that_does_not_say_what_its_models_can(show: Handler, serve: Serve, free_port: int) -> None:
    port = await serve({"/api/tags": gives(TAGS), "/api/show": show})
    assert (await detect(at(free_port, ollama=port), within=1)).model == "ollama:big:70b"


@pytest.mark.parametrize("name", ["llamacpp", "lmstudio", "vllm"])
async def test_other_servers_on_this_machine(name: str, serve: Serve, free_port: int) -> None:
    listing = {"data": [{"id": "qwen2.5-7b-instruct"}, {"id": "org/llama-3.3-70b"}, {"id": "text-embedding-nomic"}]}
    port = await serve({"/v1/models": gives(listing)})
    assert (await detect(at(free_port, **{name: port}), within=PATIENT)).model == f"{name}:org/llama-3.3-70b"


async def test_ollama_goes_before_the_others(serve: Serve, free_port: int) -> None:
    first = await serve({"/api/tags": gives(TAGS)})
    second = await serve({"/v1/models": gives({"data": [{"id": "x-999b", "meta": {"n_params": 9e11}}]})})
    assert (await detect(at(free_port, ollama=first, vllm=second), within=PATIENT)).model == "ollama:big:70b"
    assert (await detect(at(free_port, vllm=second), within=PATIENT)).model == "vllm:x-999b"


@pytest.mark.parametrize(
    "answer",
    [
        hangs,
        gives(b""),
        gives(b"<html>"),
        gives(b"[" * 200_000),
        gives([]),
        gives({"models": None, "data": "x"}),
        gives({"models": [1, None], "data": [[]]}),
        gives({"models": [{"name": None}], "data": [{"id": {}}]}),
        gives({"models": [], "data": []}),
        gives(b" " * 3_000_000),
    ],
)
async def test_a_hostile_server_neither_delays_nor_breaks_the_start(
    answer: Handler, serve: Serve, free_port: int
) -> None:
    port = await serve({"/api/tags": answer, "/v1/models": answer})
    begun = time.monotonic()
    assert (await detect(at(free_port, ollama=port, llamacpp=port, lmstudio=port, vllm=port))).model == "demo"
    assert time.monotonic() - begun < 2


async def test_a_hanging_server_does_not_hide_another(serve: Serve, free_port: int) -> None:
    bad, good = await serve({"/api/tags": hangs}), await serve({"/v1/models": gives({"data": [{"id": "m"}]})})
    assert (await detect(at(free_port, ollama=bad, vllm=good), within=1)).model == "vllm:m"


async def test_it_follows_nobody_elsewhere(serve: Serve, free_port: int) -> None:
    good = await serve({"/api/tags": gives(TAGS)})

    async def redirect(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"http://127.0.0.1:{good}/api/tags")

    port = await serve({"/api/tags": redirect})
    assert (await detect(at(free_port, ollama=port), within=PATIENT)).model == "demo"


async def test_probing_can_be_switched_off(serve: Serve, free_port: int) -> None:
    asked = []

    async def count(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response(TAGS)

    port = await serve({"/api/tags": count})
    assert (await detect(at(free_port, ollama=port), probe=False)).model == "demo"
    assert asked == []


async def test_only_this_machine_is_probed(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    asked = []

    async def ask(_session: object, server: Any, root: str, _best: object) -> None:
        asked.append((server.provider, root))

    monkeypatch.setattr("antiphon.providers.detect._ask", ask)
    sections = {name: {"base_url": "http://192.0.2.1:9/v1"} for name in LOCAL[1:]}
    sections["ollama"] = {"base_url": f"http://127.0.0.1:{free_port}/v1"}
    registry = ProviderRegistry(ProvidersSettings.model_validate(sections), environ={}, plugged=())
    assert (await detect(registry)).model == "demo"
    assert asked == [("ollama", f"http://127.0.0.1:{free_port}")]

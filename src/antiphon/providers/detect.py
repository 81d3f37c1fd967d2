"""Which model answers when nobody said: a vendor whose key is here, a server on this machine, or the demo model."""

import asyncio
import re
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from antiphon.providers.base import DEMO
from antiphon.providers.config import key_variables
from antiphon.providers.http import is_loopback, read_up_to
from antiphon.providers.registry import ProviderRegistry
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)


class Detected(Struct, frozen=True):
    """`model` is `provider:model`; `how` is one sentence that says why it was chosen."""

    model: str
    how: str


class _LocalServer(Struct, frozen=True):
    """A model server that people run beside us. Below `root`, `path` lists its models under `field`."""

    provider: str
    title: str
    root: str
    path: str = "/v1/models"
    field: str = "data"


_LOCAL_SERVERS = (
    _LocalServer("ollama", "Ollama", "http://127.0.0.1:11434", "/api/tags", "models"),
    _LocalServer("llamacpp", "llama.cpp", "http://127.0.0.1:8080"),
    _LocalServer("lmstudio", "LM Studio", "http://127.0.0.1:1234"),
    _LocalServer("vllm", "vLLM", "http://127.0.0.1:8000"),
)
_KEYED = (
    ("openai", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-5-5"),
    ("google", "gemini-3.8-flash"),
    ("openrouter", "openrouter/auto"),
    ("mistral", "mistral-medium-latest"),
    ("xai", "grok-4.3"),
    ("deepseek", "deepseek-v4-flash"),
    ("groq", "openai/gpt-oss-120b"),
    ("together", "openai/gpt-oss-120b"),
    ("fireworks", "accounts/fireworks/models/gpt-oss-120b"),
)
"""Vendors whose key decides, with the model to begin with. GitHub Models was shut down and is never chosen."""

_LONGEST_LIST = 1 << 20
_MOST_SHOWN = 8
_NAME = re.compile(r"[\w.:/@+-]{1,160}")  # it is printed, and typed by people
_NO_CHAT = re.compile(r"embed|bge-|rerank|whisper|tts|minilm", re.IGNORECASE)
_BILLIONS = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)


class _Candidate(Struct, frozen=True, order=True):
    """A model of a local server; the greatest is taken."""

    tools: bool
    size: float
    name: str


async def detect(
    registry: ProviderRegistry, configured: str | None = None, *, probe: bool = True, within: float = 0.2
) -> Detected:
    """The model to begin with. Looking for local servers takes `within` seconds at most and never fails.

    A server is looked for at the `base_url` of its provider, when that is on this machine.
    """
    if configured:
        return Detected(configured, "It is set as default_model.")
    for name, model in _KEYED:
        if registry.section(name).api_key is not None:
            return Detected(
                f"{name}:{model}", f"{', '.join(key_variables(name))} or the key of providers.{name} is set."
            )
    if probe and (found := await _probe(registry, within)):
        return found
    return Detected(DEMO, "Rules and search, no AI. Set OPENAI_API_KEY or start Ollama for a real model.")


async def _probe(registry: ProviderRegistry, within: float) -> Detected | None:
    """The best model of the first server, in their order, that answers in time with one that can chat."""
    best: dict[str, _Candidate] = {}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session:
        tasks = [
            asyncio.create_task(_ask(session, server, root, best))
            for server in _LOCAL_SERVERS
            if is_loopback(root := _root(registry, server))
        ]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=within)
        finally:
            for task in tasks:
                task.cancel()
            # Whatever else runs on these ports may answer with anything: no fault of it is ours.
            faults = await asyncio.gather(*tasks, return_exceptions=True)
    log.debug("provider.probe", found=sorted(best), faults=[type(fault).__name__ for fault in faults if fault])
    for server in _LOCAL_SERVERS:
        if server.provider in best:
            return Detected(f"{server.provider}:{best[server.provider].name}", f"{server.title} runs on this machine.")
    return None


def _root(registry: ProviderRegistry, server: _LocalServer) -> str:
    configured = registry.section(server.provider).base_url
    return configured.removesuffix("/v1") if configured else server.root


async def _ask(session: aiohttp.ClientSession, server: _LocalServer, root: str, best: dict[str, _Candidate]) -> None:
    """Notes the best model of a server, and for Ollama again once it has said which of them can call tools."""
    async with session.get(root + server.path, allow_redirects=False) as response:
        listing = msgspec.json.decode(await read_up_to(response, _LONGEST_LIST)) if response.status == 200 else {}
    candidates = sorted(_candidates(listing[server.field]), reverse=True)
    if not candidates:
        return
    best[server.provider] = candidates[0]
    if server.provider == "ollama":
        able = await asyncio.gather(*[_shown(session, root, candidate) for candidate in candidates[:_MOST_SHOWN]])
        if chatting := [candidate for candidate in able if candidate is not None]:
            best[server.provider] = max(chatting)


def _candidates(entries: list[Any]) -> list[_Candidate]:
    found = []
    for entry in entries:
        name = entry.get("id") or entry.get("name")
        # A model that the server only passes on would send what is said to another machine.
        elsewhere = entry.get("remote_host") or str(name).endswith("cloud")
        if isinstance(name, str) and _NAME.fullmatch(name) and not _NO_CHAT.search(name) and not elsewhere:
            found.append(_Candidate(tools=True, size=_size(entry, name), name=name))
    return found


def _size(entry: dict[str, Any], name: str) -> float:
    """Bytes, parameters or what the name says of them: comparable among the models of one server."""
    meta = entry.get("meta")
    for size in (entry.get("size"), meta.get("n_params") if isinstance(meta, dict) else None):
        if isinstance(size, int | float):
            return float(size)
    billions = _BILLIONS.search(name)
    return float(billions.group(1)) * 1e9 if billions else 0.0


async def _shown(session: aiohttp.ClientSession, root: str, candidate: _Candidate) -> _Candidate | None:
    """The candidate with what Ollama says of it; None when it cannot chat."""
    body = msgspec.json.encode({"model": candidate.name})
    async with session.post(f"{root}/api/show", data=body, allow_redirects=False) as response:
        shown = msgspec.json.decode(await read_up_to(response, _LONGEST_LIST))
    able = shown.get("capabilities")
    if not isinstance(able, list):
        return candidate
    return _Candidate("tools" in able, candidate.size, candidate.name) if "completion" in able else None

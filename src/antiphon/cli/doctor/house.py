"""What the house talks to: its database, Redis, the vendors of models, its port, and itself when it runs."""

import os
import shutil
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from antiphon.assistants.approvals import unknown_demands
from antiphon.assistants.directory import Directory
from antiphon.assistants.factory import configured
from antiphon.assistants.tools import OF_ASSISTANTS
from antiphon.cli.doctor.finding import Check, Finding, size
from antiphon.errors import AntiphonError, ProviderError, ServiceError
from antiphon.plugins.discovery import load_plugins
from antiphon.providers.base import DEMO
from antiphon.providers.detect import detect
from antiphon.providers.http import is_loopback, read_up_to
from antiphon.providers.limit_headers import http_date
from antiphon.providers.registry import ProviderRegistry
from antiphon.runtime.threads import run_async
from antiphon.settings.config import Config
from antiphon.storage.claim import Holder
from antiphon.storage.migrations.current import revisions, version
from antiphon.storage.open import is_server, open_claim
from antiphon.storage.sqlite.connection import path_of
from antiphon.storage.sqlite.faults import translated
from antiphon.tools.base import tool_registry
from antiphon.tools.mcp.config import McpSettings
from antiphon.tools.mcp.connection import tool_name
from antiphon.tools.mcp.servers import McpServers

LARGE_LOG = 256_000_000
SKEW_SECONDS = 5.0
_ASKS_NOBODY = "Nobody is asked before it acts. Correct the name, unless it is a tool of your own program."
MCP_SECONDS = 5.0  # ending a server takes time too, within the patience with each check


def checks(config: Config) -> Iterator[tuple[str, Check]]:
    """A check for each thing that this configuration needs."""
    yield "Database", partial(database, config)
    if config.redis.url is not None or config.cache.url is not None:
        yield "Cache", partial(cache, config)
    yield "Model", partial(model, config)
    registry = ProviderRegistry(config.providers, environ=config.environ)
    for name in registry.names():
        if name != DEMO and (config.providers.named(name) is not None or registry.section(name).api_key is not None):
            yield f"Provider {name}", partial(provider, config, name)
    for name in config.mcp.servers:
        yield f"MCP {name}", partial(mcp, config, name)
    if config.tools.approval:
        yield "Approval", partial(approval, config)
    if config.plugins.enabled:
        yield "Plugins", partial(plugins, config)
    yield "Port", partial(port, config)


# --- what is kept -------------------------------------------------------------------------------------------------


async def database(config: Config) -> Iterable[Finding]:
    if is_server(config.database):
        return await _postgres(config)
    path = path_of(config.database.url)
    if path is None:
        return [Finding("warn", "Database", "in memory: nothing outlives the process", "Name a file in database.url.")]
    try:
        return await run_async(lambda: [*_sqlite(path, config)])
    except sqlite3.Error as error:
        raise translated(error, str(path)) from error


def _sqlite(path: Path, config: Config) -> Iterator[Finding]:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    low = free < config.monitoring.disk_free_bytes
    yield Finding(
        "fail" if low else "ok", "Disk", f"{size(free)} free for the data", "Make room on this disk." if low else ""
    )
    if not path.exists():
        writable = os.access(folder, os.W_OK | os.X_OK)
        advice = "" if writable else f"Let this user write to {folder}, or name another place in database.url."
        yield Finding("ok" if writable else "fail", "Database", f"{path} will be made by the first start", advice)
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=1)) as connection:
        yield _schema(version(connection, str(path)), f"{path}, {size(path.stat().st_size)}")
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            advice = "" if busy else f"Let this user write to {path} and its folder."
            yield Finding("warn" if busy else "fail", "Writing", f"not possible now: {error}", advice)
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size > LARGE_LOG:
        yield Finding("warn", "Database log", size(log.stat().st_size), "Restart the server: it is written back then.")


async def _postgres(config: Config) -> Iterable[Finding]:
    module = import_module("antiphon.storage.postgres.connection")
    place = config.database.place
    link = await module.connect(config.database, name="antiphon doctor", patient=False)
    try:
        revision = await import_module("antiphon.storage.migrations.postgres").version(link, place)
        server = await link.fetchval("SHOW server_version")
        held = await link.fetchval("SELECT pg_database_size(current_database())")
        clock = await link.fetchval("SELECT clock_timestamp()")
        meaning = [await _vectors(link)] if config.memory.embedder.kind != "none" else []
    finally:
        await module.close(link)
    return [_schema(revision, f"{place}, PostgreSQL {server}, {size(held)}"), *meaning, *_skew("PostgreSQL", clock)]


async def _vectors(link: Any) -> Finding:
    module = import_module("antiphon.storage.postgres.vectors")
    if await module.compares(link):
        return Finding("ok", "Vectors", "compared by the database, with pgvector")
    if await link.fetchval(module.AVAILABLE):
        found = "compared in memory, though the server has pgvector"
        advice = "The next start creates it; if that is not permitted, run CREATE EXTENSION vector as an administrator."
        return Finding("warn", "Vectors", found, advice)
    return Finding("ok", "Vectors", "compared in memory: the server has no pgvector")


def _schema(revision: str | None, found: str) -> Finding:
    newest = revisions()[-1]
    if revision is None:
        return Finding("ok", "Database", f"{found}, empty; the first start makes its tables")
    if revision != newest:
        return Finding("warn", "Database", f"{found}, schema {revision} of {newest}", "Run antiphon migrate.")
    return Finding("ok", "Database", f"{found}, schema {revision}")


async def cache(config: Config) -> Iterable[Finding]:
    opened = import_module("antiphon.cache.cache").open_cache(
        config.cache, config.redis, config.performance, config.services
    )
    try:
        return [Finding("ok", "Cache", await opened.check())]
    except ServiceError as error:
        key = "redis.url" if config.cache.url is None else "cache.url"
        advice = f"Start Redis there, or correct {key} (address, user, password). Until then nothing is cached."
        return [Finding("fail", "Cache", error.public, advice)]
    finally:
        await opened.stop()


# --- models -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _registry(config: Config) -> AsyncIterator[ProviderRegistry]:
    registry = ProviderRegistry(config.providers, environ=config.environ)
    try:
        yield registry
    finally:
        await registry.stop()


async def model(config: Config) -> Iterable[Finding]:
    async with _registry(config) as registry:
        detected = await detect(registry, config.default_model, probe=config.detect_local_models)
        registry.resolve(detected.model)
    if detected.model == DEMO and config.default_model is None:
        return [Finding("warn", "Model", "demo: rules and search, no AI", "Set OPENAI_API_KEY or start Ollama.")]
    return [Finding("ok", "Model", f"{detected.model}. {detected.how}")]


async def provider(config: Config, name: str) -> Iterable[Finding]:
    what = f"Provider {name}"
    async with _registry(config) as registry:
        began = time.perf_counter()
        try:
            models = [each.id for each in await registry.get(name).models()]
        except ProviderError as error:
            return [Finding("fail", what, error.public)]
        took = f"{(time.perf_counter() - began) * 1000:.0f} ms"
        url = registry.section(name).base_url
    wanted = (config.default_model or "").partition(":")
    findings = [Finding("ok", what, f"answers in {took}, {len(models)} models")]
    if wanted[0] == name and wanted[2] not in models:
        findings = [Finding("warn", what, f"answers in {took}, has no {wanted[2]}", "Check default_model.")]
    return [*findings, *(await _clock(url) if url and not is_loopback(url) else [])]


async def mcp(config: Config, name: str) -> Iterable[Finding]:
    """Begins the server as the house would, and asks for its tools."""
    what = f"MCP {name}"
    servers = McpServers(McpSettings(servers={name: config.mcp.servers[name]}), lambda: None, patience=MCP_SECONDS)
    await servers.start()
    try:
        await servers.check()
        tools = {each.name for each in servers.tools()[name]}
        theirs = [each for each in config.tools.approval if each.startswith(tool_name(name, ""))]
        wrong = [Finding("warn", what, problem, _ASKS_NOBODY) for problem in unknown_demands(theirs, tools)]
        return [Finding("ok", what, f"{len(tools)} tools"), *wrong]
    except ServiceError:
        advice = f"Try its command or url by itself. The house starts without it: see mcp.servers.{name}."
        return [Finding("warn", what, "does not answer", advice)]
    finally:
        await servers.stop()


async def approval(config: Config) -> Iterable[Finding]:
    """The tools that `tools.approval` names are there, as far as they are none of a program or an MCP server."""
    known = {*tool_registry().names(), *(each.name for each in OF_ASSISTANTS)}
    known |= Directory(configured(config.assistants)).tool_names()
    servers = [tool_name(name, "") for name in config.mcp.servers]
    problems = [*unknown_demands(config.tools.approval, known, not_here_yet=servers)]
    if not problems:
        return [Finding("ok", "Approval", f"{len(config.tools.approval)} tools by name")]
    return [Finding("warn", "Approval", problem, _ASKS_NOBODY) for problem in problems]


async def plugins(config: Config) -> Iterable[Finding]:
    """Loads those that are switched on, as the house would; none is started."""
    loaded = await run_async(lambda: [plugin.name for plugin, _ in load_plugins(config.plugins)])
    return [Finding("ok", "Plugins", ", ".join(loaded))]


async def _clock(url: str) -> Iterable[Finding]:
    """A vendor's clock is right: who is far from it has tokens refused and logs that do not fit together."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=True) as session:
        try:
            async with session.head(url, allow_redirects=False) as response:
                date = http_date(response.headers.get("Date", ""))
        except (aiohttp.ClientError, OSError):
            return []
    return [] if date is None else _skew(url, date)


def _skew(whose: str, clock: datetime) -> list[Finding]:
    apart = abs((datetime.now(UTC) - clock).total_seconds())
    if apart <= SKEW_SECONDS:
        return [Finding("ok", "Clock", f"within {SKEW_SECONDS:.0f} s of {whose}")]
    return [Finding("warn", "Clock", f"{apart:.0f} s away from {whose}", "Set the clock of this machine (NTP).")]


# --- the port, and who is behind it -------------------------------------------------------------------------------


async def port(config: Config) -> Iterable[Finding]:
    where = f"{config.server.host}:{config.server.port}"
    try:
        holders = await open_claim(config.database).holders()
    except AntiphonError:
        holders = []  # what is wrong with the database is told where it is looked at
    if holders:
        running = [Finding("ok", "Server", _running(holder)) for holder in holders]
        urls = dict.fromkeys(holder.url for holder in holders if holder.url)
        return [*running, *[finding for url in urls for finding in await _health(url)]]
    try:
        family = socket.AF_INET6 if ":" in config.server.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((config.server.host, config.server.port))
    except OSError as error:
        advice = "Stop the program that has it, or choose another with server.port."
        return [Finding("fail", "Port", f"{where}: {error.strerror}", advice)]
    return [Finding("ok", "Port", f"{where} is free; no server runs on this database")]


def _running(holder: Holder) -> str:
    process = f"as process {holder.pid}" if holder.pid else "in a process that is not known"
    host = f" on {holder.host}" if holder.host else ""
    return f"answers from this database {process}{host}, {holder.url or 'without an address'}"


async def _health(url: str) -> Iterable[Finding]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        try:
            async with session.get(f"{url}/health/deep", allow_redirects=False) as response:
                body = msgspec.json.decode(await read_up_to(response, 1 << 20))
        except (aiohttp.ClientError, OSError, ValueError):
            return [Finding("fail", "Health", f"{url} does not answer", "Look into its log, and restart it.")]
    failing = [f"{check['name']}: {check['detail']}" for check in body.get("checks", []) if not check["healthy"]]
    if failing:
        return [Finding("warn", "Health", "; ".join(failing), "See GET /health/deep and the log of the server.")]
    return [Finding("ok", "Health", f"{body.get('status', 'healthy')} at {url}")]

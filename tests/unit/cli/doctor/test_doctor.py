"""What the doctor says of a house that is well, half broken, or not to be understood; never a secret."""

import json
import os
import socket
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli.doctor import house, machine, run
from antiphon.cli.doctor.finding import Finding, size
from antiphon.cli.main import app
from antiphon.providers.demo.server import DemoServer
from antiphon.settings.config import Config
from antiphon.storage.claim import Holder
from tests.postgres import Databases
from tests.serving import serving


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    """A folder and a port of its own, and no keys of this machine."""
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ANTIPHON_SERVER__PORT", str(free_port))
    monkeypatch.setenv("ANTIPHON_DETECT_LOCAL_MODELS", "false")
    monkeypatch.setenv("COLUMNS", "80")


async def found() -> dict[str, Finding]:
    return {finding.what: finding for finding in await run.examine(None)}


async def test_a_new_house_is_well() -> None:
    findings = await found()
    assert {finding.mark for finding in findings.values()} <= {"ok", "warn"}
    assert findings["Database"].found == "data/antiphon.db will be made by the first start"
    assert "is free" in findings["Port"].found
    assert findings["Model"].mark == "warn"
    assert "OPENAI_API_KEY" in findings["Model"].advice


async def test_a_running_server_is_found_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as workspace:
        monkeypatch.setenv("ANTIPHON_DATABASE__URL", workspace.config.database.url)
        findings = await found()
        assert findings["Server"].found == f"answers from this database as process {os.getpid()}, {workspace.url}"
        assert findings["Health"].mark == "ok"
        assert findings["Database"].mark == "ok"
        assert "schema 0" in findings["Database"].found
        workspace.health.register("lamp", lambda: False, critical=False)
        try:
            assert "lamp: the check failed" in (await found())["Health"].found
        finally:
            workspace.health.unregister("lamp")


async def test_settings_that_are_wrong_hide_only_what_depends_on_them(tmp_path: Path) -> None:
    (tmp_path / "antiphon.yaml").write_text("servr: {}\n")
    findings = await found()
    assert findings["Settings"].mark == "fail"
    assert "Did you mean server?" in findings["Settings"].found
    assert findings["Python"].mark == "ok"
    assert "Database" not in findings


async def test_each_thing_that_is_wrong_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "antiphon.yaml").write_text("default_model: foo:bar\nredis: {url: 'http://h'}\n")
    wrong = [finding.found for finding in await run.examine(None) if finding.mark == "fail"]
    assert [line.partition(" ")[0] for line in wrong] == ["redis.url", "default_model"]


async def test_every_file_of_settings_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "antiphon.yaml").write_text("{}")
    (tmp_path / ".env").write_text("")
    assert (await found())["Settings"].found.count("antiphon.yaml") == 1


async def test_rules_and_files_that_are_not_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "antiphon.yml").write_text("{}")
    monkeypatch.setenv("ANTIPHON_REALTIME__SECURITY__ORIGINS", "any")
    told = [finding.found for finding in await run.examine(None) if finding.what == "Settings"]
    assert any("Any web page" in line for line in told)
    assert any("antiphon.yml is not read" in line for line in told)


async def test_vendors_are_asked_each(monkeypatch: pytest.MonkeyPatch) -> None:
    server = DemoServer("127.0.0.1", 0)
    await server.start()
    providers = {
        "good": {"base_url": f"{server.url}"},
        "gone": {"base_url": "http://127.0.0.1:1/v1", "api_key": "sk-geheim-geheim"},
    }
    monkeypatch.setenv("ANTIPHON_PROVIDERS", json.dumps(providers))
    monkeypatch.setenv("ANTIPHON_DEFAULT_MODEL", "good:none-such")
    monkeypatch.setattr(run, "PATIENCE", 60.0)
    findings = await found()
    await server.stop()
    assert findings["Provider good"].mark == "warn"
    assert "has no none-such" in findings["Provider good"].found
    assert "cannot be reached" in findings["Provider gone"].found


async def test_a_vendor_that_never_answers_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        deaf = {"deaf": {"base_url": f"http://127.0.0.1:{silent.getsockname()[1]}/v1"}}
        monkeypatch.setenv("ANTIPHON_PROVIDERS", json.dumps(deaf))
        monkeypatch.setenv("ANTIPHON_DEFAULT_MODEL", "deaf:any")
        monkeypatch.setattr(run, "PATIENCE", 0.1)
        finding = (await found())["Provider deaf"]
    assert (finding.mark, finding.found) == ("fail", "no answer within 0.1 s")


async def test_a_port_that_somebody_else_has() -> None:
    port = Config.load().server.port
    with socket.create_server(("127.0.0.1", port)):
        finding = (await found())["Port"]
    assert (finding.mark, "server.port" in finding.advice) == ("fail", True)


async def test_a_database_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_DATABASE__URL", "postgresql://me:geheim-geheim@127.0.0.1:1/x")
    findings = await found()
    assert findings["Database"].mark == "fail"
    assert findings["Database"].found
    assert "Error" not in findings["Database"].found
    assert "geheim" not in str(findings)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:geheim/geheim@127.0.0.1:1/x",
        "postgresql://me:geheim#geheim@127.0.0.1:1/x",
        "oracle://x",
        "sqlite:///a?b",
    ],
)
async def test_a_database_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ANTIPHON_DATABASE__URL", url)
    findings = await found()
    assert findings["Settings"].mark == "fail"
    assert findings["Settings"].found.startswith("database.url (the variable ANTIPHON_DATABASE__URL): ")
    assert "geheim" not in str(findings)


async def test_a_postgresql_that_is_well(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_DATABASE__URL", databases.empty())
    assert "empty; the first start makes its tables" in (await found())["Database"].found
    monkeypatch.setenv("ANTIPHON_DATABASE__URL", databases.ready())
    findings = await found()
    assert findings["Database"].mark == "ok"
    assert "PostgreSQL" in findings["Database"].found
    assert findings["Clock"].found == "within 5 s of PostgreSQL"
    assert "no server runs on this database" in findings["Port"].found


async def test_where_vectors_are_compared(
    vector_databases: Databases, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_DATABASE__URL", vector_databases.ready())
    assert "Vectors" not in await found(), "nothing is embedded"
    monkeypatch.setenv("ANTIPHON_MEMORY__EMBEDDER__KIND", "ollama")
    assert (await found())["Vectors"].found == "compared by the database, with pgvector"
    monkeypatch.setenv("ANTIPHON_DATABASE__URL", vector_databases.empty())
    finding = (await found())["Vectors"]
    assert (finding.mark, "CREATE EXTENSION vector" in finding.advice) == ("warn", True)
    monkeypatch.setenv("ANTIPHON_DATABASE__URL", databases.ready())
    assert (await found())["Vectors"].found.startswith("compared ")


async def test_a_redis_that_is_well(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_REDIS__URL", redis_url)
    assert (await found())["Cache"].mark == "ok"


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "antiphon.db"
    file.write_bytes(b"these are not the bytes of a database" * 100)
    assert (await found())["Database"].found.startswith("The database is no SQLite file: name another one")
    file.unlink()
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE cats (name TEXT)")
    other.close()
    assert "holds the data of another program" in (await found())["Database"].found


async def test_a_database_that_another_program_writes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    holder = sqlite3.connect(tmp_path / "data" / "antiphon.db", isolation_level=None)
    holder.execute("PRAGMA journal_mode = WAL")
    holder.execute("BEGIN IMMEDIATE")
    finding = (await found())["Writing"]
    holder.close()
    assert (finding.mark, finding.found) == ("warn", "not possible now: database is locked")


async def test_a_redis_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_REDIS__URL", "redis://:geheim-geheim@127.0.0.1:1/0")
    findings = await found()
    assert findings["Cache"].mark == "fail"
    assert findings["Cache"].advice.startswith("Start Redis there, or correct redis.url")
    assert "geheim" not in str(findings)


@pytest.mark.parametrize(
    ("holder", "told"),
    [
        (Holder(0), "answers from this database in a process that is not known, without an address"),
        (Holder(7, "http://h:1", "box"), "answers from this database as process 7 on box, http://h:1"),
    ],
)
def test_who_answers_is_told_to_an_operator(holder: Holder, told: str) -> None:
    assert house._running(holder) == told


@pytest.mark.parametrize(
    ("variable", "url", "module", "advice"),
    [
        ("ANTIPHON_DATABASE__URL", "postgresql://h/d", "antiphon.storage.postgres.claim", "antiphon[postgres]"),
        ("ANTIPHON_REDIS__URL", "redis://h", "antiphon.cache.redis", "antiphon[redis]"),
    ],
)
async def test_what_is_configured_and_not_installed(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, module: str, advice: str
) -> None:
    monkeypatch.setenv(variable, url)
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install '{advice}'" in (await found())["Settings"].found


async def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    (finding,) = await machine.limits()
    assert (finding.mark, finding.advice) == ("warn", "Raise it before the start: ulimit -n 4096.")


async def test_a_library_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(machine, "version", gone)
    assert "aiohttp missing" in [*(await machine.system())][2].found


@pytest.mark.parametrize(("seconds", "mark"), [(0, "ok"), (4, "ok"), (-60, "warn"), (3600, "warn")])
def test_a_clock_that_is_wrong(seconds: int, mark: str) -> None:
    (finding,) = house._skew("them", datetime.now(UTC) + timedelta(seconds=seconds))
    assert finding.mark == mark


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (81e9, "81 GB"), (2e13, "20.0 TB")]
)
def test_sizes_are_for_people(count: float, shown: str) -> None:
    assert size(count) == shown


# --- on the terminal ----------------------------------------------------------------------------------------------


@pytest.fixture
def cli() -> Any:
    return lambda *words: CliRunner().invoke(app, list(words))


def test_it_fits_a_terminal_and_ends_well(cli: Any) -> None:
    done = cli("doctor")
    assert done.exit_code == 0
    assert all(len(line) <= 80 for line in done.output.splitlines())
    assert "It works; " in done.output


def test_it_fails_when_something_must_be_mended(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "antiphon.yaml").write_text("database: {url: 'oracle://x'}\n")
    done = cli("doctor")
    assert done.exit_code == 1
    assert "1 to mend" in done.output
    machine_readable = cli("doctor", "--json")
    assert machine_readable.exit_code == 1
    marks = {each["what"]: each["mark"] for each in json.loads(machine_readable.output)}
    assert marks["Settings"] == "fail"
    assert marks["Python"] == "ok"


async def test_servers_of_mcp_are_begun_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"command": sys.executable, "args": [str(Path(__file__).parents[3] / "mcp_server.py")]}
    servers = {"there": there, "gone": {"command": "/does/not/exist"}}
    (tmp_path / "antiphon.yaml").write_text(json.dumps({"mcp": {"servers": servers}}))
    monkeypatch.setattr(house, "MCP_SECONDS", 40.0)  # a busy machine takes long to begin a server
    monkeypatch.setattr(run, "PATIENCE", 55.0)
    findings = await found()
    assert (findings["MCP there"].mark, findings["MCP there"].found) == ("ok", "6 tools")
    assert findings["MCP gone"].mark == "warn"
    assert "mcp.servers.gone" in findings["MCP gone"].advice


async def test_names_of_tools_that_must_ask_are_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = {"command": sys.executable, "args": [str(Path(__file__).parents[3] / "mcp_server.py")]}
    settings: dict[str, Any] = {"mcp": {"servers": {"there": there}}}
    settings["tools"] = {"approval": {"remember": "always", "there__add": "always"}}
    (tmp_path / "antiphon.yaml").write_text(json.dumps(settings))
    assert (await found())["Approval"] == Finding("ok", "Approval", "2 tools by name")
    settings["tools"] = {"approval": {"remembr": "always", "there__ad": "always"}}
    (tmp_path / "antiphon.yaml").write_text(json.dumps(settings))
    findings = await found()
    assert findings["Approval"].mark == findings["MCP there"].mark == "warn"
    assert findings["Approval"].found.endswith("names 'remembr', which is no tool. Did you mean remember?")
    assert findings["MCP there"].found.endswith("names 'there__ad', which is no tool. Did you mean there__add?")

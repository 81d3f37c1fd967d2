"""`antiphon config` on the terminal and for programs."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli.main import app
from antiphon.errors import ConfigError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for variable in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    return lambda *words: CliRunner().invoke(app, ["config", *words])


def test_what_is_set_is_shown_with_its_source(config: Any, tmp_path: Path) -> None:
    (tmp_path / "antiphon.yaml").write_text(
        "server: {port: 5}\ndatabase: {url: 'postgresql://me:geheim-geheim@h/d'}\n"
        "providers: {openai: {api_key: sk-geheim-geheim}}\n"
    )
    done = config()
    assert done.exit_code == 0
    assert "antiphon.yaml:1" in done.output
    assert "geheim" not in done.output + config("--all").output + config("--json", "--all").output
    assert all(len(line) <= 80 for line in config("--all").output.splitlines())
    rows = {row["setting"]: row for row in json.loads(config("--json").output)}
    assert rows["server.port"] == {"setting": "server.port", "value": 5, "source": "antiphon.yaml:1"}
    assert set(rows) == {"server.port", "database.url", "providers.openai.api_key"}


def test_nothing_set_says_so(config: Any) -> None:
    assert config().output.startswith("Nothing is set")
    assert "server.port" in config("--all").output


def test_the_key_of_a_vendor_counts_as_set(config: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=geheim\n")
    shown = config().output
    assert "providers.openai.api_key" in shown
    assert ".env:1 (OPENAI_API_KEY)" in shown
    assert "geheim" not in shown


def test_a_check_tells_everything_that_is_wrong(config: Any, tmp_path: Path) -> None:
    assert config("check").output == "The settings are right.\n"
    (tmp_path / "antiphon.json").write_text("{}")
    (tmp_path / ".env").write_text("ANTIPHON_REALTIME__SECURITY__ORIGINS=any\n")
    lines = config("check").output.splitlines()
    assert lines[0].startswith("realtime.security.origins (.env:1): ")
    assert lines[1].endswith("antiphon.json is not read; call it antiphon.yaml.")
    (tmp_path / ".env").write_text("ANTIPHON_PORT=1\n")
    failed = config("check")
    assert failed.exit_code == 1
    assert isinstance(failed.exception, ConfigError)
    (tmp_path / ".env").write_text("ANTIPHON_SERVER__PORT=x\nANTIPHON_DATABASE__QUEUE=0\nANTIPHON_DEBUG=maybe\n")
    starts = [line.partition(" ")[0] for line in str(config("check").exception).splitlines()]
    assert starts == ["debug", "server.port", "database.queue"]
    (tmp_path / ".env").write_text("ANTIPHON_DATABASE__URL=mysql://h/d\nANTIPHON_DEFAULT_MODEL=foo:bar\n")
    starts = [line.partition(" ")[0] for line in str(config("check").exception).splitlines()]
    assert starts == ["database.url", "default_model"]
    assert config("mend").exit_code == 2

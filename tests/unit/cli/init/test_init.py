"""The files of a new project: what is written, what is left alone, and what the settings read back."""

import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli.init import answers
from antiphon.cli.init.answers import Answers
from antiphon.cli.init.files import files
from antiphon.cli.main import app
from antiphon.errors import ConfigError, ValidationError
from antiphon.providers.detect import Detected
from antiphon.settings.config import Config
from antiphon.settings.files import read_variables


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(answers, "_detected", lambda: Detected("demo", "Nothing else is here."))
    return lambda *words: CliRunner().invoke(app, ["init", *words])


def test_files_are_written_once(init: Any, tmp_path: Path) -> None:
    assert init("shop").exit_code == 0
    before = {path: path.read_text() for path in (tmp_path / "shop").iterdir()}
    assert {path.name for path in before} == {
        "antiphon.yaml", "app.py", "README.md", ".env", ".env.example", ".gitignore",
    }  # fmt: skip
    assert stat.S_IMODE((tmp_path / "shop" / ".env").stat().st_mode) == 0o600
    again = init("shop", "--name", "other", "--model", "openai:gpt-5")
    assert {path: path.read_text() for path in (tmp_path / "shop").iterdir()} == before
    assert "+default_model: openai:gpt-5" in again.output


def test_what_is_there_stays_and_secrets_are_not_shown(init: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KEY=geheim\n")
    (tmp_path / "app.py").write_text("print('mine')\n")
    done = init()
    assert (tmp_path / "app.py").read_text() == "print('mine')\n"
    assert (tmp_path / ".env").read_text() == "KEY=geheim\n"
    assert "geheim" not in done.output
    assert "-print('mine')" in done.output


def test_a_link_is_not_followed(init: Any, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / ".env").symlink_to(target)
    assert init("shop").exit_code == 0
    assert not target.exists()


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        (("--name", "Ünfug!"), ValidationError, "is no name"),
        (("--model", "gpt-5"), ValidationError, "Write provider:model"),
        (("file",), ConfigError, "file cannot be written"),
        (("--database", "mysql://me:geheim@h/d"), ConfigError, "no store serves"),
    ],
)
def test_what_is_wrong_is_one_sentence(init: Any, tmp_path: Path, words: Any, error: Any, sentence: str) -> None:
    (tmp_path / "file").write_text("")
    done = init(*words)
    assert done.exit_code == 1
    assert isinstance(done.exception, error)
    assert sentence in str(done.exception)
    assert not (tmp_path / "antiphon.yaml").exists()


def test_the_file_that_is_in_the_way_is_named(init: Any, tmp_path: Path) -> None:
    (tmp_path / "app.py").mkdir()
    assert "app.py cannot be written (Is a directory)" in str(init().exception)


@pytest.mark.parametrize(
    ("folder", "name"), [("shop2", "shop2"), ("2nd shop", "nd-shop"), ("_x_", "x"), ("42", "guide")]
)
def test_an_assistant_is_called_like_its_folder(init: Any, tmp_path: Path, folder: str, name: str) -> None:
    init(folder)
    assert f'"{name}",' in (tmp_path / folder / "app.py").read_text()


def test_what_to_type_next_may_be_pasted(init: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert init("my shop").output.endswith(f"Next: cd 'my shop' && {sys.executable} app.py\n")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert init().output.endswith("Next: python app.py\n")


@pytest.mark.parametrize("folder", ["shop", "My Shop", "123", "ÄÖÜ", "a" * 100, "-x-"])
def test_any_folder_gives_a_name(init: Any, tmp_path: Path, folder: str) -> None:
    assert init("--", folder).exit_code == 0
    compile((tmp_path / folder / "app.py").read_text(), "app.py", "exec")


@pytest.mark.parametrize(
    ("model", "database"),
    [
        ("openai:gpt-5", "sqlite:///data/antiphon.db"),
        ("ollama:qwen3:8b", "sqlite:///:memory:"),
        ('ollama:a "b" #c', "sqlite:///my data/#1.db"),
        (None, "postgresql://me:pa'ss\\word@h:5432/d"),
        (None, "postgresql://h/d?user=me&password=pa'ss"),
    ],
)
def test_the_settings_read_back_what_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str | None, database: str
) -> None:
    monkeypatch.chdir(tmp_path)
    key = ("OPENAI_API_KEY", "k'e\\y")
    for name, text in files(Answers(name="shop", model=model, database=database, key=key)):
        (tmp_path / name).write_text(text)
    config = Config.load(environ={})
    assert (config.default_model, config.database.url) == (model, database)
    assert config.environ["OPENAI_API_KEY"] == "k'e\\y"
    assert "pa'ss" not in (tmp_path / "antiphon.yaml").read_text()
    assert next(read_variables(tmp_path / ".env"))[0] == "OPENAI_API_KEY"

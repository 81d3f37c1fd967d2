"""`antiphon init`: writes the files that are not there, shows how the others differ, and says what to type next."""

import os
import shlex
import shutil
import sys
from difflib import unified_diff
from pathlib import Path

from rich.console import Console
from rich.text import Text

from antiphon.cli.init.answers import ask
from antiphon.cli.init.files import IGNORED, PRIVATE, files
from antiphon.errors import ConfigError


def init(folder: Path, *, name: str | None, model: str | None, database: str | None, yes: bool) -> None:
    """Raises `ConfigError` when the folder cannot be written."""
    answers = ask(folder, name=name, model=model, database=database, yes=yes)
    console = Console(highlight=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files(answers):
            console.print(_written(folder / file, text))
        console.print(_ignored(folder / ".gitignore"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        place = error.filename if isinstance(error, OSError) and error.filename else folder
        raise ConfigError(f"{place} cannot be written ({reason}): choose another folder.") from error
    console.print(Text(f"\nNext: {_next(folder)}", "bold green"), soft_wrap=True)


def _next(folder: Path) -> str:
    """What to type, with the Python that has Antiphon: a virtual environment may not be activated."""
    found = shutil.which("python")
    same = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    start = "python app.py" if same else f"{shlex.quote(sys.executable)} app.py"
    return start if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && {start}"


def _written(path: Path, text: str) -> Text:
    """Makes the file for its owner alone where it holds secrets; never touches one that is there."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if path.name == PRIVATE else 0o666)
    except FileExistsError:
        return _kept(path, text)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return _line("+", "green", path.name, "written")


def _kept(path: Path, text: str) -> Text:
    if path.name == PRIVATE:  # what is in it is nobody's business, not even the terminal's
        return _line("=", "yellow", path.name, "is there already and stays as it is")
    there = path.read_text(encoding="utf-8")
    if there == text:
        return _line("=", "dim", path.name, "is there already")
    lines = unified_diff(there.splitlines(), text.splitlines(), path.name, "what init would write", lineterm="", n=1)
    kept = _line("=", "yellow", path.name, "is there already and stays as it is; a new one would differ:\n")
    return kept.append("\n".join(f"    {line}" for line in lines), "dim")


def _ignored(path: Path) -> Text:
    """Adds the lines that keep secrets and data out of git."""
    there = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in IGNORED if line not in there.splitlines()]
    if not missing:
        return _line("=", "dim", path.name, "is there already")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if there and not there.endswith("\n") else "") + "".join(f"{line}\n" for line in missing))
    return _line("+", "green", path.name, f"ignores {' and '.join(missing)}")


def _line(sign: str, colour: str, name: str, what: str) -> Text:
    return Text.assemble((sign, colour), " ", (f"{name:<14}", "bold"), what)

"""`antiphon config`: every setting with where its value comes from, or what is wrong with them."""

import sys
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon.cli.printable import print_json
from antiphon.settings.config import Config
from antiphon.settings.rules import sentence
from antiphon.telemetry.redaction import redact_text


def config(path: Path | None, action: str, *, everything: bool, as_json: bool) -> None:
    """Raises `ConfigError` for settings that are wrong, which ends the program with 1."""
    loaded = Config.load(path)
    if action == "check":
        _check(loaded)
        return
    rows = [
        {"setting": name, "value": redact_text(value) if isinstance(value, str) else value, "source": source}
        for name, value, source in loaded.values()
        if everything or not source.startswith("default")
    ]
    if as_json:
        print_json(rows)
    else:
        _show(rows, everything)


def _check(loaded: Config) -> None:
    notes = [sentence(loaded, problem) for problem in loaded.problems()]
    notes += [f"{file} is not read; call it antiphon.yaml." for file in loaded.unused_files]
    sys.stdout.write("".join(f"{note}\n" for note in notes) or "The settings are right.\n")


def _show(rows: list[dict[str, Any]], everything: bool) -> None:
    console = Console(highlight=False)
    if not rows:
        console.print("Nothing is set; everything is as it comes. `antiphon config --all` shows that.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Setting", overflow="fold")
    table.add_column("Value", overflow="fold")
    table.add_column("From", overflow="fold", style="dim")
    for row in rows:
        value = row["value"]
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        table.add_row(Text(row["setting"], "cyan"), Text(text), Text(row["source"]))
    console.print(table)
    if not everything:
        console.print(Text("\nEverything else is as it comes: antiphon config --all", "dim"))

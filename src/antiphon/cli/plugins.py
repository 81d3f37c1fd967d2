"""`antiphon plugins`: what can be switched on, and what it adds."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon.cli.printable import print_json
from antiphon.plugins.discovery import PluginAbout, survey
from antiphon.settings.config import Config
from antiphon.telemetry.logs import setup_logging


def plugins(path: Path | None, *, as_json: bool) -> None:
    """Loads every plugin that is found, and starts none. One that cannot be loaded is listed with the reason."""
    setup_logging("CRITICAL", "console")
    found = survey(Config.load(path).plugins)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: list[PluginAbout]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Plugin", "Version", "On", "What it does"):
        table.add_column(title, overflow="fold")
    for each in found:
        what = Text(each.problem, "red") if each.problem else Text(each.description)
        table.add_row(Text(each.name, "cyan"), each.version, "yes" if each.enabled else "no", what)
    Console(highlight=False).print(table)

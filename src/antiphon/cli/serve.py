"""`antiphon serve`: build the workspace, say where it is, run until it is told to stop."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from antiphon.settings import Config
from antiphon.telemetry.logs import setup_logging
from antiphon.workspace import Workspace


def serve(path: Path | None, *, host: str | None, port: int | None, debug: bool) -> None:
    server = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    arguments: dict[str, Any] = {"server": server} | ({"debug": True} if debug else {})
    config = Config.load(path, **arguments)
    setup_logging("DEBUG" if config.debug else config.log_level, config.logs_as)
    workspace = Workspace(config)
    workspace.run(on_ready=lambda: _greet(workspace))


def _greet(workspace: Workspace) -> None:
    """Where to go and which model answers. A program that reads stderr gets the same lines without colour."""
    console = Console(stderr=True, highlight=False)
    for label, value in (
        ("Antiphon", workspace.url),
        ("Model", f"{workspace.default_model}: {workspace.model_reason}"),
        ("Data", workspace.data),
    ):
        console.print(Text.assemble((f"  {label:<9}", "bold cyan"), value), soft_wrap=True)
    console.print(Text("  Ctrl-C stops.", style="dim"))

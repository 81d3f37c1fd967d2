"""`antiphon serve`: build the workspace and run it until it is told to stop."""

from pathlib import Path
from typing import Any

from antiphon.settings.config import Config
from antiphon.workspace import Workspace


def serve(path: Path | None, *, host: str | None, port: int | None, debug: bool) -> None:
    server = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    arguments: dict[str, Any] = {"server": server} | ({"debug": True} if debug else {})
    Workspace(Config.load(path, **arguments)).run()

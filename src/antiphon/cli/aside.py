"""What trials are made with: a house beside the one that runs, which takes nothing over and delivers nothing."""

import sys
from collections.abc import Callable
from pathlib import Path

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.factory import imported
from antiphon.errors import ConfigError
from antiphon.settings.config import Config
from antiphon.storage.config import DatabaseSettings
from antiphon.telemetry.logs import setup_logging
from antiphon.workspace import Workspace


def house_aside(path: Path | None, database: Callable[[DatabaseSettings], DatabaseSettings], debug: bool) -> Workspace:
    """Of the settings, with another database. What models do wrong is shown and not logged; the modules of the folder
    can be named."""
    sys.path.append(str(Path.cwd()))
    setup_logging("DEBUG" if debug else "ERROR", "console")
    config = Config.load(path)
    return Workspace(config.model_copy(update={"database": database(config.database)}))


def in_memory(settings: DatabaseSettings) -> DatabaseSettings:
    """A database that is empty and ends with the program."""
    return settings.model_copy(update={"url": "sqlite:///:memory:", "migrate": "auto"})


def assistant_called(name: str | None, house: Workspace) -> Assistant:
    """One of the settings by its name, or a program's own as `module:name`; the default one where nobody is named."""
    if name is None:
        return house.assistants.default
    if ":" not in name:
        return house.assistants.get(name)
    found = imported(name, "assistant")
    if not isinstance(found, Assistant):
        raise ConfigError(f"{name} is no assistant: name one that the module holds, as module:name.")
    return found

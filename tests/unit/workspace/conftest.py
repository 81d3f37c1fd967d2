"""Workspaces to be built by a test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.settings.config import Config
from antiphon.workspace import Workspace

Make = Callable[..., Workspace]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Builds workspaces on one database; none of them is left running."""
    made: list[Workspace] = []

    def build(**sections: Any) -> Workspace:
        database = {"url": f"sqlite:///{tmp_path}/antiphon.db"}
        made.append(Workspace(Config(**{"database": database, "detect_local_models": False, **sections})))
        return made[-1]

    yield build
    for workspace in made:
        await workspace.stop()

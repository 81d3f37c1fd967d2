"""A house with a tool that pays, which ends itself as `kill -9` does at one point of a turn that asks.

`python -m tests.paying FOLDER PORT POINT`: what was paid is a line of `FOLDER/paid`. A point is the name of a method
with `before` or `after`, `pay`, or `never`.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from antiphon.assistants.assistant import Assistant
from antiphon.settings.config import Config
from antiphon.storage.sql.approvals import SqlApprovals
from antiphon.tools.base import tool
from antiphon.workspace import Workspace


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(method: Callable[..., Any], when: str) -> Callable[..., Any]:
    async def replaced(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        value = await method(*args, **kwargs)
        die()
        return value

    return replaced


def main(folder: Path, port: int, point: str) -> None:
    when, _, name = point.partition(" ")
    if name:
        setattr(SqlApprovals, name, dying(getattr(SqlApprovals, name), when))

    @tool(approval=True)
    async def pay(amount: int) -> str:
        """Pay somebody."""
        with (folder / "paid").open("a", encoding="utf-8") as paid:
            paid.write(f"{amount}\n")
            paid.flush()
        if point == "pay":
            die()
        return f"{amount} paid."

    database = {"url": f"sqlite:///{folder}/antiphon.db"}
    config = Config(
        detect_local_models=False,
        server={"port": port},
        database=database,
        providers={"demo": {"rate": 0}},
    )
    workspace = Workspace(config)
    workspace.assistants.add(Assistant("cashier", tools=[pay]))
    workspace.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

"""`antiphon serve`: build the workspace and run it until it is told to stop, in this process or in several."""

import sys
from pathlib import Path
from typing import Any

from antiphon.errors import AntiphonError, ConfigError
from antiphon.realtime.workers import is_worker, reserve, run_workers, worker_failed, worker_is_ready
from antiphon.settings.config import Config
from antiphon.telemetry.logs import setup_logging
from antiphon.web.server import unavailable
from antiphon.workspace import Workspace


def serve(path: Path | None, *, host: str | None, port: int | None, workers: int | None, debug: bool) -> None:
    given = {"host": host, "port": port, "workers": workers}
    server = {name: value for name, value in given.items() if value is not None}
    arguments: dict[str, Any] = {"server": server} | ({"debug": True} if debug else {})
    config = Config.load(path, **arguments)
    if is_worker():
        _work(config)
    elif config.server.workers > 1:
        sys.exit(_supervise(config, path, debug=debug))
    else:
        Workspace(config).run()


def _work(config: Config) -> None:
    """One of several: what keeps it from running keeps the others too, and is shown once."""
    try:
        workspace = Workspace(config)
        workspace.run(lambda: worker_is_ready(workspace.greeting, workspace.server.stop))
    except AntiphonError as error:
        if config.debug or not worker_failed(error.public):
            raise
        sys.exit(1)


def _supervise(config: Config, path: Path | None, *, debug: bool) -> int:
    settings = config.server
    if settings.refusal is not None:
        raise ConfigError(settings.refusal)
    setup_logging("DEBUG" if config.debug else config.log_level, config.logs_as, outputs=config.logging.outputs)
    try:
        held = reserve(settings.host, settings.port)
    except OSError as error:
        raise unavailable(settings, error) from None
    with held:
        command = [sys.executable, "-m", "antiphon", "serve", "--host", settings.host]
        command += ["--port", str(held.getsockname()[1]), "--workers", str(settings.workers)]
        command += ["--config", str(path)] if path else []
        command += ["--debug"] if debug else []
        return run_workers(
            command,
            settings.workers,
            on_ready=lambda word: sys.stderr.write(f"{word}\n"),
            on_failed=lambda sentence: sys.stderr.write(f"antiphon: {sentence}\n"),
        )

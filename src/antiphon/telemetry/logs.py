"""Structured logs: one line an event, with the correlation ids of the turn, and nothing secret in it.

    log = get_logger(__name__)
    with bind(turn_id=turn.id):
        log.info("turn.finished", outcome="answered", elapsed_ms=12.5)

Event names are dotted and fixed, values are fields. Loggers cost nothing to make: structlog (a third of a second of
CPU) is loaded with the first line that is written. Before `setup_logging` warnings and errors go to stderr.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TextIO

_fields: ContextVar[Mapping[str, Any]] = ContextVar("antiphon_log_fields")


def setup_logging(level: str | int = "INFO", format: str = "auto", *, stream: TextIO | None = None) -> "Logger":  # noqa: A002 - the public name
    """Sends everything that this package and other libraries log to `stream` (stderr), through one redaction.

    `format` is `json` (a line an event), `console` (for people), `auto` (console on a terminal, else json), or a
    template in the manner of `logging`, such as `"%(asctime)s %(levelname)s %(message)s"`. May be called again.
    Returns the package's logger. Raises `ConfigError` for a level or format that does not exist.
    """
    _pipeline().configure(level, format, stream)
    return get_logger("antiphon")


def get_logger(name: str, **fields: Any) -> "Logger":
    """A logger for a module; `fields` go onto each of its lines. May be made before `setup_logging`."""
    return Logger(name, fields)


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Puts `fields` on every line logged inside, also by the tasks started inside."""
    token = _fields.set({**bound(), **fields})
    try:
        yield
    finally:
        # An async generator may be closed by another task, whose own fields must stay as they are.
        with suppress(ValueError):
            _fields.reset(token)


def bound() -> Mapping[str, Any]:
    """The fields that `bind` has put around the running code."""
    return _fields.get({})


class Logger:
    """Writes events. Levels follow the standard library's logger of the same name."""

    __slots__ = ("_fields", "_name", "_standard")

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        self._name = name
        self._fields = fields
        self._standard = logging.getLogger(name)

    def bind(self, **fields: Any) -> "Logger":
        """This logger with more fields on each of its lines."""
        return Logger(self._name, {**self._fields, **fields})

    def debug(self, event: str, **fields: Any) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write(logging.ERROR, event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        self._write(logging.CRITICAL, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, {"exc_info": True, **fields})

    def _write(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        if self._standard.isEnabledFor(level):
            _pipeline().write(level, self._name, event, {**self._fields, **fields})


def _pipeline() -> Any:
    return import_module("antiphon.telemetry.pipeline")

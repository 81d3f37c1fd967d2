"""Structured logs: one line an event, with the correlation ids of the turn, and nothing secret in it.

    log = get_logger(__name__)
    with bind(turn_id=turn.id):
        log.info("turn.finished", outcome="answered", elapsed_ms=12.5)

Event names are dotted and fixed, values are fields, also those given as `extra_fields={…}`. Loggers cost nothing to
make: what writes is loaded with the first line. Before `setup_logging` warnings and errors go to stderr.
"""

import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from antiphon.telemetry.config import LogOutput

_fields: ContextVar[Mapping[str, Any]] = ContextVar("antiphon_log_fields")


def setup_logging(
    level: str | int = "INFO",
    format: str = "auto",  # noqa: A002 - the public name
    *,
    structured: bool | None = None,
    outputs: "Sequence[LogOutput | Mapping[str, Any]]" = (),
    stream: TextIO | None = None,
) -> "Logger":
    """Sends everything that this package and other libraries log to every one of `outputs`, through one redaction.

    Without outputs that is stderr. `level` and `format` hold for those that have none of their own. `format` is `json`
    (a line an event), `console` (for people), `auto` (console on a terminal, else json), or a template in the manner
    of `logging`, such as `"%(asctime)s %(levelname)s %(message)s"`; `structured` is short for json (True) or console
    (False). `stream` takes the place of stderr. May be called again. Returns the package's logger. Raises
    `ConfigError` for a level or format that does not exist and for a file that cannot be opened.
    """
    if structured is not None:
        format = "json" if structured else "console"  # noqa: A001 - the public name
    _pipeline().configure(level, format, outputs, stream)
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


def stack_of(error: BaseException) -> str:
    """Where it was raised, without its message: that may quote what a person wrote, or a key."""
    return "".join(traceback.format_tb(error.__traceback__))


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

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._standard.isEnabledFor(level):
            more = fields.pop("extra_fields", None)
            told = {**self._fields, **fields, **(more if isinstance(more, Mapping) else {})}
            _pipeline().write(level, self._name, event, told)


@cache
def _pipeline() -> Any:
    return import_module("antiphon.telemetry.pipeline")

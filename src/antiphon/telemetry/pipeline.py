"""From an event to a written line: the structlog processors that our events and other libraries' records share."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Protocol, TextIO

import msgspec
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import TimeStamper, format_exc_info
from structlog.stdlib import ProcessorFormatter, add_logger_name
from structlog.types import Processor

from antiphon.errors import ConfigError
from antiphon.telemetry.logs import bound
from antiphon.telemetry.redaction import redact_event

_HANDLER = "antiphon"
_FORMATS = ("auto", "json", "console")
_QUIET = ("alembic", "asyncio", "uvicorn.error")
"""Libraries whose information is of use to their own developers only; their warnings are written."""
_OWN_HANDLERS = ("uvicorn", "uvicorn.access", "uvicorn.error", "fastapi")

Event = MutableMapping[str, Any]


class Renderer(Protocol):
    def __call__(self, logger: Any, method: str, event: Event, /) -> str: ...


def configure(level: str | int, form: str, stream: TextIO | None) -> None:
    """See `logs.setup_logging`."""
    number = _level(level)
    stream = stream or sys.stderr
    renderer = _renderer(form, stream)
    _configure_events(renderer, stream)
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[_add_level, add_logger_name, *_shared()],
            processors=[ProcessorFormatter.remove_processors_meta, redact_event, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [*(known for known in root.handlers if known.get_name() != _HANDLER), handler]
    root.setLevel(max(number, logging.INFO))
    logging.getLogger("antiphon").setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def write(level: int, name: str, event: str, fields: Mapping[str, Any]) -> None:
    """Writes one event. It never raises for what the stream does: a log must not stop the work it tells about."""
    if not structlog.is_configured():
        _configure_events(_renderer("auto", sys.stderr), sys.stderr)
    method = logging.getLevelName(level).lower()
    getattr(structlog.get_logger(), method)(event, **{"logger": name, **fields})


def _configure_events(renderer: Renderer, stream: TextIO) -> None:
    structlog.configure(
        processors=[_add_level, *_shared(), redact_event, renderer],
        logger_factory=lambda *_: _Outlet(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        cache_logger_on_first_use=False,
    )


def _shared() -> list[Processor]:
    return [_add_bound_fields, TimeStamper("iso", utc=True), format_exc_info]


def _add_level(_logger: Any, method: str, event: Event) -> Event:
    event["level"] = method
    return event


def _add_bound_fields(_logger: Any, _method: str, event: Event) -> Event:
    for key, value in bound().items():
        event.setdefault(key, value)
    return event


class _Outlet:
    """A stream that takes lines and is never the reason why work fails (terminal gone, file closed, disk full)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = line


_encoder = msgspec.json.Encoder()


def _render_json(_logger: Any, _method: str, event: Event, /) -> str:
    first = {"timestamp": event.get("timestamp"), "level": event.get("level"), "event": event.get("event")}
    return _encoder.encode({**first, **event}).decode()


def _renderer(form: str, stream: TextIO) -> Renderer:
    terminal = stream.isatty()
    if form == "json" or (form == "auto" and not terminal):
        return _render_json
    if form in _FORMATS:
        return ConsoleRenderer(colors=terminal, exception_formatter=plain_traceback)
    if "%(" in form:
        return _Template(form)
    raise ConfigError(
        f"The log format {form!r} does not exist; choose one of {', '.join(_FORMATS)} or a %(…)s template."
    )


class _Template:
    """Renders as the standard library would with this format, the fields behind the message."""

    def __init__(self, template: str) -> None:
        try:
            self._formatter = logging.Formatter(template)
            self._formatter.format(logging.LogRecord("", logging.INFO, "", 0, "", None, None))
        except (KeyError, ValueError, TypeError):
            raise ConfigError(
                f"The log format {template!r} cannot be filled in: a field does not exist or is not text."
            ) from None

    def __call__(self, _logger: Any, _method: str, event: Event, /) -> str:
        fields = dict(event)
        name, level, message = (str(fields.pop(key, "")) for key in ("logger", "level", "event"))
        traceback = fields.pop("exception", None)
        fields.pop("timestamp", None)
        message = " ".join([message, *(f"{key}={value}" for key, value in fields.items())])
        record = logging.LogRecord(name, _level(level), "", 0, message, None, None)
        return self._formatter.format(record) + (f"\n{traceback}" if traceback else "")


def _level(level: str | int) -> int:
    names = logging.getLevelNamesMapping()
    number = level if isinstance(level, int) else names.get(level.upper())
    if number is None:
        raise ConfigError(f"The log level {level!r} does not exist; choose debug, info, warning, error or critical.")
    return number

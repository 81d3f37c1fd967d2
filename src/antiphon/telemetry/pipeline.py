"""From an event to written lines: our events and other libraries' records, redacted once and sent to every output."""

import logging
import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from antiphon.errors import ConfigError
from antiphon.runtime.current import Current
from antiphon.telemetry.config import LogOutput
from antiphon.telemetry.formats import Line, renderer
from antiphon.telemetry.logs import bound
from antiphon.telemetry.outlets import FileOutlet, Outlet, StreamOutlet
from antiphon.telemetry.redaction import redact_fields, redact_text

_HANDLER = "antiphon"
_STREAMS = ("stderr", "stdout")
_QUIET = ("alembic", "asyncio", "uvicorn.access", "uvicorn.error")
"""Libraries whose information is of use to their own developers only; their warnings are written."""
_OWN_HANDLERS = ("uvicorn", "uvicorn.access", "uvicorn.error", "fastapi")
_NAMES = {number: logging.getLevelName(number).lower() for number in logging.getLevelNamesMapping().values()}


class Output:
    """One outlet with its level and format. It counts what could not be written and says so when it can again."""

    def __init__(self, outlet: Outlet, level: int, form: str) -> None:
        self.outlet = outlet
        self.level = level
        self._render = renderer(form, terminal=outlet.terminal)
        self._lost = 0

    def write(self, line: Line) -> bool:
        """False when this line is the first that could not be written."""
        if not self.outlet.write(self._render(line)):
            self._lost += 1
            return self._lost > 1
        if self._lost:
            lost, self._lost = self._lost, 0
            self.outlet.write(self._render(_line("log.lines_lost", {"lines": lost}, "warning")))
        return True


class LogPipeline:
    """Every output of a process. Before `configure` that is stderr."""

    def __init__(self) -> None:
        self._outputs: Sequence[Output] = (Output(StreamOutlet("stderr"), logging.NOTSET, "auto"),)

    def configure(self, level: str | int, form: str, outputs: Sequence[LogOutput], stream: TextIO | None) -> None:
        """See `logs.setup_logging`. What was written to so far is closed once the new outputs are open."""
        number = _level(level)
        opened = [_open(output, number, form, stream) for output in outputs or (LogOutput(),)]
        before, self._outputs = self._outputs, opened
        for output in before:
            output.outlet.close()
        self._take_over(min(output.level for output in opened))

    def write(self, level: int, line: dict[str, Any]) -> None:
        """Writes a line that is safe. It never raises for what an output does: a log must not stop the work it
        tells about."""
        for output in self._outputs:
            if level >= output.level and not output.write(line):
                self._tell_others(output)

    def _tell_others(self, failed: Output) -> None:
        line = _line("log.output_failed", {"where": failed.outlet.name, "why": failed.outlet.trouble}, "error")
        for output in self._outputs:
            if output is not failed:
                output.write(line)

    def _take_over(self, number: int) -> None:
        """Leads everything that the standard library's loggers get through this pipeline, and through it only."""
        handler = _Records(self)
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


_current = Current(LogPipeline)


def configure(
    level: str | int, form: str, outputs: Sequence[LogOutput | Mapping[str, Any]], stream: TextIO | None
) -> None:
    """See `logs.setup_logging`."""
    try:
        checked = [LogOutput.model_validate(output) for output in outputs]
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "it"
        raise ConfigError(f"An output of the log is not as it must be: {where}: {problem['msg']}.") from None
    _current.get().configure(level, form, checked, stream)


def write(level: int, name: str, event: str, fields: dict[str, Any]) -> None:
    """Writes one event of this package."""
    line = _line(event, fields, _NAMES[level], name)
    _current.get().write(level, line)


class _Records(logging.Handler):
    """Takes the records of other libraries in."""

    def __init__(self, pipeline: LogPipeline) -> None:
        super().__init__()
        self.set_name(_HANDLER)
        self._pipeline = pipeline

    def emit(self, record: logging.LogRecord) -> None:
        if sys.is_finalizing():  # nothing can be imported any more, and what is told now (by asyncio) concerns nobody
            return
        try:
            event = record.getMessage()
        except Exception:  # noqa: BLE001 - whatever the arguments raise when they are shown
            event = f"{record.msg} (its arguments do not fit)"
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        line = _line(redact_text(event), fields, record.levelname.lower(), record.name)
        self._pipeline.write(record.levelno, line)


@lru_cache(maxsize=512)
def _safe_name(event: str) -> str:
    """Names of events are few and come again and again."""
    return redact_text(event)


def _line(event: str, fields: Mapping[str, Any], level: str, logger: str = "antiphon.telemetry") -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="microseconds")[:-6]
    line = {"timestamp": f"{now}Z", "level": level, "event": _safe_name(event), "logger": logger}
    told = {**bound(), **fields}
    problem = told.pop("exc_info", None)
    for key, value in redact_fields(told).items():
        line[f"{key}_" if key in line else key] = value
    if problem:
        line["exception"] = redact_text(_traceback(problem))
    return line


def _traceback(problem: Any) -> str:
    """Of an exception, of what `sys.exc_info()` gives, or of the exception that is being handled."""
    if isinstance(problem, BaseException):
        error: BaseException | None = problem
    else:
        error = (problem if isinstance(problem, tuple) else sys.exc_info())[1]
    return "".join(traceback.format_exception(error)).rstrip("\n") if error else "NoneType: None"


def _open(output: LogOutput, level: int, form: str, stream: TextIO | None) -> Output:
    if output.to in _STREAMS:
        outlet: Outlet = StreamOutlet(output.to, stream if output.to == "stderr" else None)
    else:
        outlet = FileOutlet(Path(output.to).expanduser(), output.max_bytes, output.backups)
    try:
        return Output(outlet, level if output.level is None else _level(output.level), output.format or form)
    except ConfigError:
        outlet.close()
        raise


def _level(level: str | int) -> int:
    names = logging.getLevelNamesMapping()
    number = level if isinstance(level, int) else names.get(level.upper())
    if number is None:
        raise ConfigError(f"The log level {level!r} does not exist; choose debug, info, warning, error or critical.")
    return number

"""How a line looks: JSON for machines, columns for people, or a template in the manner of `logging`."""

import json
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import msgspec

from antiphon.errors import ConfigError

Line = Mapping[str, Any]
"""`timestamp`, `level`, `event` and `logger`, then the fields, all plain data and safe to write."""

Renderer = Callable[[Line], str]

_FORMATS = ("auto", "json", "console")
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {9: " ", 10: "\\n", 13: "\\r"}
"""What a line may not hold raw: whoever can write into a field could forge lines, or colours, with it."""


def renderer(form: str, *, terminal: bool) -> Renderer:
    """The renderer of that name. Raises `ConfigError` for a format that does not exist or cannot be filled in."""
    if form == "json" or (form == "auto" and not terminal):
        return render_json
    if form in _FORMATS:
        return _Console(colors=terminal)
    if "%(" in form:
        return _Template(form)
    raise ConfigError(
        f"The log format {form!r} does not exist; choose one of {', '.join(_FORMATS)} or a %(…)s template."
    )


_encode = msgspec.json.Encoder().encode


def render_json(line: Line) -> str:
    try:
        return _encode(line).decode()
    except (UnicodeError, OverflowError):  # half a character, or a number beyond 64 bits
        return json.dumps(line)


def _visible(line: Line) -> dict[str, Any]:
    """A copy whose texts hold no control characters; a traceback keeps its lines."""
    return {
        key: value.translate(_CONTROLS) if isinstance(value, str) and key != "exception" else value
        for key, value in line.items()
    }


class _Console:
    """Columns, coloured on a terminal. structlog, whose renderer it is, costs a tenth of a second to load."""

    def __init__(self, *, colors: bool) -> None:
        dev = import_module("structlog.dev")
        self._render = dev.ConsoleRenderer(colors=colors, exception_formatter=dev.plain_traceback)

    def __call__(self, line: Line) -> str:
        text: str = self._render(None, line["level"], _visible(line))
        return text


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

    def __call__(self, line: Line) -> str:
        fields = _visible(line)
        name, level, message = (str(fields.pop(key)) for key in ("logger", "level", "event"))
        traceback = fields.pop("exception", None)
        del fields["timestamp"]
        message = " ".join([message, *(f"{key}={value}" for key, value in fields.items())])
        number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        text = self._formatter.format(logging.LogRecord(name, number, "", 0, message, None, None))
        return f"{text}\n{traceback}" if traceback else text

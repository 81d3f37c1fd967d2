"""One log line of three fields as JSON, redacted; the same without redaction by the standard library; a silent one."""

import io
import json
import logging
from collections.abc import Callable

from antiphon.telemetry.logs import get_logger, setup_logging


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {name: getattr(record, name) for name in ("turn_id", "outcome", "elapsed_ms")}
        return json.dumps(
            {"event": record.msg, "level": record.levelname, "timestamp": self.formatTime(record), **fields}
        )


def cases() -> dict[str, Callable[[], object]]:
    setup_logging("info", "json", stream=io.StringIO())
    log = get_logger("antiphon.bench")
    standard = logging.getLogger("bench")
    standard.propagate = False
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    standard.addHandler(handler)
    fields = {"turn_id": "01JD0000000000000000000000", "outcome": "answered", "elapsed_ms": 12.5}
    return {
        "written, with redaction": lambda: log.info("turn.finished", **fields),
        "below the level": lambda: log.debug("turn.finished", **fields),
        "logging with json, no redaction": lambda: standard.info("turn.finished", extra=fields),
    }

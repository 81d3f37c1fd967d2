"""One log line of three fields as JSON, redacted; the same without redaction by the standard library; a silent one."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from antiphon.telemetry.logs import get_logger, setup_logging
from benchmarks.measuring import Case, spinning

UNIT = "µs of CPU a line"
REFERENCE = "logging with json, no redaction"
ROUNDS = 15


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {name: getattr(record, name) for name in ("turn_id", "outcome", "elapsed_ms")}
        return json.dumps(
            {"event": record.msg, "level": record.levelname, "timestamp": self.formatTime(record), **fields}
        )


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    setup_logging("info", "json", stream=io.StringIO())
    log = get_logger("antiphon.bench")
    standard = logging.getLogger("bench")
    standard.propagate = False
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    standard.addHandler(handler)
    fields = {"turn_id": "01JD0000000000000000000000", "outcome": "answered", "elapsed_ms": 12.5}
    seconds = 0.05 * scale
    yield {
        "written, with redaction": spinning(lambda: log.info("turn.finished", **fields), seconds),
        "below the level": spinning(lambda: log.debug("turn.finished", **fields), seconds),
        REFERENCE: spinning(lambda: standard.info("turn.finished", extra=fields), seconds),
    }

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import ConfigError
from antiphon.telemetry.config import LogOutput
from antiphon.telemetry.logs import bind, bound, get_logger, setup_logging

pytestmark = pytest.mark.usefixtures("restored_logging")

log = get_logger("antiphon.tests")


def test_a_test_sees_what_is_logged(logged: list[dict[str, Any]]) -> None:
    log.debug("turn.finished", outcome="answered")
    assert logged == [
        {"event": "turn.finished", "logger": "antiphon.tests", "outcome": "answered", "log_level": "debug"}
    ]


class Output(io.StringIO):
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def output() -> Output:
    stream = Output()
    setup_logging("debug", "json", stream=stream)
    return stream


def test_an_event_is_one_line_of_json(output: Output) -> None:
    log.info("turn.finished", outcome="answered", elapsed_ms=12.5)
    (line,) = output.lines()
    assert list(line) == ["timestamp", "level", "event", "logger", "outcome", "elapsed_ms"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["logger"]) == ("info", "turn.finished", "antiphon.tests")


def test_every_level_has_its_method(output: Output) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(log, level)("a.b")
    assert [line["level"] for line in output.lines()] == ["debug", "info", "warning", "error", "critical"]


def test_what_is_below_the_level_is_not_written() -> None:
    output = Output()
    setup_logging("warning", "json", stream=output)
    log.info("unheard")
    logging.getLogger("uvicorn").info("unheard")
    log.warning("heard")
    assert [line["event"] for line in output.lines()] == ["heard"]


def test_bound_fields_are_on_every_line_inside_and_on_none_outside(output: Output) -> None:
    with bind(turn_id="t1"):
        with bind(conversation_id="c1"):
            log.info("both")
        log.info("one", turn_id="own")
        logging.getLogger("library").warning("foreign")
    log.info("none")
    assert [(line.get("turn_id"), line.get("conversation_id")) for line in output.lines()] == [
        ("t1", "c1"),
        ("own", None),
        ("t1", None),
        (None, None),
    ]


async def test_tasks_at_the_same_time_keep_their_own_fields(output: Output) -> None:
    async def turn(number: int) -> None:
        with bind(turn_id=number):
            await asyncio.sleep(0)
            log.info("said", said=number)

    await asyncio.gather(*(turn(number) for number in range(50)))
    assert all(line["turn_id"] == line["said"] for line in output.lines())
    assert len(output.lines()) == 50


async def test_a_generator_closed_by_another_task_breaks_nothing(output: Output) -> None:
    async def stream() -> AsyncIterator[int]:
        with bind(turn_id="t1"):
            yield 1

    generator = stream()

    async def read() -> None:
        await anext(generator)

    async def close() -> None:
        with bind(turn_id="t2"):
            await generator.aclose()  # type: ignore[attr-defined]
            assert bound() == {"turn_id": "t2"}

    await asyncio.create_task(read())
    await asyncio.create_task(close())


def test_a_logger_may_carry_fields(output: Output) -> None:
    get_logger("antiphon.tests", correlation_id="req-123").bind(shard=1).info("a.b")
    assert output.lines()[0].items() >= {"correlation_id": "req-123", "shard": 1}.items()


def test_exceptions_come_with_their_traceback_and_without_secrets(output: Output) -> None:
    try:
        raise ValueError("the key sk-" + "abcdefghijklm was refused")
    except ValueError as error:
        log.exception("provider.failed")
        log.error("provider.failed", exc_info=error)
        logging.getLogger("library").exception("failed")
    for line in output.lines():
        assert "Traceback (most recent call last)" in line["exception"]
        assert "the key *** was refused" in line["exception"]
        assert "sk-" + "abcdefghijklm" not in line["exception"].replace('"the key sk-" + "abcdefghijklm', "")


@pytest.mark.parametrize("form", ["json", "console", "%(asctime)s %(levelname)s %(name)s %(message)s"])
def test_nothing_secret_leaves_in_any_format(form: str) -> None:
    output = Output()
    setup_logging("debug", form, stream=output)
    secret = "hunter" + "2-hunter2"
    log.info("a.b", token=secret, text="my diary", headers={"Cookie": secret}, url=f"redis://u:{secret}@h")
    logging.getLogger("uvicorn.access").info('%s - "GET /socket?token=%s"', "127.0.0.1", secret)
    with bind(api_key=secret):
        try:
            raise ValueError(f"password={secret}")
        except ValueError:
            log.exception("failed")
            logging.getLogger("asyncio").exception("failed")
    written = output.getvalue()
    assert written.count("failed") >= 2
    assert secret not in written
    assert "my diary" not in written


def test_uvicorn_writes_through_us_even_when_it_had_its_own_handlers() -> None:
    own, output = io.StringIO(), Output()
    handler = logging.StreamHandler(own)
    uvicorn = logging.getLogger("uvicorn.access")
    uvicorn.addHandler(handler)
    uvicorn.propagate = False
    setup_logging("info", "json", stream=output)
    uvicorn.info("GET /ready")  # a line for each probe would drown the turns
    uvicorn.warning("GET /")
    assert own.getvalue() == ""
    (line,) = output.lines()
    assert line.items() >= {"event": "GET /", "level": "warning", "logger": "uvicorn.access"}.items()


def test_the_chatter_of_libraries_is_left_out_and_their_warnings_are_not(output: Output) -> None:
    logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
    logging.getLogger("asyncio").debug("Using selector")
    logging.getLogger("alembic.runtime.migration").warning("real")
    assert [line["event"] for line in output.lines()] == ["real"]


def test_setting_up_again_replaces_and_does_not_double(output: Output) -> None:
    second = Output()
    setup_logging("info", "json", stream=second)
    log.info("once")
    logging.getLogger("library").warning("once")
    assert output.getvalue() == ""
    assert len(second.lines()) == 2


def test_a_template_formats_as_the_standard_library_does() -> None:
    output = io.StringIO()
    logger = setup_logging(level="INFO", format="%(name)s - %(levelname)s - %(message)s", stream=output)
    logger.info("started", port=4000)
    assert output.getvalue() == "antiphon - INFO - started port=4000\n"


def test_people_at_a_terminal_get_colours_and_pipes_get_json() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), Output()
    setup_logging("info", "auto", stream=terminal)
    log.info("server.started", port=4000)
    setup_logging("info", "auto", stream=pipe)
    log.info("server.started", port=4000)
    assert "\x1b[" in terminal.getvalue()
    assert pipe.lines()[0]["port"] == 4000


@pytest.mark.parametrize(("level", "form"), [("loud", "json"), ("info", "xml")])
def test_an_unknown_level_or_format_is_refused_by_name(level: str, form: str) -> None:
    with pytest.raises(ConfigError, match=r"loud|xml"):
        setup_logging(level, form)


@pytest.mark.parametrize("template", ["%(nope)s", "%(message", "%(message)d"])
def test_a_template_that_cannot_be_filled_in_is_refused_before_the_first_line(template: str) -> None:
    with pytest.raises(ConfigError, match=f"log format {re.escape(repr(template))} cannot be filled in"):
        setup_logging("info", template)


def test_a_stream_that_fails_does_not_stop_the_work() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    setup_logging("info", "json", stream=Full())
    log.info("unheard")
    closed = io.StringIO()
    setup_logging("info", "json", stream=closed)
    closed.close()
    log.info("unheard")


# --- several outputs ----------------------------------------------------------------------------------------------


def test_each_output_has_its_own_level_and_format(tmp_path: Path) -> None:
    stream = io.StringIO()
    setup_logging(
        "INFO",
        outputs=[
            {"to": "stderr", "format": "console", "level": "WARNING"},
            {"to": str(tmp_path / "all.log"), "level": "DEBUG", "format": "json"},
            LogOutput(to=str(tmp_path / "plain.log"), format="%(levelname)s %(message)s"),
        ],
        stream=stream,
    )
    log.debug("a.debug")
    log.info("a.info", token="hunter2")
    log.warning("a.warning")
    logging.getLogger("library").warning("foreign")
    everything = [json.loads(line) for line in (tmp_path / "all.log").read_text().splitlines()]
    assert [line["event"] for line in everything] == ["a.debug", "a.info", "a.warning", "foreign"]
    assert (tmp_path / "plain.log").read_text().splitlines() == [
        "INFO a.info token=***",
        "WARNING a.warning",
        "WARNING foreign",
    ]
    shown = stream.getvalue().splitlines()
    assert ["a.warning" in shown[0], "foreign" in shown[1], len(shown)] == [True, True, 2]


def test_setting_up_again_closes_the_files(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        setup_logging(outputs=[{"to": str(tmp_path / "a.log")}, {"to": str(tmp_path / "b.log")}])
    setup_logging(stream=io.StringIO())
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("wanted", "wrong"),
    [
        ({"to": ""}, "to: "),
        ({"level": "LOUD"}, "level: "),
        ({"max_bytes": -1}, "max_bytes: "),
        ({"colour": "red"}, "colour: "),
        ({"format": "xml"}, "'xml' does not exist"),
        ({"to": "/proc/nowhere/app.log"}, "/proc/nowhere/app.log cannot be opened"),
    ],
)
def test_an_output_that_cannot_be_is_refused_and_the_log_goes_on_as_it_was(
    tmp_path: Path, wanted: dict[str, Any], wrong: str
) -> None:
    stream = Output()
    setup_logging("info", "json", stream=stream)
    with pytest.raises(ConfigError) as refused:
        setup_logging(outputs=[{"to": str(tmp_path / "a.log")}, wanted])
    assert wrong in str(refused.value)
    log.info("still.here")
    assert [line["event"] for line in stream.lines()] == ["still.here"]


def test_an_output_that_fails_is_told_to_the_others_once_and_tells_itself_what_is_missing() -> None:
    class Sometimes(Output):
        full = False

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    broken, well = Sometimes(), Output()
    sys_stdout, sys.stdout = sys.stdout, broken
    try:
        setup_logging("info", "json", outputs=[{"to": "stdout"}, {"to": "stderr"}], stream=well)
        log.info("one")
        broken.full = True
        for _ in range(100):
            log.info("unheard")
        broken.full = False
        log.info("two")
    finally:
        sys.stdout = sys_stdout
    assert [line["event"] for line in broken.lines()] == ["one", "two", "log.lines_lost"]
    assert broken.lines()[-1]["lines"] == 100
    failed = [line for line in well.lines() if line["event"] == "log.output_failed"]
    assert [(line["where"], line["why"]) for line in failed] == [("stdout", "No space left on device")]
    assert len(well.lines()) == 103


# --- hostile fields -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "console", "%(message)s"])
def test_nobody_forges_a_line_or_a_colour(form: str) -> None:
    stream = io.StringIO()
    setup_logging("info", form, stream=stream)
    hostile = "x\nINFO forged\r\x1b[31mred\x9b1m"
    log.info("http.host_refused", host=hostile, deep={"a": [hostile]})
    logging.getLogger("library").warning("host %s", hostile)
    assert len(stream.getvalue().splitlines()) == 2
    assert not {"\x1b", "\r", "" if form == "json" else "\x9b"} & set(stream.getvalue())


def test_fields_that_json_does_not_know_are_written_all_the_same(output: Output) -> None:
    log.info("odd", half="\ud800", huge=2**80, nan=float("nan"), level="mine", timestamp=1, logger="x")
    (line,) = output.lines()
    assert (line["half"], line["huge"]) == ("\ud800", 2**80)
    assert (line["level"], line["level_"], line["logger_"], line["timestamp_"]) == ("info", "mine", "x", 1)


def test_a_record_whose_arguments_do_not_fit_is_written_without_them(output: Output) -> None:
    class Secretive:
        def __str__(self) -> str:
            raise RuntimeError("hunter2")

    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if handler.get_name() == "antiphon"]  # pytest's would raise
    logging.getLogger("library").warning("two %s %s", *("one",))
    logging.getLogger("library").warning("two %s", Secretive())
    assert [line["event"] for line in output.lines()] == [
        "two %s %s (its arguments do not fit)",
        "two %s (its arguments do not fit)",
    ]


# --- as the documents write it ------------------------------------------------------------------------------------


def test_the_samples_of_the_documents(output: Output) -> None:
    setup_logging(level="INFO", structured=True, stream=output)
    logger = get_logger(__name__, correlation_id="req-123")
    logger.info("Operation completed", extra_fields={"user_id": 456, "password": "hunter2"})
    (line,) = output.lines()
    assert line.items() >= {"correlation_id": "req-123", "user_id": 456, "password": "***"}.items()
    assert "extra_fields" not in line
    text = io.StringIO()
    logger = setup_logging(level="INFO", format="%(asctime)s - %(name)s - %(levelname)s - %(message)s", stream=text)
    logger.info("started")
    assert text.getvalue().endswith(" - antiphon - INFO - started\n")
    setup_logging(structured=False, stream=text)
    logger.info("for people")
    assert not text.getvalue().splitlines()[-1].startswith("{")


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)


def test_a_logger_at_import_loads_nothing_heavy() -> None:
    done = run(
        "import sys\nfrom antiphon.telemetry.logs import get_logger, bind\n"
        "log = get_logger('x')\nlog.info('below the level')\n"
        "with bind(a=1): pass\n"
        "assert not {'structlog', 'rich', 'msgspec', 'prometheus_client'} & set(sys.modules)"
    )
    assert done.stderr == ""


def test_before_setup_warnings_reach_stderr_and_information_does_not() -> None:
    done = run(
        "from antiphon.telemetry.logs import get_logger\n"
        "get_logger('x').info('unheard')\nget_logger('x').warning('disk.nearly_full', token='abc')"
    )
    assert done.stdout == ""
    line = json.loads(done.stderr)
    assert (line["event"], line["token"]) == ("disk.nearly_full", "***")

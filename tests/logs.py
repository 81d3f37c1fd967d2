"""Looks through everything that is logged while the suite runs for what must never be there.

Recorded as they pass: what people say to the house (through a client, an adapter or the OpenAI endpoint, and as a
reason or a comment), what tools are called with, every secret that a setting holds, and the variables of servers that
name one. Looked through at the end of each test: what this process logged, at every level and as it would be written,
and the logs of its servers and of other programs in its folder. The tests' own made-up secrets hold one of `MARKS`.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from antiphon.conversation.router import MessageRouter
from antiphon.domain import ChannelMessage
from antiphon.realtime.client.channel import ClientChannel
from antiphon.telemetry import pipeline
from antiphon.telemetry.formats import render_json
from antiphon.telemetry.logs import Logger
from antiphon.tools.base import Tool
from antiphon.web.openai.answering import Answerer
from antiphon.web.openai.body import AskedCompletion
from tests import serving

MARKS = ("hunter2", "secret-word", "sk-demo-", "my diary")
SHORTEST = 12
"""Shorter texts may occur by chance."""
MOST = 500
"""Texts looked for in one test."""
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")
SECRET_IN_URL = re.compile(r"://[^:/@]*:([^@/]+)@")
SAID = {"message": ("text",), "deny": ("reason",), "feedback": ("comment",)}
"""Events of a client, and the fields that hold a person's words."""
SOURCE = re.compile(r'(^\s*File "[^\n]*)\n[^\n]*', re.MULTILINE)
"""A traceback quotes the line of code, which in a test may well hold the text."""


class LogWatch:
    """What was said, what is secret and what was logged, during one test."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.servers: list[serving.Served] = []
        self.folder: Path | None = None
        self._never: dict[str, None] = dict.fromkeys(MARKS)

    def never(self, text: object) -> None:
        """Nothing that is logged may hold this text."""
        if isinstance(text, str) and len(text) >= SHORTEST and len(self._never) < MOST:
            self._never[text] = None

    def never_of(self, variables: Mapping[str, str]) -> None:
        """As `never`, of each variable that names a secret or holds an address with one."""
        for name, value in variables.items():
            if SECRET_NAME.search(name):
                self.never(value)
            for password in SECRET_IN_URL.findall(value):
                self.never(password)

    def write(self, level: int, line: Mapping[str, Any]) -> None:
        """Takes a line as an output of the pipeline does."""
        exception = line.get("exception")
        self.lines.append(render_json({**line, "exception": SOURCE.sub(r"\1", exception)} if exception else line))

    def leaks(self) -> list[str]:
        """The lines that hold what they must not, each with the text."""
        written = [*self.lines, *self.of_programs()]
        together = "\n".join(written)
        found = []
        for text in self._never:
            shapes = {text, msgspec.json.encode(text).decode()[1:-1], repr(text)[1:-1]}
            if any(shape in together for shape in shapes):
                found += [f"{text[:60]!r} in: {line[:600]}" for line in written if any(s in line for s in shapes)][:3]
        return found

    def of_programs(self) -> list[str]:
        """What servers and other programs of the test have written into files named `log` or `*.log`."""
        files = [] if self.folder is None else [path for path in self.folder.rglob("*log") if path.is_file()]
        logs = [SOURCE.sub(r"\1", path.read_text(errors="replace")) for path in files if _is_log(path)]
        servers = [server.log for server in self.servers if self.folder not in (server.folder, *server.folder.parents)]
        return [line for log in (*servers, *logs) for line in log.split("\n")]

    @property
    def texts(self) -> int:
        return len(self._never) - len(MARKS)


TOTAL = pytest.StashKey[Counter[str]]()
"""What was looked through in the whole session: tests, lines, texts, leaks."""
HANDED_OVER = "antiphon_logs"
"""A process that shares the tests with others hands its total over at its end."""


@pytest.fixture(autouse=True)
def log_watch(request: pytest.FixtureRequest) -> Iterator[LogWatch]:
    """Fails the test, whatever else it proves, when something was logged that must not be."""
    total = request.config.stash.setdefault(TOTAL, Counter())
    watch = LogWatch()
    if "tmp_path" in request.fixturenames:
        watch.folder = request.getfixturevalue("tmp_path")
    with left_as_found(), watching(watch):
        yield watch
    leaks = watch.leaks()
    lines = len(watch.lines) + len(watch.of_programs())
    total.update(tests=1, lines=lines, texts=watch.texts, leaks=len(leaks))
    if leaks:
        pytest.fail("The log holds what it must not:\n" + "\n".join(leaks), pytrace=False)


@contextmanager
def left_as_found() -> Iterator[None]:
    """A test that sets up the log, as a command does, changes no other test's."""
    root, house = logging.getLogger(), pipeline._current.get()
    loggers = [root, *map(logging.getLogger, ("antiphon", *pipeline._QUIET, *pipeline._OWN_HANDLERS))]
    levels, handlers, outputs = [logger.level for logger in loggers], list(root.handlers), house._outputs
    yield
    for logger, level in zip(loggers, levels, strict=True):
        if logger.level != level:  # setting it makes all loggers forget what they know
            logger.setLevel(level)
    root.handlers[:] = handlers
    house._outputs = outputs


@contextmanager
def watching(watch: LogWatch) -> Iterator[None]:
    """Shows `watch` all that is said, secret or logged meanwhile."""
    handler = pipeline._Records(watch)  # type: ignore[arg-type]  # it needs no more than `write`
    handler.set_name("leak watch")
    root = logging.getLogger()
    root.addHandler(handler)
    with pytest.MonkeyPatch.context() as patch:
        _see(
            patch,
            Logger,
            "_write",
            lambda log, level, event, fields: watch.write(level, _as_written(log, level, event, fields)),
        )
        _see(patch, SecretStr, "__init__", lambda _, value: watch.never(value))
        _see(patch, ClientChannel, "push", lambda _, event, payload=None, **__: _said(watch, event, payload))
        _see(patch, MessageRouter, "deliver", lambda _, message: _delivered(watch, message))
        _see(patch, Answerer, "begin", lambda _, asked, person: _asked(watch, asked))
        _see(patch, Tool, "call", lambda _, arguments, context: _called(watch, arguments))
        _see(patch, serving.Served, "launch", lambda server, *_: _launched(watch, server))
        yield
    root.removeHandler(handler)


def _see(patch: pytest.MonkeyPatch, owner: type, name: str, look: Any) -> None:
    """Calls `look` before each call of a method."""
    method = getattr(owner, name)

    @wraps(method)
    def seen(*args: Any, **kwargs: Any) -> Any:
        look(*args, **kwargs)
        return method(*args, **kwargs)

    patch.setattr(owner, name, seen)


def _as_written(log: Any, level: int, event: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The line as an output of any level gets it."""
    told = {**log._fields, **fields}
    told |= told.pop("extra_fields", {})
    return pipeline._line(event, told, logging.getLevelName(level).lower(), log._name)


def _said(watch: LogWatch, event: str, payload: object) -> None:
    if isinstance(payload, Mapping):
        for field in SAID.get(event, ()):
            watch.never(payload.get(field))


def _delivered(watch: LogWatch, message: ChannelMessage) -> None:
    watch.never(message.text)


def _asked(watch: LogWatch, asked: AskedCompletion) -> None:
    for message in asked.messages:
        watch.never(message.text)


def _called(watch: LogWatch, arguments: str) -> None:
    """Texts among the arguments; names and numbers are no secrets."""
    with suppress(msgspec.DecodeError, ValueError, RecursionError):
        found = msgspec.json.decode(arguments) if arguments else {}
        for value in found.values() if isinstance(found, dict) else ():
            if isinstance(value, str) and " " in value:
                watch.never(value)


def _is_log(path: Path) -> bool:
    return path.name == "log" or path.suffix == ".log"


def _launched(watch: LogWatch, server: serving.Served) -> None:
    watch.never_of(server.variables)
    if server not in watch.servers:
        watch.servers.append(server)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        total = session.config.stash.setdefault(TOTAL, Counter())
        session.config.workeroutput[HANDED_OVER] = dict(total)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    handed_over = getattr(node, "workeroutput", {}).get(HANDED_OVER, {})
    node.config.stash.setdefault(TOTAL, Counter()).update(handed_over)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    total = config.stash.setdefault(TOTAL, Counter())
    terminalreporter.write_line(
        f"logs: {total['lines']} lines of {total['tests']} tests hold none of {total['texts']} texts and secrets"
        if not total["leaks"]
        else f"logs: {total['leaks']} lines hold what they must not"
    )

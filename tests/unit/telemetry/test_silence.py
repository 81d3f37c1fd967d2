"""The watch over the logs of the whole suite finds what it is to find."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from antiphon.telemetry.logs import get_logger
from tests.logs import LogWatch, watching
from tests.serving import Served

ROOT = Path(__file__).parents[3]
log = get_logger("antiphon.tests")


@pytest.fixture
def watch() -> LogWatch:
    """One of its own: what it sees is meant to be found."""
    return LogWatch()


@pytest.fixture
def log_watch() -> None:
    """Not the one of the suite, which these tests would fail."""


@pytest.mark.parametrize("text", ["I met her in Lisbon", 'she said "ä\n\u2028" twice', "x" * 5000, "tab\tand \x1b[1m"])
def test_what_somebody_said_is_found_however_it_is_written(watch: LogWatch, text: str) -> None:
    watch.never(text)
    with watching(watch):
        log.debug("turn.finished", reason=f"because {text}")
    assert len(watch.leaks()) == 1


def test_what_is_hidden_or_short_or_somebody_elses_is_not_found(watch: LogWatch) -> None:
    watch.never("I met her in Lisbon")
    watch.never("ok")
    with watching(watch):
        log.warning("turn.finished", text="I met her in Lisbon", outcome="ok", place="Lisbon")
        log.info("key", reason="password=hunter2")
    assert watch.leaks() == []
    assert len(watch.lines) == 2


def test_lines_below_the_level_and_of_other_libraries_are_seen(watch: LogWatch) -> None:
    with watching(watch):
        log.debug("a.b", where="hunter2")
        logging.getLogger("library").warning("saw %s", "hunter2")
    logging.getLogger("library").warning("saw %s", "hunter2")
    assert len(watch.leaks()) == 2


def test_a_secret_of_the_settings_is_looked_for(watch: LogWatch) -> None:
    with watching(watch):
        SecretStr("correct horse battery")
        log.info("a.b", where="correct horse battery")
    assert len(watch.leaks()) == 1


def test_a_traceback_counts_with_its_message_and_not_with_its_source(watch: LogWatch) -> None:
    watch.never("met in Lisbon" + " by night")
    with watching(watch):
        try:
            raise ValueError("met in Lisbon" + " by night")
        except ValueError:
            log.exception("a.b")
    assert len(watch.leaks()) == 1
    watch = LogWatch()
    watch.never('raise KeyError("met in Lisbon")')
    with watching(watch):
        try:
            raise KeyError("met in Lisbon")
        except KeyError:
            log.exception("a.b")
    assert watch.leaks() == []


def test_the_log_of_a_server_is_looked_through(watch: LogWatch, tmp_path: Path) -> None:
    server = Served(tmp_path, OPENAI_API_KEY="a-key-of-the-house", DATABASE="postgresql://me:swordfish-and-more@db/x")
    watch.never_of(server.variables)
    watch.servers.append(server)
    (tmp_path / "server.log").write_text("well\nwith a-key-of-the-house\nswordfish-and-more\n")
    assert len(watch.leaks()) == 2


def test_a_leak_fails_the_test_and_the_session_tells(tmp_path: Path) -> None:
    tmp_path.joinpath("test_leaking.py").write_text(
        "from antiphon.telemetry.logs import get_logger\n"
        "def test_leaks(): get_logger('antiphon.x').info('a.b', where='hunter2')\n"
        "def test_does_not(): get_logger('antiphon.x').info('a.b', password='hunter2')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.logs", "-p", "no:cacheprovider", "."]
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "'hunter2' in: " in done.stdout
    assert "logs: 1 lines hold what they must not" in done.stdout


def test_the_log_of_any_program_in_the_folder_is_looked_through(watch: LogWatch, tmp_path: Path) -> None:
    watch.folder = tmp_path
    watch.never("what tools were called with")
    (tmp_path / "deep").mkdir()
    for name in ("log", "deep/worker.log", "catalog", "notes.txt"):
        (tmp_path / name).write_text("well\nwhat tools were called with\n")
    assert len(watch.leaks()) == 2

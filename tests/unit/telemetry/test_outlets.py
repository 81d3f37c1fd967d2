import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from antiphon.errors import ConfigError
from antiphon.telemetry import outlets
from antiphon.telemetry.outlets import FileOutlet, StreamOutlet


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is compared with its path before every line."""
    monkeypatch.setattr(outlets, "LOOK_SECONDS", -1.0)


def lines(folder: Path) -> list[str]:
    """All lines of all files, the oldest file first."""
    files = sorted(folder.glob("app.log*"), key=lambda path: -int(path.suffix[1:]) if path.suffix != ".log" else 0)
    return [line for path in files for line in path.read_text().splitlines()]


def test_a_file_is_made_with_its_folder_and_appended_to(tmp_path: Path) -> None:
    for text in ("one", "zwei ä", "half \ud800"):
        outlet = FileOutlet(tmp_path / "logs" / "app.log", 0, 1)
        assert outlet.write(text)
        outlet.close()
    assert (tmp_path / "logs" / "app.log").read_text().splitlines() == ["one", "zwei ä", "half \\ud800"]


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file, no folder")
    with pytest.raises(ConfigError, match=r"The log file .*blocked/app\.log cannot be opened: "):
        FileOutlet(tmp_path / "blocked" / "app.log", 0, 1)
    with pytest.raises(ConfigError, match="Is a directory"):
        FileOutlet(tmp_path, 0, 1)


def test_a_file_never_grows_beyond_its_size_and_the_oldest_lines_go_first(tmp_path: Path) -> None:
    outlet = FileOutlet(tmp_path / "app.log", 100, 3)
    for number in range(100):
        outlet.write(f"line {number:04}")
    outlet.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.log", "app.log.1", "app.log.2", "app.log.3"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    kept = lines(tmp_path)
    assert kept == [f"line {number:04}" for number in range(100 - len(kept), 100)]
    assert len(kept) > 30


def test_a_line_longer_than_the_file_may_be_is_written_whole(tmp_path: Path) -> None:
    outlet = FileOutlet(tmp_path / "app.log", 100, 1)
    for _ in range(2):
        assert outlet.write("x" * 500)
    outlet.close()
    assert lines(tmp_path) == ["x" * 500] * 2


def write_many(path: Path, who: int, count: int) -> None:
    outlet = FileOutlet(path, 4000, 100)
    for number in range(count):
        outlet.write(f"{who} {number}")
    outlet.close()


def check_all_there(folder: Path) -> None:
    """Each writer's lines are all there, whole. While somebody else rotates, a file may run over by what is written
    in the second until the others look."""
    expected = {f"{who} {number}" for who in range(4) for number in range(2000)}
    assert set(lines(folder)) == expected
    assert len(lines(folder)) == len(expected)
    assert (folder / "app.log.1").exists()


def test_several_writers_of_one_process_lose_no_line_while_the_file_is_rotated(tmp_path: Path, at_once: None) -> None:
    workers = [threading.Thread(target=write_many, args=(tmp_path / "app.log", who, 2000)) for who in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    check_all_there(tmp_path)


def test_several_processes_lose_no_line_either(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from antiphon.telemetry.outlets import FileOutlet\n"
        "outlet = FileOutlet(Path(sys.argv[1]), 4000, 100)\n"
        "for number in range(2000): outlet.write(f'{sys.argv[2]} {number}')\n"
    )
    path = str(tmp_path / "app.log")
    workers = [subprocess.Popen([sys.executable, "-c", program, path, str(who)]) for who in range(4)]
    assert [worker.wait(30) for worker in workers] == [0, 0, 0, 0]
    check_all_there(tmp_path)


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_file_that_another_program_takes_away_is_begun_anew(tmp_path: Path, at_once: None, how: str) -> None:
    path = tmp_path / "app.log"
    outlet = FileOutlet(path, 0, 1)
    outlet.write("before")
    path.rename(tmp_path / "app.log.1") if how == "moved" else path.unlink()
    outlet.write("after")
    outlet.close()
    assert path.read_text() == "after\n"


def test_a_file_that_is_cut_to_nothing_goes_on_from_there(tmp_path: Path, at_once: None) -> None:
    path = tmp_path / "app.log"
    outlet = FileOutlet(path, 1000, 1)
    outlet.write("x" * 900)
    os.truncate(path, 0)
    outlet.write("y" * 900)
    outlet.close()
    assert path.read_text() == "y" * 900 + "\n"
    assert not (tmp_path / "app.log.1").exists()


def test_a_folder_that_vanishes_costs_lines_and_nothing_else(tmp_path: Path, at_once: None) -> None:
    folder = tmp_path / "logs"
    outlet = FileOutlet(folder / "app.log", 0, 1)
    folder.joinpath("app.log").unlink()
    folder.rmdir()
    assert not outlet.write("lost")
    folder.mkdir()
    assert outlet.write("kept")
    outlet.close()
    assert (folder / "app.log").read_text() == "kept\n"


def test_where_nothing_can_be_moved_the_file_goes_on(tmp_path: Path) -> None:
    (tmp_path / "app.log.1").mkdir()
    (tmp_path / "app.log.1" / "not empty").touch()
    outlet = FileOutlet(tmp_path / "app.log", 10, 1)
    assert all(outlet.write(f"line {number}") for number in range(20))
    outlet.close()
    assert len((tmp_path / "app.log").read_text().splitlines()) == 20


def test_a_full_disk_costs_lines_and_tears_none_that_follows(tmp_path: Path) -> None:
    """A limit on the size of files does what a full disk does: part of a line is written, then nothing."""
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from pathlib import Path\n"
        "from antiphon.telemetry.outlets import FileOutlet\n"
        "outlet = FileOutlet(Path(sys.argv[1]), 0, 1)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
        "print([outlet.write('x' * 39) for _ in range(5)])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print(outlet.write('whole'))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "app.log")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split("\n")[:2] == ["[True, True, False, False, False]", "True"]
    written = (tmp_path / "app.log").read_text().splitlines()
    assert (written[:2], written[-1]) == (["x" * 39] * 2, "whole")


def test_a_stream_is_the_one_of_the_moment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    outlet = StreamOutlet("stdout")
    assert outlet.write("first")
    other = io.StringIO()
    monkeypatch.setattr(sys, "stdout", other)
    assert outlet.write("second")
    monkeypatch.setattr(sys, "stdout", None)
    assert not outlet.write("third")
    monkeypatch.undo()
    assert (capsys.readouterr().out, other.getvalue()) == ("first\n", "second\n")


def test_a_terminal_that_is_gone_costs_lines_and_nothing_else() -> None:
    program = (
        "import os, sys\n"
        "from antiphon import setup_logging\n"
        "log = setup_logging('INFO', structured=True)\n"
        "log.info('heard')\n"
        "os.close(2)\n"
        "for _ in range(1000): log.info('unheard')\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "done\n"
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["heard"]


def test_closing_leaves_the_streams_of_the_process_open() -> None:
    stream = io.StringIO()
    StreamOutlet("stderr", stream).close()
    assert not stream.closed

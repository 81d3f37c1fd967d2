"""One process at a time answers from a SQLite file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.errors import ServiceError
from antiphon.storage.sqlite.claim import Claim, Holder

HOLD = """
import sys
from pathlib import Path
from antiphon.storage.sqlite.claim import Claim
claim = Claim(Path(sys.argv[1]))
claim.take("http://127.0.0.1:4000")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "antiphon.db"


def test_a_second_claim_is_refused_and_told_who_has_the_first(database: Path) -> None:
    first, second = Claim(database), Claim(database)
    assert second.holder() is None
    first.take("http://127.0.0.1:4000")
    assert second.holder() == Holder(os.getpid(), "http://127.0.0.1:4000")
    with pytest.raises(ServiceError, match=rf"process {os.getpid()}, http://127\.0\.0\.1:4000.*already"):
        second.take()
    first.release()
    assert second.holder() is None
    second.take()
    assert first.holder() == Holder(os.getpid(), None)
    second.release()


def test_taking_and_releasing_twice_changes_nothing(database: Path) -> None:
    claim = Claim(database)
    claim.take()
    claim.take()
    claim.release()
    claim.release()
    assert Claim(database).holder() is None


def test_a_process_that_is_killed_leaves_its_claim(database: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert Claim(database).holder() == Holder(process.pid, "http://127.0.0.1:4000")
        with pytest.raises(ServiceError):
            Claim(database).take()
        process.send_signal(signal.SIGKILL)
        process.wait()
    claim = Claim(database)
    assert claim.holder() is None
    claim.take()
    claim.release()


def test_a_holder_that_left_no_word_is_one_all_the_same(database: Path) -> None:
    claim = Claim(database)
    claim.take()
    lock = database.with_name("antiphon.db.lock")
    lock.write_text("{")
    assert Claim(database).holder() == Holder(0)
    with pytest.raises(ServiceError, match="Another Antiphon answers"):
        Claim(database).take()
    lock.write_text(json.dumps({"pid": 1}))
    assert Claim(database).holder() == Holder(1)
    claim.release()


def test_the_lock_is_for_its_owner_alone(database: Path) -> None:
    claim = Claim(database)
    claim.take()
    assert database.with_name("antiphon.db.lock").stat().st_mode & 0o777 == 0o600
    claim.release()


def test_a_lock_that_cannot_be_made_is_one_sentence(database: Path) -> None:
    database.parent.mkdir()
    database.with_name("antiphon.db.lock").mkdir()
    with pytest.raises(ServiceError, match=r"beside the database cannot be written \(Is a directory\)"):
        Claim(database).take()
    with pytest.raises(ServiceError, match="check its folder and its disk"):
        Claim(database).holder()


def test_memory_needs_no_claim() -> None:
    first, second = Claim(None), Claim(None)
    first.take()
    second.take()
    assert first.holder() is None

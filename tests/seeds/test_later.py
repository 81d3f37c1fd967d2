"""A mark for later holds exactly as long as its reason."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.seeds.extract import blocks
from tests.seeds.running import ROOT, having, home, prepare, public

PROGRAM = """
from tests.seeds.later import NotBuiltError, later

@later("plugins")
def test_of_what_is_missing():
    raise NotBuiltError("antiphon has no BasePlugin yet")

@later("plugins")
def test_of_what_has_come():
    assert True

@later("plugins")
def test_of_what_has_come_and_is_wrong():
    assert 1 + 1 == 3
"""


def test_a_mark_excuses_what_is_missing_and_neither_what_works_nor_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "test_marked.py"
    file.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(file)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "2 failed, 1 xfailed" in done.stdout
    assert "[XPASS(strict)] plugins: plugins" in done.stdout
    assert "assert (1 + 1) == 3" in done.stdout


def test_a_name_is_public_or_promised_or_a_mistake_of_the_test() -> None:
    assert public("Phoenix").__name__ == "Phoenix"
    with pytest.raises(LookupError, match="Phenix is neither given by the test, nor public"):
        public("Phenix")


def test_nothing_may_stand_for_what_is_public() -> None:
    with pytest.raises(LookupError, match="Channel: the block is to use ours"):
        prepare(blocks()["pyphoenix-2"], {"app": None, "Channel": object})


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    assert having("text", "upper") == "text"
    with pytest.raises(AssertionError, match="str has no sing yet"):
        having("text", "upper", "sing")
    assert home("realtime").is_dir()
    with pytest.raises(AssertionError, match="there is no moon yet"):
        home("moon", below=tmp_path)

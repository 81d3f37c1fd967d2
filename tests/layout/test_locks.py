"""What people install and what the tests run with: one set of versions, and nothing left lying about."""

import re
import subprocess
from pathlib import Path


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text("utf-8"), re.MULTILINE))


def test_both_lock_files_are_one_installation(root: Path) -> None:
    runtime, dev = pins(root / "requirements.lock"), pins(root / "requirements-dev.lock")
    assert len(runtime) > 20
    assert {name: dev.get(name) for name in runtime} == runtime


def test_no_file_came_in_by_a_slip_of_a_command(root: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False).stdout.split()
    assert [path for path in listed if not re.match(r"[\w.]", path)] == []

"""The script that prepares an empty machine, on machines that lack one thing or another."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FAKES = {
    "make": 'echo "make $* with $ANTIPHON_TEST_REQUIRE"',
    "apt-get": 'echo "apt-get $*" >&2',
    "sudo": 'shift; exec "$@"',
    "chromium": "exit 0",
    "initdb": "exit 0",
    "redis-server": "exit 0",
    "redis-sentinel": "exit 0",
    "nats-server": "exit 0",
}

ALL = "chromium,nats,node,pgvector,postgres,redis,redis-sentinel"


def run(root: Path, folder: Path, *absent: str, **environment: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    for name in ("bash", "dirname"):
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is missing"))
    (folder / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for name, script in FAKES.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    for path in folder.iterdir():
        if not path.is_symlink():
            path.chmod(0o755)
    for name in absent:
        (folder / name).unlink()
    bash = str(folder / "bash")
    return subprocess.run(
        [bash, str(root / ".ci" / "run")],
        env={"PATH": str(folder), **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_machine_that_has_everything_installs_nothing(root: Path, tmp_path: Path) -> None:
    done = run(root, tmp_path / "bin")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"make test with {ALL}\n")


def test_what_is_missing_is_installed_without_questions(root: Path, tmp_path: Path) -> None:
    done = run(root, tmp_path / "bin", "chromium", "redis-server")
    assert done.returncode == 0
    assert "apt-get -qq update" in done.stderr
    assert "Installing chromium fonts-dejavu-core redis-server" in done.stdout
    assert done.stdout.endswith(f"make test with {ALL}\n")


def test_other_requirements_may_be_named(root: Path, tmp_path: Path) -> None:
    done = run(root, tmp_path / "bin", ANTIPHON_TEST_REQUIRE="chromium")
    assert done.stdout == "make test with chromium\n"


def test_without_a_way_to_install_it_says_what_is_missing(root: Path, tmp_path: Path) -> None:
    done = run(root, tmp_path / "bin", "python3", "chromium", "apt-get")
    assert done.returncode == 1
    assert "python3 python3-venv chromium" in done.stderr


def test_it_is_executable_and_names_no_host(root: Path) -> None:
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "://" not in script.read_text()

"""The words people type, with a home that is missing and tools that are not there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Path:
    """A folder in which everything seems to be installed, with a server that only says how it was started."""
    folder = tmp_path / "a clone"
    server = folder / ".venv" / "bin" / "antiphon"
    page = folder / "src" / "antiphon" / "web" / "static" / "index.html"
    for path in (server, page, folder / ".venv" / "bin" / "python", folder / ".venv" / "stamps" / "runtime"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copyfile(root / name, folder / name)
    server.write_text('#!/bin/sh\necho "served: $@ home: $HOME"\n')
    server.chmod(0o755)
    for number, name in enumerate(("runtime", "project", "dev"), 1):
        stamp = folder / ".venv" / "stamps" / name
        stamp.touch()
        later = (folder / "Makefile").stat().st_mtime + number
        os.utime(stamp, (later, later))
    return folder


def make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("make")
    if tool is None:
        pytest.skip("make is not installed")
    kept = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [tool, *words],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_warm_run_only_starts_the_server(checkout: Path, tmp_path: Path) -> None:
    done = make(checkout, "run", HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"served: serve home: {tmp_path}\n")


def test_the_address_can_be_given(checkout: Path, tmp_path: Path) -> None:
    done = make(checkout, "run", HOME=str(tmp_path), PORT="5000", HOST="::1")
    assert "served: serve --host ::1 --port 5000 " in done.stdout
    assert "served: serve --port 5001 " in make(checkout, "run", "PORT=5001", HOME=str(tmp_path)).stdout


@pytest.mark.parametrize("home", [None, "/nonexistent", ""])
def test_a_missing_home_is_replaced_inside_the_checkout(checkout: Path, home: str | None) -> None:
    environment = {} if home is None else {"HOME": home}
    done = make(checkout, "run", **environment)
    assert done.stdout == f"served: serve home: {checkout / '.cache' / 'home'}\n"
    assert (checkout / ".cache" / "home").is_dir()


def test_a_machine_without_python_is_told_what_to_install(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "find", "mkdir", "test"):
        (tools / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    done = make(checkout, "run", HOME=str(tmp_path), PATH=str(tools))
    assert done.returncode != 0
    assert "Antiphon needs Python 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_soak_lasts_as_long_as_is_asked(checkout: Path, tmp_path: Path) -> None:
    assert "ANTIPHON_SOAK_SECONDS=3600 " in make(checkout, "--dry-run", "soak", HOME=str(tmp_path)).stdout
    assert "ANTIPHON_SOAK_SECONDS=7 " in make(checkout, "--dry-run", "soak", "SECONDS=7", HOME=str(tmp_path)).stdout


def test_help_names_every_word(checkout: Path, root: Path, tmp_path: Path) -> None:
    shown = make(checkout, HOME=str(tmp_path)).stdout
    phony = next(line for line in (root / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    for word in set(phony.split()[1:]) - {"FORCE", "help"}:
        assert f"make {word} " in shown


def test_an_environment_whose_python_is_gone_is_made_again(checkout: Path, tmp_path: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    plan = make(checkout, "--dry-run", "run", HOME=str(tmp_path)).stdout
    steps = [plan.index(step) for step in ("-m venv", "requirements.lock", "--editable", "antiphon serve")]
    assert steps == sorted(steps)

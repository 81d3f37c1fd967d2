"""Every case of every benchmark runs: once, small, in processes of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import measuring

ROOT = Path(measuring.ROOT)
NAMES = sorted(path.stem.removeprefix("bench_") for path in (ROOT / "benchmarks").glob("bench_*.py"))
COMPILED = {"connections", "http", "idle", "latency", "sockets"}
pytestmark = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="CPU of processes is read in /proc")


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", NAMES)
def test_every_case_runs_once_and_keeps_nothing(name: str) -> None:
    if name in COMPILED and shutil.which("cc") is None:
        pytest.skip("the load generator needs a C compiler")
    if name == "session" and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    kept = ROOT / "benchmarks" / "results" / f"{name}.json"
    before = kept.read_bytes() if kept.exists() else None
    done = bench("--once", name)
    assert done.returncode == 0, done.stderr
    title, *rows = done.stdout.strip().splitlines()
    assert title.startswith(f"{name}: ")
    assert len(rows) >= 3
    assert all(" × " in row for row in rows)
    assert (kept.read_bytes() if kept.exists() else None) == before


def test_an_unknown_benchmark_is_named_with_those_that_exist() -> None:
    done = bench("nothing")
    assert done.returncode == 1
    assert "nothing" in done.stderr
    assert all(name in done.stderr for name in NAMES)


def test_the_cpu_time_of_a_process_is_that_of_all_its_threads(tmp_path: Path) -> None:
    burn = "import threading, time\ndef burn():\n while time.thread_time() < 0.2: pass\n"
    script = f"{burn}threads = [threading.Thread(target=burn) for _ in 'ab']\n"
    script += "[t.start() for t in threads]\nwhile time.process_time() < 0.4: time.sleep(0.01)\n"
    script += "print('burnt it', flush=True)\ntime.sleep(60)"
    script = script.replace("pass\n", "pass\n time.sleep(60)\n", 1)
    with measuring.process("-c", script, ready="burnt (it)", folder=tmp_path) as (pid, said):
        assert said == "it"
        assert 0.4 <= measuring.cpu_seconds(pid) < 5
        assert measuring.resident_mib(pid) > 1


def test_a_process_that_ends_early_is_told_with_what_it_said(tmp_path: Path) -> None:
    ended = measuring.process("-c", "print('no port is free')", ready="ready (now)", folder=tmp_path)
    with pytest.raises(RuntimeError, match="no port is free"), ended:
        pytest.fail("it was never ready")

"""Real processes, and what becomes of them."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from antiphon.errors import ProcessingError, ResourceError
from antiphon.security.resources import Resources
from antiphon.security.sandbox import Sandbox, SandboxedError
from tests import sandboxed

ROOT = Path(__file__).parents[3]
SMALL = Resources(memory_limit="128Mi", storage_size="8Mi", processes=8)


async def run(
    function: Callable[..., Any], *, limits: Resources = SMALL, output: int = 10_000, **arguments: Any
) -> Any:
    sandbox = Sandbox("Tool test", limits, output_limit=output)
    return await sandbox.run(f"{sandboxed.__name__}:{function.__name__}", arguments)


def carrying(mark: str) -> list[psutil.Process]:
    """Processes with `mark` in their command line."""
    return [each for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or ())]


async def until(condition: Callable[[], object], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert list(tmp_path.glob("antiphon-*")) == []
    assert [child for child in psutil.Process().children(recursive=True) if "supervisor.py" in str(child)] == []


# --- what goes in and comes out -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 1.5, "é\n😀", [1, {"a": None}], {"k": ["v" * 9_000]}])
async def test_values_go_in_and_come_out_as_json(value: Any) -> None:
    assert await run(sandboxed.echo, value=value) == value


async def test_a_coroutine_is_run() -> None:
    assert await run(sandboxed.later, value=3) == 3


async def test_nothing_of_the_house_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with tempfile.TemporaryFile() as file:
        os.set_inheritable(file.fileno(), True)
        found = await run(sandboxed.surroundings)
    assert set(found["environment"]) <= {"HOME", "LANG", "LC_CTYPE", "PATH", "SANDBOXED_BY", "TMPDIR"}
    assert len(found["descriptors"]) == 5  # the three standard ones, that for the answer, and the list's
    assert found["folder"] == found["home"]
    assert found["session"]
    assert found["cores"] == 1


async def test_a_refusal_is_a_sentence() -> None:
    with pytest.raises(ProcessingError, match=r"^There is no such article\.$"):
        await run(sandboxed.refuse)


async def test_any_other_error_is_told_without_its_message() -> None:
    with pytest.raises(SandboxedError) as caught:
        await run(sandboxed.stumble)
    assert caught.value.kind == "KeyError"
    assert "in stumble" in caught.value.stack
    assert "WHAT A PERSON WROTE" not in f"{caught.value.stack} {caught.value}"


@pytest.mark.parametrize(("function", "kind"), [(sandboxed.vanish, "exit"), (sandboxed.unsayable, "TypeError")])
async def test_an_end_without_a_result_is_told(function: Callable[..., Any], kind: str) -> None:
    with pytest.raises(SandboxedError) as caught:
        await run(function)
    assert caught.value.kind == kind


# --- limits -------------------------------------------------------------------------------------------------------


async def test_one_process_gets_no_more_memory_than_its_limit() -> None:
    with pytest.raises(ResourceError, match="Tool test needed more than its limit of 128Mi of memory and was ended"):
        await run(sandboxed.hoard, megabytes=1_000)


async def test_the_limit_of_memory_is_that_of_all_together() -> None:
    with pytest.raises(ResourceError, match="128Mi of memory"):
        await run(sandboxed.hoard_together, megabytes=50, children=5)


@pytest.mark.parametrize(("megabytes", "files"), [(20, 1), (4, 10)], ids=["one file", "many files"])
async def test_a_folder_gets_no_larger_than_its_limit(megabytes: int, files: int) -> None:
    with pytest.raises(ResourceError, match="8Mi of storage"):
        await run(sandboxed.fill, megabytes=megabytes, files=files)


async def test_output_is_bounded_and_what_is_printed_is_none_of_it() -> None:
    assert await run(sandboxed.shout, size=5_000) == "x" * 5_000
    with pytest.raises(ResourceError, match="10000 bytes of output"):
        await run(sandboxed.shout, size=200_000)


async def test_a_fork_bomb_is_put_out() -> None:
    begun = time.monotonic()
    with pytest.raises(ResourceError, match="8 processes"):
        await run(sandboxed.bomb)
    assert time.monotonic() - begun < 20


async def test_a_share_of_a_core_is_kept() -> None:
    """Measured as a ratio of what a whole core gives at the same time, because others use this machine too."""
    whole, part = await asyncio.gather(
        run(sandboxed.burn, seconds=1.5),
        run(sandboxed.burn, seconds=1.5, limits=Resources(cpu_limit="200m")),
    )
    assert 0.05 < part / 1.5 < 0.4
    assert part < whole


async def test_a_folder_that_was_closed_is_removed_all_the_same() -> None:
    await run(sandboxed.close_to_itself)


# --- ends ---------------------------------------------------------------------------------------------------------


async def test_cancelling_ends_also_what_left_the_session() -> None:
    mark = uuid4().hex
    task = asyncio.create_task(run(sandboxed.begin, mark=mark, seconds=60))
    await until(lambda: carrying(mark))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert carrying(mark) == []


async def test_what_a_function_leaves_behind_ends_with_it() -> None:
    mark = uuid4().hex
    await run(sandboxed.begin, mark=mark, seconds=0.3)
    assert carrying(mark) == []


async def test_a_supervisor_that_is_killed_takes_the_worker_along() -> None:
    begun = time.monotonic()
    with pytest.raises(SandboxedError, match="ended before its function did"):
        await run(sandboxed.kill_the_supervisor)
    assert time.monotonic() - begun < 30


async def test_nothing_outlives_a_house_that_is_killed(tmp_path: Path) -> None:
    mark = uuid4().hex
    program = (
        "import asyncio\n"
        "from antiphon.security.resources import Resources\n"
        "from antiphon.security.sandbox import Sandbox\n"
        "sandbox = Sandbox('t', Resources(), output_limit=1000)\n"
        f"asyncio.run(sandbox.run('tests.sandboxed:begin', {{'mark': {mark!r}, 'seconds': 60}}))\n"
    )
    environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    house = subprocess.Popen([sys.executable, "-c", program], env=environ)
    try:
        await until(lambda: carrying(mark))
        assert list(tmp_path.glob("antiphon-*"))
    finally:
        house.send_signal(signal.SIGKILL)
        house.wait()
    await until(lambda: not carrying(mark) and not list(tmp_path.glob("antiphon-*")))


async def test_many_at_once_do_not_mix(tmp_path: Path) -> None:
    runs: list[Awaitable[Any]] = [run(sandboxed.echo, value=number) for number in range(8)]
    assert await asyncio.gather(*runs) == list(range(8))

"""Functions in processes of their own, which get what `Resources` says and no more.

Arguments and results are JSON. A process inherits neither environment nor open files, works in a folder that is
removed behind it, and ends with all that it has started: with its function, at a limit, when the caller no longer
waits, and when this process dies. It is no wall against malice: it has the rights of this process's user, and the
network.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any, cast
from uuid import uuid4

import msgspec
from msgspec import Struct

from antiphon.errors import ConfigError, ProcessingError, ResourceError
from antiphon.runtime.threads import run_async
from antiphon.security.resources import Resources

_Pipes = tuple[asyncio.StreamWriter, asyncio.StreamReader]

_SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))
_END_SECONDS = 5.0  # for ending a family of processes; the last of them is killed without being asked
_MARK = "SANDBOXED_BY"
_FRAME = 64 * 1024  # of the outcome, around the value


class _Outcome(Struct, forbid_unknown_fields=True):
    value: Any = None
    limit: str = ""
    refusal: str = ""
    error: str = ""
    stack: str = ""


class SandboxedError(ProcessingError):
    """The function raised. `kind` is the name of what it raised and `stack` where, without its message."""

    code = "sandboxed"

    def __init__(self, message: str, *, kind: str, stack: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.stack = stack


def inside() -> bool:
    """Whether this process is one that a sandbox began."""
    return _MARK in os.environ


class Sandbox:
    """Runs functions, each call in a process of its own; it keeps nothing between calls. `name` is for sentences.

    `output_limit` is in bytes of JSON. Raises `ConfigError` where the system cannot keep limits.
    """

    def __init__(self, name: str, resources: Resources, *, output_limit: int) -> None:
        if sys.platform != "linux":
            raise ConfigError(f"{name}: limits of a process are kept on Linux only; take resources= away here.")
        self._name = name
        self._resources = resources
        self._output_limit = output_limit

    async def run(self, function: str, arguments: Mapping[str, Any]) -> Any:
        """What `module:name` returns, called with `arguments` by name. A coroutine function is run in a loop.

        Raises `ResourceError` at a limit, `ProcessingError` with the sentence of an error of this package that it
        raised, `SandboxedError` for any other. There is no limit of time here: cancelling ends the process.
        """
        folder = f"{tempfile.gettempdir()}/antiphon-{uuid4().hex}"
        job = msgspec.json.encode(self._job(function, arguments, folder))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", _SUPERVISOR,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={}, cwd="/", start_new_session=True,
        )  # fmt: skip
        into, out = cast("_Pipes", (process.stdin, process.stdout))
        said = b""
        try:
            with suppress(ConnectionError):
                into.write(job + b"\n")
                await into.drain()
            said = await out.readline()
            said += await out.read()
        finally:
            into.close()
            await _gone(process, said.partition(b"\n")[0], folder)
        return self._value(said.partition(b"\n")[2])

    def _job(self, function: str, arguments: Mapping[str, Any], folder: str) -> dict[str, Any]:
        limits = self._resources
        return {
            "function": function,
            "arguments": arguments,
            "folder": folder,
            "path": [os.path.abspath(entry) for entry in sys.path],  # noqa: PTH100 - "" means the working folder
            "environ": {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder, _MARK: "antiphon"},
            "cpus": limits.cpus,
            "memory": limits.memory_bytes,
            "storage": limits.storage_bytes,
            "processes": limits.processes,
            "output": self._output_limit + _FRAME,
        }

    def _value(self, report: bytes) -> Any:
        end, _, told = report.partition(b"\n")
        if end != b"over":
            raise self._beyond(end.decode())
        try:
            outcome = msgspec.json.decode(told[1:], type=_Outcome)
        except msgspec.DecodeError:
            raise SandboxedError(f"{self._name} ended without a result.", kind="exit", stack="") from None
        if outcome.limit:
            raise self._beyond(outcome.limit)
        if outcome.refusal:
            raise ProcessingError(outcome.refusal)
        if outcome.error:
            message = f"{self._name} raised {outcome.error}."
            raise SandboxedError(message, kind=outcome.error, stack=outcome.stack)
        return outcome.value

    def _beyond(self, limit: str) -> ResourceError | SandboxedError:
        limits = {
            "memory": f"{self._resources.memory_limit} of memory",
            "storage": f"{self._resources.storage_size} of storage",
            "processes": f"{self._resources.processes} processes",
            "output": f"{self._output_limit} bytes of output",
        }
        if limit not in limits:
            return SandboxedError(f"{self._name} ended before its function did.", kind="exit", stack="")
        return ResourceError(f"{self._name} needed more than its limit of {limits[limit]} and was ended.")


async def _gone(process: asyncio.subprocess.Process, worker: bytes, folder: str) -> None:
    """Waits until the supervisor has ended everything; what outlives a supervisor that was killed is ended here."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    if process.returncode != 0:
        with suppress(ProcessLookupError):
            process.kill()
        if worker:
            with suppress(ProcessLookupError):
                os.killpg(int(worker), signal.SIGKILL)
        await process.wait()
        await run_async(rmtree, folder, ignore_errors=True)

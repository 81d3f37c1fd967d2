"""The inside of a sandbox: gives up what it must not have, calls one function, tells what came of it, and is gone.

It runs in a process that `supervisor` has forked. What it tells is one JSON object: `value`, or `refusal` (a sentence
of ours), or `error` (the name of an exception) with its `stack`, which holds no message of the exception.
"""

import asyncio
import ctypes
import errno
import importlib
import inspect
import os
import random
import resource
import signal
import sys
import traceback
from math import ceil
from typing import Any

import msgspec

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_OPEN_FILES = 256
READY = b"+"
"""Told before the outcome, when everything is imported and the function is called: from here on its time counts."""


def work(job: dict[str, Any], told: int) -> None:
    """Carries `job` out and writes what came of it to the descriptor `told`."""
    _give_up(job, told)
    try:
        module, _, name = job["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        os.write(told, READY)
        outcome: dict[str, Any] = {"value": _jsonable(_call(function, job["arguments"]))}
    except BaseException as error:  # noqa: BLE001 - a stranger's code: whatever it raises is told, and the process ends
        outcome = _failure(error)
    _write(told, msgspec.json.encode(outcome))


def _give_up(job: dict[str, Any], told: int) -> None:
    """Own session, own folder, limits; nothing of the house stays open but `told`."""
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != job["supervisor"]:  # it died before it could be asked for
        os._exit(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.closerange(3, told)
    os.closerange(told + 1, 65_536)
    os.chdir(job["folder"])
    os.umask(0o077)
    os.nice(5)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, random.sample(cores, min(ceil(job["cpus"]), len(cores))))
    for limit, most in (
        (resource.RLIMIT_DATA, job["memory"]),
        (resource.RLIMIT_FSIZE, job["storage"]),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        least = min(each for each in (most, *resource.getrlimit(limit)) if each != resource.RLIM_INFINITY)
        resource.setrlimit(limit, (least, least))


def _call(function: Any, arguments: dict[str, Any]) -> Any:
    value = function(**arguments)
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Any) -> Any:
    return await value


def _jsonable(value: Any) -> msgspec.Raw:
    """Encoded at once, so that a value that has no JSON form fails as the function's own mistake."""
    return msgspec.Raw(msgspec.json.encode(value))


def _failure(error: BaseException) -> dict[str, str]:
    if isinstance(error, MemoryError):
        return {"limit": "memory"}
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return {"limit": "storage"}
    public = getattr(error, "public", None)
    if isinstance(public, str):
        return {"refusal": public}
    return {"error": type(error).__name__, "stack": "".join(traceback.format_tb(error.__traceback__))}


def _write(told: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(told, view) :]
    sys.stdout.flush()

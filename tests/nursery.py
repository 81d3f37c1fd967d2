"""A program that has loaded Antiphon and started nothing. Each line it reads is a command for a fork of it: so another
`antiphon serve` costs what a house costs, and not what Python costs once more.

`python -m tests.nursery`. It tells in lines which process it has made and how each has ended.
"""

import json
import os
import select
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from antiphon.cli.main import main as antiphon
from tests.crashing.program import load

PYTHON = [path for path in sys.path[1:] if path not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
"""Where modules are found by who sets nothing."""


def bear(order: dict[str, Any]) -> NoReturn:
    """Becomes what `command` would be that is started with these arguments, in this folder, with these variables."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["variables"])
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(file, number)
    os.closerange(3, 64)
    sys.argv = order["command"]
    sys.path[:] = [order["folder"], *os.environ.get("PYTHONPATH", "").split(os.pathsep), *PYTHON]
    code = 0
    try:
        antiphon()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def tell(report: int, **what: Any) -> None:
    os.write(report, json.dumps(what).encode() + b"\n")


def watch() -> int:
    """Something to read from comes out of it whenever a process has ended."""
    ended, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return ended


def main() -> None:
    import_module("antiphon.cli.serve")
    load()
    report, orders = os.dup(1), b""
    ended = watch()
    while True:
        ready = select.select([0, ended], [], [])[0]
        if ended in ready:
            os.read(ended, 4096)
            with suppress(ChildProcessError):
                while (found := os.waitpid(-1, os.WNOHANG))[0]:
                    tell(report, ended=found[0], status=os.waitstatus_to_exitcode(found[1]))
        if 0 in ready:
            read = os.read(0, 65_536)
            if not read:
                return
            *lines, orders = (orders + read).split(b"\n")
            for line in lines:
                child = os.fork()
                if child == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    bear(json.loads(line))
                tell(report, born=child)


if __name__ == "__main__":
    main()

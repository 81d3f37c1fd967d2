"""A program's loop hears Ctrl-C, whenever it comes."""

import asyncio
import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from antiphon.runtime.loops import run

BEGIN = """
import asyncio, os, signal, sys, threading, time
from antiphon.runtime.loops import run

def at_once():
    os.kill(os.getpid(), signal.SIGINT)

def while_it_sleeps():
    # The signal of another thread interrupts no wait of this one, as one that came just before the wait does not.
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
"""


def program(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + dedent(text)], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("comes", ["at_once()", "threading.Thread(target=while_it_sleeps).start()"])
def test_ctrl_c_is_heard(comes: str) -> None:
    done = program(f"""
        async def main():
            {comes}
            try:
                await asyncio.Event().wait()
            finally:
                print("closed")
        try:
            run(main())
        except KeyboardInterrupt:
            print("stopped", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """)
    assert (done.stdout, done.stderr) == ("closed\nstopped True\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_what_takes_too_long_to_stop_is_ended_by_a_second_one() -> None:
    done = program("""
        async def main():
            at_once()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                at_once()
                await asyncio.Event().wait()
        try:
            run(main())
        except KeyboardInterrupt:
            print("stopped")
    """)
    assert (done.stdout, done.stderr) == ("stopped\n", "")


def test_what_ends_by_itself_has_its_result_and_its_error() -> None:
    async def well() -> int:
        return 7

    async def badly() -> None:
        raise LookupError("lamp")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    before = signal.getsignal(signal.SIGINT)
    assert run(well()) == 7
    with pytest.raises(LookupError, match="lamp"):
        run(badly())
    with pytest.raises(asyncio.CancelledError):
        run(cancelled())
    assert signal.getsignal(signal.SIGINT) is before

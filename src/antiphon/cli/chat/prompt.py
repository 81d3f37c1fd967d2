"""The line that people type: editing and history where readline is there, and room for what happens meanwhile."""

import ctypes
import importlib
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any

from rich.cells import cell_len

PROMPT = "› "
_COLOURED = "\001\x1b[1;36m\002› \001\x1b[0m\002"
_PASTE_SECONDS = 0.02
_MISSED_SECONDS = 0.2


class LinePrompt:
    """Reads messages in the main thread. Ctrl-C at the prompt raises `KeyboardInterrupt`, elsewhere it calls `on_stop`.

    `wake` may be called by any thread: `on_wake` is then called in the main thread, and prints inside `above`.
    """

    def __init__(self, on_wake: Callable[[], None], on_stop: Callable[[], None], *, plain: bool, dumb: bool) -> None:
        self._on_wake = on_wake
        self._on_stop = on_stop
        self._dumb = dumb
        self._readline = _readline()
        self._prompt = PROMPT if plain or self._readline is None else _COLOURED
        self._reading = False
        self._drawn = False
        self._interrupted = False
        self._heard_at = 0.0
        if self._readline is not None:
            self._readline.set_pre_input_hook(self._opened)
            # Tab is a character that people paste, and there is nothing to complete.
            self._readline.parse_and_bind("tab: self-insert")
            self._readline.parse_and_bind(f"set enable-bracketed-paste {'off' if dumb else 'on'}")
        self.unfinished = ""
        """What stood on the line when Ctrl-C was pressed."""

    def read(self) -> str:
        """One message, of several lines when they were pasted. Raises `EOFError` for Ctrl-D."""
        lines = [self._read_line(self._prompt)]
        while _more_was_pasted():
            lines.append(self._read_line(""))
        return "\n".join(lines)

    def wake(self) -> None:
        if self._drawn and sys.platform != "win32":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Takes the signals, and gives them back."""
        handlers: dict[int, Any] = {signal.SIGINT: self._interrupt}
        if sys.platform != "win32":
            handlers |= {signal.SIGUSR1: self._woken, signal.SIGTERM: _terminate, signal.SIGHUP: _terminate}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            with self._missing_none():
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _read_line(self, prompt: str) -> str:
        self._reading, self._drawn, self._interrupted = True, self._readline is None, False
        try:
            return input(prompt)
        except SystemError as error:
            # When the key comes while readline sets itself up, `input` gives a line in spite of the interruption.
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        finally:
            self._reading = self._drawn = False

    def _opened(self) -> None:
        """Called by readline once the prompt stands and before the first key."""
        self._drawn = True
        self._on_wake()

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        self._heard_at = time.monotonic()
        if not self._reading:
            self._on_stop()
            return
        self._interrupted = True
        self._leave(frame)

    def _woken(self, _: int, frame: FrameType | None) -> None:
        self._leave(frame)
        if self._drawn:
            self._on_wake()

    def _leave(self, frame: FrameType | None) -> None:
        """Ends the reading after a Ctrl-C. Not inside of what readline calls: it swallows what is raised there, and the
        main thread is woken once more a moment later."""
        if self._interrupted and frame is not None and frame.f_code is LinePrompt._read_line.__code__:
            self._interrupted, self.unfinished = False, self._typed
            raise KeyboardInterrupt

    @contextmanager
    def _missing_none(self) -> Iterator[None]:
        """Inside, no Ctrl-C is missed. One that comes just before readline begins to wait for a key is seen by Python
        only with the next key, so when one was not heard of a moment later the main thread is woken once more."""
        if sys.platform == "win32":
            yield
            return
        pressed, told = os.pipe()
        os.set_blocking(told, False)

        def wake_again() -> None:
            while numbers := os.read(pressed, 64):
                if signal.SIGINT in numbers:
                    since = time.monotonic() - _MISSED_SECONDS
                    time.sleep(_MISSED_SECONDS)
                    if self._interrupted or self._heard_at < since:
                        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            os.close(pressed)

        before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        waker = threading.Thread(target=wake_again, name="ctrl-c", daemon=True)
        waker.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            os.close(told)
            waker.join()  # behind this nobody handles its signal, which would then end the process

    @property
    def _typed(self) -> str:
        return str(self._readline.get_line_buffer()) if self._readline else ""

    @contextmanager
    def above(self) -> Iterator[None]:
        """What is printed inside stands above the line that is being typed."""
        if self._dumb:
            sys.stdout.write("\n")
        else:
            width = shutil.get_terminal_size().columns  # never 0, which some terminals say of themselves
            rows = sum(cell_len(line) // width + 1 for line in f"{PROMPT}{self._typed}".split("\n"))
            sys.stdout.write("\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\x1b[J")
        yield
        if (redraw := _redraw()) is not None:
            redraw()
        else:
            sys.stdout.write(PROMPT + self._typed)
            sys.stdout.flush()


@contextmanager
def silent_keys() -> Iterator[None]:
    """Inside, keys are not echoed into what is being drawn; what was typed waits for the next prompt."""
    try:
        termios: Any = importlib.import_module("termios")
    except ImportError:
        yield
        return
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    silent = list(before)
    # Not by lines either: a Ctrl-D pressed meanwhile has to reach the prompt as a key.
    silent[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(keys, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSANOW, before)


def _readline() -> ModuleType | None:
    """The module, when this Python has it. Its history is kept in memory only."""
    try:
        readline = importlib.import_module("readline")
    except ImportError:
        return None
    readline.clear_history()
    return readline


def _redraw() -> Callable[[], object] | None:
    """readline's own redrawing, which the module does not offer: only it knows where the cursor stands."""
    module = sys.modules.get("readline")
    try:
        found: Callable[[], object] = ctypes.CDLL(getattr(module, "__file__", None)).rl_forced_update_display
    except (OSError, AttributeError):
        return None
    return found


def _more_was_pasted() -> bool:
    """Without bracketed paste the lines of a pasted text come one by one, but all at once."""
    return sys.platform != "win32" and bool(select.select([sys.stdin], [], [], _PASTE_SECONDS)[0])


def _terminate(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)

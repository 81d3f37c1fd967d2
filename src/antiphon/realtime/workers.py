"""Several processes of one program that share a port: one that does nothing else starts them, watches and ends them.

Each worker binds the port for itself with SO_REUSEPORT, so that the kernel spreads the connections evenly. It is a
fresh run of the program. What it has of its supervisor is a socket: there it says that it is ready, and it sees there
when it has been left alone.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence

from antiphon.errors import ServiceError
from antiphon.runtime.terminal import has_terminal
from antiphon.telemetry.logs import get_logger

LINK = "_PHOENIX_WORKER_LINK"
"""The variable with the number of the file by which a worker reaches its supervisor. It is no setting, so it does not
begin as one."""

SECRET = "_PHOENIX_WORKER_SECRET"  # noqa: S105 - the name of a variable
"""The variable with what `common_secret` returns."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until a worker that died is started again; twice as long after each further death."""

STEADY_SECONDS = 10.0
"""A worker that was ready for so long has not died of its start."""

HANGUP_SECONDS = 60.0
"""How long behind a hang-up a worker that ends well was stopped by it. One that has only read its settings again goes
on, and may end much later for reasons of its own."""

_WORD = 4096
_FAILURE = b"\0"
"""Begins what a worker says of its failure, and ends it."""

_LAST_WORD_SECONDS = 1.0
"""What a worker has said may still be on its way when it has died."""

log = get_logger(__name__)


def is_worker() -> bool:
    """Whether this process is a worker of several, and shares the port that it binds."""
    return LINK in os.environ


def common_secret() -> str | None:
    """What the workers of one supervisor know and nobody else; None in a process that is no worker. Each start has
    another one."""
    return os.environ.get(SECRET) if is_worker() else None


def worker_is_ready(word: str, stop: Callable[[], object]) -> None:
    """Tells the supervisor, with a word for whoever started it; call it in the running loop. `stop` is called when the
    supervisor has died: nobody else would end this process."""
    link = socket.socket(fileno=int(os.environ[LINK]))
    link.setblocking(False)
    loop = asyncio.get_running_loop()

    def left_alone() -> None:
        loop.remove_reader(link)
        link.close()
        log.warning("worker.left_alone")
        stop()

    link.send(word.encode()[:_WORD] or b" ")
    loop.add_reader(link, left_alone)


def worker_failed(sentence: str) -> bool:
    """Tells the supervisor what this process, a worker, dies of: what several say is shown once. False when there is
    nobody to tell; then it is to be shown here."""
    try:
        os.write(int(os.environ[LINK]), _FAILURE + sentence.encode()[:_WORD] + _FAILURE)
    except OSError:
        return False
    return True


def reserve(host: str, port: int) -> socket.socket:
    """Keeps a port for workers, without listening; port 0 takes a free one. Raises `OSError` when somebody has it, also
    when that one would share it, and `ServiceError` where the system lets nobody share."""
    if not hasattr(socket, "SO_REUSEPORT") or sys.platform == "win32":
        raise ServiceError("This system does not let processes share a port: serve with one worker.")
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.create_server(address[:2], family=family) as alone:
        address = alone.getsockname()
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError:
        held.close()
        raise
    return held


class Workers:
    """`count` runs of `command`. `on_ready` gets the word of the last one when all are ready, `on_failed` what
    each dies of (`worker_failed`), but not the same again before a worker was ready.

    One that dies, or cannot be started again, is started again, with pauses that grow; but when one dies before it was
    ever ready, all are ended: what it has said is the reason. SIGTERM and SIGINT are handed on, and the end of all of
    them is awaited; the third one kills. SIGHUP is handed on too, and when a worker ends well behind it, all are ended.
    One that says that our terminal was closed ends all of them: they have no terminal and cannot know.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        *,
        on_ready: Callable[[str], object] = lambda _: None,
        on_failed: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._command = tuple(command)
        self._count = count
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._failed: set[str] = set()
        self._secret = secrets.token_urlsafe(48)
        self._living: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._told = False
        self._asked = 0
        self._at_terminal = has_terminal()
        self._hung_up: dict[int, float] = {}
        self._ending = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Returns when all have ended: 0 when they were asked to and did so in peace, else the code of one that did
        not."""
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._end, signal.SIGINT: self._end}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else it was started to survive that (nohup)
            handlers[signal.SIGHUP] = self._hang_up
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler, number)
        try:
            await asyncio.gather(*(self._keep(number) for number in range(self._count)))
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
        return self._code

    async def _keep(self, number: int) -> None:
        deaths = 0
        while not self._ending.is_set():
            began = asyncio.get_running_loop().time()
            code = await self._live(number)
            was_ready = number in self._ready
            self._ready.discard(number)
            if self._ending.is_set():
                # One that has just been started may not know yet what to do about the signal.
                well = code in {0, -signal.SIGTERM, -signal.SIGINT}
                self._code = self._code or (0 if well else _shown(code))
                return
            if not (was_ready or self._told) or (code == 0 and self._was_hung_up(number)):
                self._code = self._code or _shown(code)
                self._end(signal.SIGTERM)
                return
            steady = was_ready and asyncio.get_running_loop().time() - began > STEADY_SECONDS
            deaths = 1 if steady else deaths + 1
            pause = min(FIRST_PAUSE * 2 ** (deaths - 1), LONGEST_PAUSE)
            log.warning("worker.died", worker=number + 1, code=code, again_in=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause)

    async def _live(self, number: int) -> int:
        """One life of a worker; its exit code, or minus the signal that ended it."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                try:
                    process = await asyncio.create_subprocess_exec(
                        *self._command,
                        pass_fds=[theirs.fileno()],
                        env={**os.environ, LINK: str(theirs.fileno()), SECRET: self._secret},
                        # Ctrl-C reaches it once, through us, and not twice.
                        start_new_session=True,
                    )
                except OSError as error:
                    log.error("worker.not_started", worker=number + 1, error=str(error))  # noqa: TRY400 - all of it
                    return os.EX_OSERR
            self._living[number] = process
            self._hung_up.pop(number, None)
            ours.setblocking(False)
            hearing = asyncio.create_task(self._hear(number, ours))
            if self._ending.is_set():
                _send(process, signal.SIGTERM)
            try:
                code = await process.wait()
                await asyncio.wait({hearing}, timeout=_LAST_WORD_SECONDS)
                return code
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
                del self._living[number]

    async def _hear(self, number: int, link: socket.socket) -> None:
        heard = b""
        while word := await asyncio.get_running_loop().sock_recv(link, _WORD):
            heard += word
            if not heard.startswith(_FAILURE) and number not in self._ready:
                word, begins, rest = heard.partition(_FAILURE)
                heard = begins + rest
                self._is_ready(number, word)
            if heard.startswith(_FAILURE) and heard.endswith(_FAILURE):
                self._has_failed(heard.strip(_FAILURE).decode(errors="replace"))

    def _has_failed(self, sentence: str) -> None:
        if sentence not in self._failed:
            self._failed.add(sentence)
            self._on_failed(sentence)

    def _is_ready(self, number: int, word: bytes) -> None:
        self._failed.clear()
        self._ready.add(number)
        log.info("worker.ready", worker=number + 1)
        if len(self._ready) == self._count and not self._told:
            self._told = True
            self._on_ready(word.decode(errors="replace").rstrip())

    def _end(self, number: signal.Signals) -> None:
        self._ending.set()
        self._asked += 1
        self._tell(signal.SIGKILL if self._asked > 2 else number)

    def _hang_up(self, number: signal.Signals) -> None:
        if self._at_terminal and not has_terminal():
            self._end(signal.SIGTERM)
            return
        self._hung_up = dict.fromkeys(self._living, asyncio.get_running_loop().time() + HANGUP_SECONDS)
        self._tell(number)

    def _was_hung_up(self, number: int) -> bool:
        """Whether this worker, which has just ended, was hung up a moment ago."""
        return asyncio.get_running_loop().time() < self._hung_up.get(number, 0.0)

    def _tell(self, number: signal.Signals) -> None:
        for process in self._living.values():
            _send(process, number)


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # Its own `send_signal` would look whether it has ended, and take the exit code away from whoever waits for that.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _shown(code: int) -> int:
    """What a shell would say of it."""
    return code if code >= 0 else 128 - code


def run_workers(
    command: Sequence[str],
    count: int,
    *,
    on_ready: Callable[[str], object] = lambda _: None,
    on_failed: Callable[[str], object] = lambda _: None,
) -> int:
    """Runs `Workers` in a loop of its own, and returns the exit code of the program.

    if options.workers > 1 and not is_worker():
        with reserve(host, port) as held:
            sys.exit(run_workers([sys.executable, *sys.argv], options.workers))
    """
    return asyncio.run(Workers(command, count, on_ready=on_ready, on_failed=on_failed).run())

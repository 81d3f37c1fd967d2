"""Questions between nodes: each gets one answer, or an error within its time."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import msgspec

from antiphon.errors import AntiphonError, ServiceError
from antiphon.runtime.tasks import Tasks
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

Answerer = Callable[[bytes], Awaitable[bytes]]

BUSY = 10_000
"""Requests of other nodes that are answered at the same time; further ones are refused. The polls of clients that came
to another node wait among them."""


class _Request(msgspec.Struct, frozen=True, array_like=True):
    number: int
    asker: str
    kind: str
    body: bytes


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    """`body` is a sentence when it is not `well`."""

    number: int
    well: bool
    body: bytes


class Requests:
    """Asks for `node` and answers for it. `ask_node` and `tell_node` carry a body to a node."""

    def __init__(
        self, node: str, ask_node: Callable[[bytes, str], None], tell_node: Callable[[bytes, str], None], tasks: Tasks
    ) -> None:
        self.answerers: dict[str, Answerer] = {}
        """By the kind of what is asked."""
        self._node = node
        self._ask_node = ask_node
        self._tell_node = tell_node
        self._tasks = tasks
        self._numbers = count(1)
        self._asked: dict[int, tuple[str, asyncio.Future[bytes]]] = {}

    async def ask(self, node: str, kind: str, body: bytes, timeout: float) -> bytes:
        """Raises `ServiceError` when the node refuses, when it goes meanwhile, and after `timeout` seconds."""
        number = next(self._numbers)
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = node, asked
        try:
            self._ask_node(msgspec.msgpack.encode(_Request(number, self._node, kind, body)), node)
            async with asyncio.timeout(timeout):
                return await asked
        except TimeoutError:
            raise ServiceError(f"The node {node} did not answer within {timeout:g} s.") from None
        finally:
            del self._asked[number]

    async def ask_here(self, kind: str, body: bytes, timeout: float) -> bytes:
        """As `ask`, of this node itself."""
        try:
            async with asyncio.timeout(timeout):
                well, answer = await self._answer(kind, body)
        except TimeoutError:
            raise ServiceError(f"The node {self._node} did not answer within {timeout:g} s.") from None
        if not well:
            raise ServiceError(answer.decode(errors="replace"))
        return answer

    def take_request(self, body: bytes) -> None:
        """Another node asks. Raises `msgspec.DecodeError`."""
        request = msgspec.msgpack.decode(body, type=_Request)
        if len(self._tasks) > BUSY:
            self._give(request, False, f"The node {self._node} is asked too much at once.".encode())
        else:
            self._tasks.start("cluster request", self._reply, request)

    def take_answer(self, body: bytes) -> None:
        """Another node answers; nobody may be waiting any more. Raises `msgspec.DecodeError`."""
        answer = msgspec.msgpack.decode(body, type=_Answer)
        _, asked = self._asked.get(answer.number, (None, None))
        if asked is None or asked.done():
            return
        if answer.well:
            asked.set_result(answer.body)
        else:
            asked.set_exception(ServiceError(answer.body.decode(errors="replace")))

    def give_up(self, node: str | None = None) -> None:
        """What was asked of this node, or of all, gets no answer any more."""
        for to, asked in list(self._asked.values()):
            if node in {None, to} and not asked.done():
                asked.set_exception(ServiceError(f"The node {to} is gone."))

    async def _reply(self, request: _Request) -> None:
        self._give(request, *await self._answer(request.kind, request.body))

    def _give(self, request: _Request, well: bool, body: bytes) -> None:
        self._tell_node(msgspec.msgpack.encode(_Answer(request.number, well, body)), request.asker)

    async def _answer(self, kind: str, body: bytes) -> tuple[bool, bytes]:
        answerer = self.answerers.get(kind)
        if answerer is None:
            return False, f"The node {self._node} answers no {kind}.".encode()
        try:
            return True, await answerer(body)
        except AntiphonError as error:
            return False, str(error).encode()
        except Exception:
            log.exception("cluster.request_failed", kind=kind)
            return False, f"The node {self._node} failed to answer.".encode()

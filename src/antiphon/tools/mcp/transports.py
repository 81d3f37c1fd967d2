"""The two ways to an MCP server, with a bound on what one message of it may take of our memory.

The protocol's library reads a program's line, and a JSON body, to its end, however far that is. Needs the extra `mcp`.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

MESSAGE_LIMIT = 8 * 1024 * 1024
"""Bytes: a large image in base64 is one message."""

_END_SECONDS = 2.0  # for each step by which a program is ended
_CONNECT_SECONDS = 15.0


@asynccontextmanager
async def over_pipes(command: Sequence[str], env: Mapping[str, str]) -> AsyncIterator[tuple[Any, Any]]:
    """The messages from and to a program. It is started with nothing but these variables, PATH and HOME, and ended with
    all that it started. A line that is too long ends the connection."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ} | dict(env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=MESSAGE_LIMIT,
        start_new_session=True,
    )
    try:
        async with _in_turns(_heard(process), partial(_tell, process)) as streams:
            yield streams
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _heard(process: asyncio.subprocess.Process) -> AsyncIterator[SessionMessage]:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with suppress(ValueError):  # a line without an end
        while line := await process.stdout.readline():
            if (message := _message(line)) is not None:
                yield message


def _message(line: bytes) -> SessionMessage | None:
    """None for what is no message, such as a word to people."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


async def _tell(process: asyncio.subprocess.Process, message: SessionMessage) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    process.stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
    await process.stdin.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its input ends, then it is told to end, then it is ended: itself and all of its group."""
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    process.stdin.close()
    with suppress(ProcessLookupError, PermissionError):  # nobody is left
        for step in (0, signal.SIGTERM, signal.SIGKILL):
            os.killpg(process.pid, step)
            with anyio.move_on_after(_END_SECONDS):
                while True:
                    await anyio.sleep(0.01)
                    os.killpg(process.pid, 0)
    with anyio.move_on_after(_END_SECONDS):
        await process.stdout.read()  # what is left in the pipe keeps it open
        await process.wait()  # a thread tells this loop of the end, also when the loop is about to be closed


@asynccontextmanager
async def over_http(url: str, headers: Mapping[str, str], seconds: float) -> AsyncIterator[tuple[Any, Any]]:
    """The messages from and to an address. A call waits `seconds` for each part of its answer; one that is too long
    fails it."""
    timeout = httpx2.Timeout(seconds, connect=_CONNECT_SECONDS)
    plain = {"Accept-Encoding": "identity", **headers}
    async with (
        httpx2.AsyncClient(headers=plain, timeout=timeout, trust_env=False, transport=_Bounded()) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MESSAGE_LIMIT) as (heard, told),
        _in_turns(heard, told.send) as streams,
    ):
        yield streams


@asynccontextmanager
async def _in_turns(
    messages: AsyncIterable[SessionMessage | Exception], tell: Callable[[SessionMessage], Awaitable[None]]
) -> AsyncIterator[tuple[Any, Any]]:
    """The streams that the library wants. Nothing more is heard from a server while it does not take what it is told:
    the library begins a task for each question of it, and all of them would wait."""
    turn = anyio.Lock()
    heard, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, said = anyio.create_memory_object_stream[SessionMessage](0)

    async def hear() -> None:
        with heard, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for message in messages:
                while outgoing.statistics().tasks_waiting_send:
                    async with turn:
                        pass
                await heard.send(message)

    async def say() -> None:
        with said, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            async for message in said:
                async with turn:
                    await tell(message)

    async with anyio.create_task_group() as tasks:
        with incoming, outgoing:
            tasks.start_soon(hear)
            tasks.start_soon(say)
            yield incoming, outgoing
            tasks.cancel_scope.cancel()


class _Bounded(httpx2.AsyncHTTPTransport):
    """Lets no body in that is longer, or that is packed: a thousandth of it would be enough."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        response.stream = _Body(response)
        return response


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an async transport
        self._stream = response.stream
        self._packed = response.headers.get("content-encoding", "identity").lower() != "identity"
        self._endless = response.headers.get("content-type", "").lower().startswith("text/event-stream")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._packed:
            raise httpx2.StreamError("its answer is compressed, which it was not asked for.")
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > MESSAGE_LIMIT and not self._endless:  # of a stream of events, each has the limit
                raise httpx2.StreamError(f"its answer is longer than {MESSAGE_LIMIT:,} bytes.")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()

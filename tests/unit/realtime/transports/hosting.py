"""Servers of others, in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import hypercorn.asyncio
import uvicorn
from hypercorn.config import Config

Host = Callable[..., AbstractAsyncContextManager[int]]


def _bound() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def uvicorn_serves(app: Any, **options: Any) -> AsyncIterator[int]:
    """uvicorn as it comes, on the port that is given."""
    listener = _bound()
    config = uvicorn.Config(app, ws="websockets-sansio", log_config=None, lifespan="on", **options)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    async with asyncio.timeout(10):
        while not server.started and not task.done():
            await asyncio.sleep(0.001)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()


@asynccontextmanager
async def hypercorn_serves(app: Any, **options: Any) -> AsyncIterator[int]:
    """As `uvicorn_serves`."""
    listener = _bound()
    config = Config.from_mapping(
        {"bind": [f"fd://{listener.fileno()}"], "errorlog": None, "graceful_timeout": 1.0, **options}
    )
    stop = asyncio.Event()
    task = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait, mode="asgi"))
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        await task
        listener.detach()  # hypercorn has closed it


HOSTS: dict[str, Host] = {"uvicorn": uvicorn_serves, "hypercorn": hypercorn_serves}

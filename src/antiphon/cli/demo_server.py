"""`antiphon demo-server`: the demo model as an OpenAI-protocol server."""

import asyncio
import sys
from contextlib import suppress

from antiphon.providers.demo.server import DemoServer


def demo_server(host: str, port: int, rate: float | None) -> None:
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(DemoServer(host, port, rate=rate)))


async def _serve(server: DemoServer) -> None:
    await server.start()
    sys.stderr.write(f"The demo model speaks the OpenAI protocol at {server.url}. Ctrl-C stops.\n")
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()

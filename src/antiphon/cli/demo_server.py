"""`antiphon demo-server`: the demo model as a server of the vendors' protocols."""

import asyncio
import sys
from contextlib import suppress

from antiphon.providers.demo.limiting import DemoLimit
from antiphon.providers.demo.server import DemoServer
from antiphon.runtime.loops import run


def demo_server(host: str, port: int, rate: float | None, requests_per_minute: int | None) -> None:
    limit = None if requests_per_minute is None else DemoLimit(requests_per_minute)
    with suppress(KeyboardInterrupt):
        run(_serve(DemoServer(host, port, rate=rate, limit=limit)))


async def _serve(server: DemoServer) -> None:
    await server.start()
    sys.stderr.write(
        f"The demo model speaks OpenAI's protocols at {server.url}, Anthropic's and Ollama's at {server.root} and "
        f"Google's at {server.root}/v1beta. Ctrl-C stops.\n"
    )
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()

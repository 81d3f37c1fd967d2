"""`GET /health` on kept connections: the whole house, uvicorn alone with a bare function, and the kernel's part."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.bench_sockets import loaded
from benchmarks.bench_start import READY, SERVE
from benchmarks.load import FLOOR, OURS, Serving, ground
from benchmarks.measuring import Case, program

UNIT = "µs of server CPU a request"
REFERENCE = FLOOR
ROUNDS = 5

RATIOS = {OURS: 7.1}

BARE = """
import asyncio, socket, uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"15")]})
    await send({"type": "http.response.body", "body": b'{"status":"ok"}'})
listener = socket.create_server(("127.0.0.1", 0))
print("listening on", listener.getsockname()[1])
config = uvicorn.Config(app, loop="uvloop", http="httptools", lifespan="off", log_level="critical", access_log=False)
asyncio.Runner(loop_factory=config.get_loop_factory()).run(uvicorn.Server(config).serve([listener]))
"""


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    seconds = max(0.1, 1.5 * scale)
    with ground() as place, ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        quiet = {"ANTIPHON_DETECT_LOCAL_MODELS": "false"}

        def started(*arguments: str, ready: str) -> tuple[int, str]:
            command = (sys.executable, *arguments)
            return opened.enter_context(program(*command, ready=ready, folder=folder, core=place.core, variables=quiet))

        floor = opened.enter_context(place.serving(FLOOR))
        house, address = started(*SERVE, ready=READY)
        bare, port = started("-c", BARE, ready=r"listening on (\d+)")
        origins = {
            FLOOR: (floor.pid, floor.url.partition("/socket")[0]),
            OURS: (house, address.replace("http", "ws", 1)),
            "uvicorn with a bare function": (bare, f"ws://127.0.0.1:{port}"),
        }
        yield {
            name: loaded(place, Serving(pid, f"{origin}/health"), "--mode http --conns 32", seconds)
            for name, (pid, origin) in origins.items()
        }

"""`antiphon serve` as people meet it: quick to start, clear when it cannot, gentle when it stops."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.serving import LONGEST, Program, Served, Visitors, environment


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`antiphon` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "antiphon", *arguments],
        cwd=folder,
        env=environment(folder, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )


# --- what it costs ------------------------------------------------------------------------------------------------

OPTIONAL = (
    "aiohttp", "alembic", "fastapi", "httptools", "msgspec", "prometheus_client", "pydantic", "rich", "sqlalchemy",
    "starlette", "structlog", "typer", "uvicorn", "uvloop", "websockets", "yaml",
)  # fmt: skip


@pytest.fixture
def served(program: Program) -> Program:
    return program


def test_importing_the_package_is_cheap_and_loads_nothing_else(tmp_path: Path) -> None:
    program = f"""
import resource, sys
before = resource.getrusage(resource.RUSAGE_SELF)
import antiphon
after = resource.getrusage(resource.RUSAGE_SELF)
loaded = [name for name in {OPTIONAL!r} if name in sys.modules]
print(1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), len(antiphon.__all__), *loaded)
"""
    costs = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment(tmp_path), capture_output=True, text=True, check=True
        )
        cost, names, *loaded = done.stdout.split()
        assert loaded == []
        assert int(names) > 20
        costs.append(float(cost))
    assert min(costs) < 100, costs


@pytest.mark.alone
def test_a_warm_start_shows_the_page_within_three_seconds(served: Served) -> None:
    times = []
    for _ in range(3):
        began = time.monotonic()
        served.start()
        with urllib.request.urlopen(served.url, timeout=5) as answer:
            assert answer.status == 200
            assert "text/html" in answer.headers["content-type"]
        times.append(time.monotonic() - began)
        assert served.stop() == 0
    assert min(times) < 3, times


def test_it_says_where_it_is_and_which_model_answers(served: Served) -> None:
    served.start()
    lines = [line.split(maxsplit=1) for line in served.log.splitlines() if not line.startswith("{")]
    said = {line[0]: line[1] for line in lines if len(line) == 2}
    assert said["Antiphon"] == served.url
    assert said["Model"].startswith("demo")
    assert said["Data"] == "data/antiphon.db"
    assert (served.folder / "data" / "antiphon.db").stat().st_mode & 0o077 == 0 or os.name == "nt"


# --- when it cannot -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "arguments", "sentence"),
    [
        ({"ANTIPHON_SERVER__PROT": "1"}, (), "(the variable ANTIPHON_SERVER__PROT). Did you mean server.port?"),
        ({"ANTIPHON_SERVR__PORT": "1"}, (), "ANTIPHON_SERVR__PORT is no setting"),
        ({"ANTIPHON_SERVER__DRAIN_SECONDS": "soon"}, (), "must be a number."),
        ({"ANTIPHON_DEFAULT_MODEL": "opnai:gpt-5"}, (), "There is no provider “opnai”. Did you mean openai?"),
        ({"ANTIPHON_DEFAULT_MODEL": "gpt-5"}, (), "“gpt-5” names no model. Write provider:model"),
        ({}, ("--host", "0.0.0.0"), "Antiphon does not listen on 0.0.0.0: nobody would have to say who they are."),  # noqa: S104
        ({}, ("--config", "nowhere.yaml"), "The configuration file nowhere.yaml does not exist."),
        ({"ANTIPHON_DATABASE__URL": "oracle://x"}, (), "oracle"),
        ({"ANTIPHON_PROVIDERS__MINE__API_KEY": "k"}, (), "providers.mine has no base_url and is not built in."),
        ({"ANTIPHON_LOG_LEVEL": "LOUD"}, (), "log_level"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    tmp_path: Path, variables: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    server = Served(tmp_path, **variables)
    server.launch(*arguments)
    assert server.process.wait(LONGEST) == 1
    said = [line for line in server.log.splitlines() if not line.startswith("{")]
    assert len(said) == 1, server.log
    assert said[0].startswith("antiphon: ")
    assert sentence in said[0]
    assert "Traceback" not in server.log


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--port", "0", "--host", "10.1.2.3", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_wrong_usage_is_another_exit_code(tmp_path: Path) -> None:
    assert run(tmp_path, "serve", "--prot", "1").returncode == 2
    assert run(tmp_path, "srve").returncode == 2


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = run(tmp_path, "serve", "--port", port)
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        == f"antiphon: Port {port} is in use. Stop the other program, or choose a port: ANTIPHON_SERVER__PORT=4001."
    )
    assert not (tmp_path / "data").exists()


def test_a_secret_is_not_in_the_complaint(tmp_path: Path) -> None:
    secret = "sk-0123456789abcdef0123456789"
    done = run(tmp_path, "serve", "--port", "0", ANTIPHON_PROVIDERS__OPENAI__API_KEY=f"{secret}\nx")
    assert done.returncode == 1
    assert "providers.openai.api_key" in done.stderr
    assert secret not in done.stderr + done.stdout


@pytest.mark.parametrize(("content", "sentence"), [(b"no database at all, but long enough to be one" * 40, "database")])
def test_a_database_that_is_none(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "antiphon.db").write_bytes(content)
    done = run(tmp_path, "serve", "--port", "0")
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]
    assert (tmp_path / "data" / "antiphon.db").read_bytes() == content


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """The kernel refuses to let files grow, as a full disk does."""
    # Nor may it cut off the compiled modules that Python keeps, which every later process would trip over.
    limited = "import resource, sys; sys.dont_write_bytecode = True; "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); "
    program = limited + "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    program += "from antiphon.cli.main import main; sys.argv = ['antiphon', 'serve', '--port', '0']; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search("full|disk|space|written|write", done.stderr.splitlines()[-1])
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 8192


# --- stopping -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_an_answer_that_is_nearly_done_is_finished(
    served: Served, visitors: Visitors, how: signal.Signals
) -> None:
    served.start()
    visitor = await visitors.enter(served.url)
    receipt = await visitor.say("!slow 20 !long 30")
    await visitor.see(lambda: visitor.seq.get(receipt["turn_id"], 0) >= 2)
    served.process.send_signal(how)
    answer = await visitor.answer(receipt["turn_id"])
    assert answer["end"]["status"] == "answered"
    assert served.process.wait(LONGEST) == 0
    assert "Traceback" not in served.log
    served.start()
    again = await visitors.enter(served.url, visitor.conversation_id)
    assert [message["status"] for message in again.shown()] == ["answered", "answered"]


async def test_an_answer_that_takes_too_long_is_interrupted_and_kept(served: Served, visitors: Visitors) -> None:
    served.variables["ANTIPHON_SERVER__DRAIN_SECONDS"] = "0.3"
    served.start()
    visitor = await visitors.enter(served.url)
    running = await visitor.say("!slow 20 !long 3000")
    waiting = await visitor.say("!echo later")
    await visitor.see(lambda: visitor.seq.get(running["turn_id"], 0) >= 5)
    url = f"{served.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0"
    async with connect(url, proxy=None) as other:
        served.process.send_signal(signal.SIGTERM)
        half = await visitor.answer(running["turn_id"])
        await other.wait_closed()
        assert other.close_code == 1012
    assert half["end"]["status"] == "interrupted"
    assert half["parts"][-1]["code"] == "stopped"
    assert "server stopped" in half["end"]["reason"]
    assert served.process.wait(LONGEST) == 0
    assert "store.closed" in served.log
    served.start()
    again = await visitors.enter(served.url, visitor.conversation_id)
    await again.see(lambda: len(again.shown()) == 4)
    assert [message["text"] for message in again.shown()][1:] == [half["text"], "!echo later", "later"]
    assert [message["turn_id"] for message in again.shown()][2] == waiting["turn_id"]


async def test_a_second_ctrl_c_waits_for_nobody(served: Served, visitors: Visitors) -> None:
    served.variables["ANTIPHON_SERVER__DRAIN_SECONDS"] = "600"
    served.start()
    visitor = await visitors.enter(served.url)
    turn_id = (await visitor.say("!slow 60000 !long 5"))["turn_id"]
    await visitor.until("turn_start", turn_id=turn_id)
    served.process.send_signal(signal.SIGINT)
    assert await_status(f"{served.url}/ready", 503)[0] == 503
    assert served.stop(signal.SIGINT) == 0
    assert "Traceback" not in served.log
    served.start()
    again = await visitors.enter(served.url, visitor.conversation_id)
    assert [message["status"] for message in again.shown()] == ["interrupted", "interrupted"]


async def test_while_it_drains_it_is_not_ready_and_takes_nothing_new(served: Served, visitors: Visitors) -> None:
    served.variables["ANTIPHON_SERVER__DRAIN_SECONDS"] = "10"
    served.start()
    visitor = await visitors.enter(served.url)
    running = await visitor.say("!slow 20 !long 3000")
    await visitor.see(lambda: visitor.seq.get(running["turn_id"], 0) >= 2)
    served.process.send_signal(signal.SIGTERM)
    status, body = await_status(f"{served.url}/ready", 503)
    assert json.loads(body)["draining"] is True
    assert await_status(f"{served.url}/health", 200)[0] == 200
    with pytest.raises(Exception, match="The server is stopping"):
        await visitor.say("one more")
    await visitor.channel.push("cancel", {"turn_id": running["turn_id"]})
    assert served.process.wait(LONGEST) == 0
    assert status == 503


def await_status(url: str, wanted: int) -> tuple[int, bytes]:
    """Asks until the answer has the status."""
    give_up = time.monotonic() + 5
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        if status == wanted or time.monotonic() > give_up:
            return status, body


def test_stops_in_a_row_are_clean(served: Served) -> None:
    for how in (signal.SIGTERM, signal.SIGINT) * 2:
        served.start()
        assert served.stop(how) == 0
    assert "Traceback" not in served.log
    assert served.log.count("store.closed") == 4

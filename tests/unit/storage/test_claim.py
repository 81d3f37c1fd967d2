"""One process at a time answers from a database: a SQLite file or one on a PostgreSQL server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from antiphon.errors import ConfigError, ServiceError
from antiphon.storage.claim import Holder
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_claim
from antiphon.storage.postgres.claim import PostgresClaim
from antiphon.storage.sqlite.claim import FileClaim
from tests.postgres import PostgresServer, address_of, administer
from tests.proxy import Proxy

HOLD = """
import asyncio, sys
from pathlib import Path
from antiphon.storage.sqlite.claim import FileClaim
claim = FileClaim(Path(sys.argv[1]))
asyncio.run(claim.take("http://127.0.0.1:4000"))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "antiphon.db"


async def test_a_second_claim_is_refused_and_told_who_has_the_first(database: Path) -> None:
    first, second = FileClaim(database), FileClaim(database)
    assert await second.holders() == []
    await first.take("http://127.0.0.1:4000")
    assert await second.holders() == [Holder(os.getpid(), "http://127.0.0.1:4000")]
    with pytest.raises(ServiceError, match=rf"Another process \({os.getpid()}, http://127\.0\.0\.1:4000.*already"):
        await second.take()
    await first.release()
    assert await second.holders() == []
    await second.take()
    assert await first.holders() == [Holder(os.getpid(), None)]
    await second.release()


async def test_taking_and_releasing_twice_changes_nothing(database: Path) -> None:
    claim = FileClaim(database)
    await claim.take()
    await claim.take()
    await claim.release()
    await claim.release()
    assert await FileClaim(database).holders() == []


async def test_a_process_that_is_killed_leaves_its_claim(database: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert await FileClaim(database).holders() == [Holder(process.pid, "http://127.0.0.1:4000")]
        with pytest.raises(ServiceError):
            await FileClaim(database).take()
        process.send_signal(signal.SIGKILL)
        process.wait()
    claim = FileClaim(database)
    assert await claim.holders() == []
    await claim.take()
    await claim.release()


async def test_a_holder_that_left_no_word_is_one_all_the_same(database: Path) -> None:
    claim = FileClaim(database)
    await claim.take()
    lock = database.with_name("antiphon.db.lock")
    lock.write_text("{")
    assert await FileClaim(database).holders() == [Holder(0)]
    with pytest.raises(ServiceError, match="Another process answers"):
        await FileClaim(database).take()
    lock.write_text(json.dumps({"pid": 1}))
    assert await FileClaim(database).holders() == [Holder(1)]
    await claim.release()


async def test_the_lock_is_for_its_owner_alone(database: Path) -> None:
    claim = FileClaim(database)
    await claim.take()
    assert database.with_name("antiphon.db.lock").stat().st_mode & 0o777 == 0o600
    await claim.release()


async def test_a_lock_that_cannot_be_made_is_one_sentence(database: Path) -> None:
    database.parent.mkdir()
    database.with_name("antiphon.db.lock").mkdir()
    with pytest.raises(ServiceError, match=r"beside the database cannot be written \(Is a directory\)"):
        await FileClaim(database).take()
    with pytest.raises(ServiceError, match="check its folder and its disk"):
        await FileClaim(database).holders()


async def test_memory_needs_no_claim() -> None:
    first, second = FileClaim(None), FileClaim(None)
    await first.take()
    await second.take()
    assert await first.holders() == []


# --- on a PostgreSQL server ---------------------------------------------------------------------------------------


@pytest.fixture
def settings(postgres_url: str) -> DatabaseSettings:
    return DatabaseSettings(url=postgres_url, connect_seconds=1, answer_seconds=1)


async def backend_of(url: str) -> list[Any]:
    return await administer(url, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted")


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_a_second_claim_on_a_server_is_refused_and_told_who_has_the_first(settings: DatabaseSettings) -> None:
    first, second = open_claim(settings), open_claim(settings)
    assert await second.holders() == []
    await first.take("http://127.0.0.1:4000")
    await first.take("http://127.0.0.1:4000")
    assert await second.holders() == [Holder(os.getpid(), "http://127.0.0.1:4000")]
    with pytest.raises(ServiceError, match=rf"Another process \({os.getpid()}, http://127\.0\.0\.1:4000.*already"):
        await second.take()
    await first.release()
    await first.release()
    await second.take()
    assert await first.holders() == [Holder(os.getpid())]
    await second.release()


async def test_an_address_too_long_to_be_shown_is_left_out(settings: DatabaseSettings) -> None:
    claim = open_claim(settings)
    await claim.take(f"http://{'long.' * 20}example:4000")
    assert await claim.holders() == [Holder(os.getpid())]
    await claim.release()


async def test_a_holder_on_another_machine_is_named_with_it(
    settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = open_claim(settings)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "attic")
        await claim.take("http://127.0.0.1:4000")
    assert await open_claim(settings).holders() == [Holder(os.getpid(), None, "attic")]
    with pytest.raises(ServiceError, match=rf"Another process \({os.getpid()} on attic\)"):
        await open_claim(settings).take()
    await claim.release()


async def test_a_foreign_lock_with_our_number_has_no_name(settings: DatabaseSettings) -> None:
    link = await asyncpg.connect(settings.url)
    await link.execute("SELECT pg_advisory_lock(1634628713, 1)")
    assert await open_claim(settings).holders() == [Holder(0)]
    with pytest.raises(ServiceError, match="Another process answers"):
        await open_claim(settings).take()
    await link.close()


@pytest.mark.parametrize("trouble", [None, asyncpg.InternalClientError("asyncpg is surprised")])
async def test_a_claim_that_broke_is_taken_again(
    settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    lost: list[ServiceError] = []
    contend, troubles = PostgresClaim._contend, [trouble] if trouble else []

    async def contend_with_trouble(*given: Any) -> asyncpg.Record | None:
        if troubles:
            raise troubles.pop()
        return await contend(*given)

    monkeypatch.setattr(PostgresClaim, "_contend", contend_with_trouble)
    claim = open_claim(settings, lost.append)
    await claim.take()
    [[before]] = await backend_of(settings.url)
    await administer(settings.url, f"SELECT pg_terminate_backend({before})")

    async def again() -> bool:
        return [row[0] for row in await backend_of(settings.url)] not in ([], [before])

    await until(again)
    assert await open_claim(settings).holders() == [Holder(os.getpid())]
    assert lost == []
    await claim.release()
    assert await claim.holders() == []


async def test_a_claim_survives_a_restart_of_the_server(own_postgres: PostgresServer) -> None:
    settings = DatabaseSettings(url=own_postgres.url(), connect_seconds=1, answer_seconds=1)
    claim = open_claim(settings)
    await claim.take()
    await asyncio.to_thread(own_postgres.restart, signal.SIGKILL)

    async def again() -> object:
        return await open_claim(settings).holders()

    await until(again)
    await claim.release()


async def test_a_claim_that_somebody_else_took_meanwhile_is_lost(settings: DatabaseSettings) -> None:
    host, port = address_of(settings.url)
    lost: asyncio.Future[ServiceError] = asyncio.get_running_loop().create_future()
    async with Proxy(host, port) as proxy:
        far = settings.model_copy(update={"url": settings.url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")})
        first, second = open_claim(far, lost.set_result), open_claim(settings)
        await first.take()
        await proxy.refuse()

        async def free() -> bool:
            return await second.holders() == []

        await until(free)
        await second.take("http://127.0.0.1:4001")
        await proxy.restore()
        error = await asyncio.wait_for(lost, 20)
        assert f"Another process ({os.getpid()}, http://127.0.0.1:4001) answers from this database now" in str(error)
        await first.release()
    assert await second.holders() != []
    await second.release()


async def test_what_is_left_of_an_own_connection_that_hangs_is_ended(
    settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network swallows everything for a while: the server still sees the old connection, and its lock."""
    monkeypatch.setattr("antiphon.storage.postgres.claim.PULSE_SECONDS", 0.1)
    host, port = address_of(settings.url)
    lost: list[ServiceError] = []
    async with Proxy(host, port) as proxy:
        url = settings.url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
        claim = open_claim(settings.model_copy(update={"url": url, "answer_seconds": 0.2}), lost.append)
        await claim.take()
        [[before]] = await backend_of(settings.url)
        proxy.pause()
        async with asyncio.timeout(20):
            while proxy.accepted < 2:
                await asyncio.sleep(0.01)
        proxy.resume()

        async def again() -> bool:
            return [row[0] for row in await backend_of(settings.url)] not in ([], [before])

        await until(again)
        assert lost == []
        await claim.release()


async def test_a_claim_on_a_server_that_is_gone_is_one_sentence(settings: DatabaseSettings, free_port: int) -> None:
    _, port = address_of(settings.url)
    gone = settings.model_copy(
        update={"url": settings.url.replace(f":{port}/", f":{free_port}/"), "connect_seconds": 0.1}
    )
    for call in (open_claim(gone).take, open_claim(gone).holders):
        with pytest.raises(ServiceError, match="does not answer"):
            await call()


# --- several together ---------------------------------------------------------------------------------------------


async def test_nodes_share_a_claim_and_keep_out_who_wants_it_alone(settings: DatabaseSettings) -> None:
    first, second, alone = open_claim(settings, node="1"), open_claim(settings, node="2"), open_claim(settings)
    await first.take("http://127.0.0.1:4000")
    await second.take("http://127.0.0.1:4001")
    assert await alone.holders() == [
        Holder(os.getpid(), "http://127.0.0.1:4000"),
        Holder(os.getpid(), "http://127.0.0.1:4001"),
    ]
    with pytest.raises(ServiceError, match=r"together with others\. Give this one their broker \(cluster\.url\)"):
        await alone.take()
    await first.release()
    await second.release()
    await alone.take()
    with pytest.raises(ServiceError, match=r"answers from this database alone\. Stop it first"):
        await first.take()
    await alone.release()


async def test_a_name_is_one_nodes_at_a_time(settings: DatabaseSettings) -> None:
    first, again = open_claim(settings, node="1"), open_claim(settings, node="1")
    await first.take()
    with pytest.raises(ServiceError, match="answers from this database already"):
        await again.take()
    await first.release()
    await again.take()
    await again.release()


async def test_a_node_finds_back_to_its_claim_beside_others(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DatabaseSettings(url=own_postgres.url(), connect_seconds=1, answer_seconds=1)
    lost: list[ServiceError] = []
    claims = [open_claim(settings, lost.append, node=str(number)) for number in range(3)]
    for claim in claims:
        await claim.take()
    await asyncio.to_thread(own_postgres.restart, signal.SIGKILL)

    async def all_again() -> bool:
        return len(await open_claim(settings).holders()) == 3

    await until(all_again)
    assert lost == []
    for claim in claims:
        await claim.release()


async def test_a_node_that_was_cut_off_loses_it_to_who_wants_it_alone(settings: DatabaseSettings) -> None:
    host, port = address_of(settings.url)
    lost: asyncio.Future[ServiceError] = asyncio.get_running_loop().create_future()
    async with Proxy(host, port) as proxy:
        far = settings.model_copy(update={"url": settings.url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")})
        node, alone = open_claim(far, lost.set_result, node="1"), open_claim(settings)
        await node.take()
        await proxy.refuse()

        async def free() -> bool:
            return await alone.holders() == []

        await until(free)
        await alone.take("http://127.0.0.1:4001")
        await proxy.restore()
        assert "http://127.0.0.1:4001) answers from this database now" in str(await asyncio.wait_for(lost, 20))
        await node.release()
    await alone.release()


def test_a_file_has_no_nodes(database: Path) -> None:
    with pytest.raises(ConfigError, match=r"Several processes cannot answer from a SQLite file"):
        open_claim(DatabaseSettings(url=f"sqlite:///{database}"), node="1")

"""`antiphon migrate` on both databases."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli.main import app
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.current import revisions
from antiphon.storage.open import open_claim, open_store
from tests.postgres import Databases
from tests.serving import environment

NEWEST, OLDEST = revisions()[-1], revisions()[0]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/a.db"
        return
    databases: Databases = request.getfixturevalue("databases")
    made = databases.empty()
    yield made
    databases.drop(made)


def migrate(folder: Path, url: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "antiphon", "migrate", *arguments],
        cwd=folder,
        env=environment(folder, ANTIPHON_DATABASE__URL=url),
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert "secret-word" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def here(url: str, *arguments: str) -> tuple[int, str, str]:
    """The same in this process, for what is no matter of two."""
    done = CliRunner().invoke(app, ["migrate", *arguments], env={"ANTIPHON_DATABASE__URL": url})
    assert "secret-word" not in done.output
    return done.exit_code, done.stdout, done.stderr


def test_from_nothing_to_the_newest_and_back_and_forth(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = DatabaseSettings(url=url).place
    assert here(url, "--check") == (
        1,
        f"Database  {place}\nSchema    none, it is empty\nNeeded    {NEWEST}: run `antiphon migrate`.\n",
        "",
    )
    assert not Path(place).exists()
    code, printed, _ = here(url, "--sql")
    assert (code, "CREATE TABLE conversations" in printed) == (0, True)
    assert here(url)[:2] == (0, f"Database  {place}\nSchema    none, it is empty\nNow       {NEWEST}\n")
    assert here(url, "--check")[:2] == (
        0,
        f"Database  {place}\nSchema    {NEWEST}\nNothing is to be done.\n",
    )
    assert here(url, "--to", OLDEST)[0] == 0
    code, printed, _ = here(url, "--sql")
    assert (code, f"'{NEWEST}'" in printed, "CREATE TABLE conversations" in printed) == (0, True, False)
    asyncio.run(_started(DatabaseSettings(url=url)))
    assert here(url, "--check")[0] == 0


async def _started(settings: DatabaseSettings) -> None:
    store = open_store(settings)
    await store.start()
    await store.stop()


def test_a_schema_nobody_knows_is_refused_with_those_there_are(url: str, tmp_path: Path) -> None:
    code, _, errors = migrate(tmp_path, url, "--to", "base")
    assert (code, errors) == (1, f"antiphon: There is no schema base; this version knows {', '.join(revisions())}.\n")


async def test_nothing_moves_under_a_process_that_answers(url: str, tmp_path: Path) -> None:
    claim = open_claim(DatabaseSettings(url=url))
    await claim.take("http://127.0.0.1:4000")
    code, _, errors = await asyncio.to_thread(migrate, tmp_path, url)
    await claim.release()
    assert code == 1
    assert "http://127.0.0.1:4000) answers from this database already" in errors


def test_a_database_of_another_program_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database at all, but long enough to be looked at " * 100)
    code, _, errors = migrate(tmp_path, f"sqlite:///{tmp_path}/a.db", "--check")
    assert (code, "is no SQLite file" in errors) == (1, True)

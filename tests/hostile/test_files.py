"""Files that are not what the server takes them for: its database, and what it publishes."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.errors import AntiphonError
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.telemetry.metrics import Metrics
from antiphon.web.static import StaticPage
from tests.hostile.effort import EFFORT, SECONDS
from tests.serving import LONGEST, Served

# --- the database -------------------------------------------------------------------------------------------------


Spoil = Callable[[Path, bytes], None]
"""Puts something at a path that is none of our databases; given the bytes of one that is."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database that a server has used."""
    folder = tmp_path_factory.mktemp("whole")
    server = Served(folder)
    try:
        server.start()
        assert server.stop() == 0
    finally:
        server.end()
    return (folder / "data" / "antiphon.db").read_bytes()


def garbage(path: Path, _: bytes) -> None:
    path.write_bytes(os.urandom(8192))


def text(path: Path, _: bytes) -> None:
    path.write_text("# not a database\n" * 500, encoding="utf-8")


def half_a_header(path: Path, _: bytes) -> None:
    path.write_bytes(b"SQLite format 3\x00" + bytes(30))


def truncated(path: Path, whole: bytes) -> None:
    path.write_bytes(whole[: len(whole) // 2 + 100])


def of_another_program(path: Path, _: bytes) -> None:
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, body BLOB)")
        other.execute("INSERT INTO message VALUES (1, x'00')")


def of_a_newer_version(path: Path, whole: bytes) -> None:
    path.write_bytes(whole)
    with closing(sqlite3.connect(path)) as newer, newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")


def directory(path: Path, _: bytes) -> None:
    path.mkdir()


def loop(path: Path, _: bytes) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (garbage, "is no SQLite file"),
        (text, "is no SQLite file"),
        (half_a_header, "is no SQLite file"),
        (truncated, "is damaged"),
        (of_another_program, "another program"),
        (of_a_newer_version, "newer"),
        (directory, "cannot be"),
        (loop, "cannot be"),
    ],
)
def test_a_database_that_is_none_is_one_sentence_and_stays_as_it_is(
    tmp_path: Path, whole: bytes, spoil: Spoil, says: str
) -> None:
    path = tmp_path / "data" / "antiphon.db"
    path.parent.mkdir()
    spoil(path, whole)
    before = path.read_bytes() if path.is_file() else None
    server = Served(tmp_path)
    server.launch()
    assert server.process.wait(LONGEST) == 1
    sentence = server.log.splitlines()[-1]
    assert sentence.startswith("antiphon: ")
    assert says in sentence, sentence
    assert "Traceback" not in server.log
    if before is not None:
        assert path.read_bytes() == before


@pytest.mark.timeout(SECONDS)
async def test_a_damaged_database_opens_or_is_refused_in_a_sentence(tmp_path: Path, whole: bytes) -> None:
    """One byte, one page or the end is not what it was: whatever is noticed is an error of ours."""

    async def problem_of(path: Path) -> str | None:
        store = open_store(DatabaseSettings(url=f"sqlite:///{path}"), metrics=Metrics())
        try:
            await store.start()
            await store.people.by_account("local", "local", name="You")
            await store.conversations.list("nobody")
        except AntiphonError as error:
            return error.public
        finally:
            await store.stop()
        return None

    problems = []
    for number, damage in enumerate(damages(len(whole), 40 * EFFORT)):
        path = tmp_path / f"{number}.db"
        path.write_bytes(damage(whole))
        problems.append(await problem_of(path))
    refused = [problem for problem in problems if problem is not None]
    assert refused
    assert not any(str(tmp_path) in problem for problem in refused)


def damages(size: int, count: int) -> list[Callable[[bytes], bytes]]:
    """Ways to harm a file, the same ones in every run."""
    ways: list[Callable[[bytes], bytes]] = []
    for number in range(count):
        at = (number * 7919 + 13) * 4093 % size
        ways.append(
            [
                lambda data, at=at: data[:at],
                lambda data, at=at: data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :],
                lambda data, at=at: data[:at] + bytes(4096) + data[at + 4096 :],
                lambda data, at=at: data[: at % 100] + b"\xff" * 8 + data[at % 100 + 8 :],
            ][number % 4]
        )
    return ways


# --- what is published --------------------------------------------------------------------------------------------


def test_a_link_to_elsewhere_is_not_published(tmp_path: Path) -> None:
    folder, secret = tmp_path / "static", tmp_path / "secret.txt"
    folder.mkdir()
    secret.write_text("the secret", encoding="utf-8")
    (folder / "page.html").write_text("page", encoding="utf-8")
    (folder / "inside.html").symlink_to(folder / "page.html")
    (folder / "outside.html").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    (folder / "nowhere.html").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe.html")
    page = StaticPage(folder)
    assert page.find("/inside.html") is not None
    for path in ("/outside.html", "/up/secret.txt", "/nowhere.html", "/pipe.html"):
        assert page.find(path) is None


PIECES = st.sampled_from(
    [
        "..",
        ".",
        "",
        "assets",
        "c",
        "docs",
        "secret.txt",
        "%2e%2e",
        "%2f",
        "\\",
        "..\\",
        "\x00",
        "etc",
        "passwd",
        "~",
        "‥",
    ]
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> StaticPage:
    """A folder with a secret beside it."""
    folder = tmp_path_factory.mktemp("outer") / "static"
    for name, content in {"index.html": "page", "assets/app.js": "script", "docs/index.html": "the docs"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder.parent / "secret.txt").write_text("the secret", encoding="utf-8")
    return StaticPage(folder)


@settings(max_examples=300 * EFFORT)
@given(pieces=st.lists(PIECES, max_size=8))
def test_no_path_leads_out_of_the_folder(published: StaticPage, pieces: list[str]) -> None:
    found = published.find("/" + "/".join(pieces))
    assert found is None or found.body in {b"page", b"script", b"the docs"}

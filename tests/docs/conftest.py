"""The pages as data: their headings, links, tables and blocks of code."""

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CELL = re.compile(r"(?<!\\)\|")

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Block:
    """A fenced block of code: where it stands, in which language, and its text."""

    at: str
    language: str
    text: str


@dataclass(frozen=True)
class Page:
    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(f"{self.name}:{self.text.count(chr(10), 0, found.start()) + 1}", found[1], found[2])
            for found in FENCE.finditer(self.text)
        ]

    @cached_property
    def prose(self) -> str:
        """The page without its blocks of code."""
        return FENCE.sub("", self.text)

    @cached_property
    def spans(self) -> list[str]:
        """The `code` inside sentences and tables."""
        return re.findall(r"`([^`\n]+)`", self.prose)

    @cached_property
    def links(self) -> list[str]:
        return LINK.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """What links may name behind a `#`, made of the headings as forges make it."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def section(self, heading: str) -> str:
        """What stands below a heading, up to the next one."""
        found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", self.text, re.MULTILINE | re.DOTALL)
        assert found is not None, f"{self.name} has no heading {heading!r}"
        return found[1]

    def table(self, heading: str) -> list[Row]:
        """The rows of the first table below a heading, without its head."""
        lines = self.section(heading).splitlines()
        first = next((number for number, line in enumerate(lines) if line.startswith("| ---")), None)
        assert first is not None, f"{self.name} has no table below {heading!r}"
        rows = []
        for line in lines[first + 1 :]:
            if not line.startswith("|"):
                break
            rows.append(tuple(cell.strip() for cell in CELL.split(line)[1:-1]))
        return rows

    def holds(self, heading: str, rows: Sequence[Row]) -> None:
        """Fails unless the table is these rows. None is a cell that people write: anything but nothing."""
        found = self.table(heading)
        written = {row[0]: row for row in found}
        expected = [_completed(row, written.get(row[0])) for row in rows]
        if found != expected or any(cell is None for row in expected for cell in row):
            lines = ["| " + " | ".join("…" if cell is None else cell for cell in row) + " |" for row in expected]
            pytest.fail(f"{self.name}, {heading}: the rows are to be\n" + "\n".join(lines), pytrace=False)


def _completed(row: Row, written: Row | None) -> Row:
    if written is None or len(written) != len(row):
        return row
    return tuple((there or None) if cell is None else cell for cell, there in zip(row, written, strict=True))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> list[Page]:
    """What people read: the README, what lies beside it, and everything below `docs/`."""
    paths = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return [Page(path, path.read_text(encoding="utf-8")) for path in paths]


@pytest.fixture(scope="session")
def page(pages: list[Page]) -> Callable[[str], Page]:
    """A page by its path."""
    return {each.name: each for each in pages}.__getitem__


def events_of(tree: ast.Module) -> set[str]:
    """The names of the events that a module logs, also those that it looks up in a table of its own, says with a level
    that it chooses (`say = log.info if well else log.warning`), or makes a line of (`_line`, the log's own)."""
    found = set()
    chosen = {
        ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and re.match(r"log\.\w+ if ", ast.unparse(node.value))
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(event)), *_]) if name in chosen | {
                "_line"
            }:
                found.add(event)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log")), args=[ast.Constant(value=str(event)), *_]):
                found.add(event.partition(":")[0])
            case ast.Call(func=ast.Attribute(value=value, attr=attribute), args=arguments) if re.search(
                r"(limit_log|complaints)\.\w+$|\._say$", f"{ast.unparse(value)}.{attribute}"
            ):
                # What is said at most once in a while has a log of its own, which knows more than the event.
                found |= {
                    str(each.value) for each in arguments if isinstance(each, ast.Constant) and "." in str(each.value)
                }
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log")), args=[ast.Subscript(value=table), *_]):
                found |= _values(tree, ast.unparse(table))
    return found


def _values(tree: ast.Module, table: str) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == table:
            return set(ast.literal_eval(node.value).values())
    return set()


@pytest.fixture(scope="session")
def log_events(root: Path) -> set[str]:
    """Every event that the package logs."""
    paths = (root / "src" / "antiphon").rglob("*.py")
    return set().union(*(events_of(ast.parse(path.read_text())) for path in paths))


# --- a server as people start it ----------------------------------------------------------------------------------


def plain_environment(**more: str) -> dict[str, str]:
    """The variables of this process without keys and settings, so that the demo model answers."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("ANTIPHON_") and "API_KEY" not in name
    }
    return {**kept, "ANTIPHON_DETECT_LOCAL_MODELS": "false", "ANTIPHON_PROVIDERS__DEMO__RATE": "0", **more}


def answers(port: int) -> bool:
    """Whether a server there answers a request, whatever it says: one that only listens may not yet heed a signal."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        return connection.recv(1) != b""
    return False


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts Python with these arguments in a folder of its own and returns once it has ended or answers on `port`."""

    def run(arguments: Sequence[str], folder: Path, port: int) -> subprocess.Popen[str]:
        with (folder / "stderr").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env=plain_environment(ANTIPHON_SERVER__PORT=str(port)),
                stdout=subprocess.DEVNULL,
                stderr=said,
                text=True,
            )
        deadline = time.monotonic() + 40
        while process.poll() is None and not answers(port):
            assert time.monotonic() < deadline, (folder / "stderr").read_text()
            time.sleep(0.05)
        return process

    return run


@pytest.fixture(scope="session")
def server(start: Callable[..., subprocess.Popen[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `antiphon serve`, with the demo model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    process = start(["-m", "antiphon", "serve"], folder, port)
    assert process.poll() is None, (folder / "stderr").read_text()
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


@pytest.fixture(scope="session")
def fetch(server: str) -> Callable[[str], httpx2.Response]:
    """Asks the server for a path, and fails unless it answers 200."""

    def get(path: str) -> httpx2.Response:
        response = httpx2.get(f"{server}/{path}", timeout=20, trust_env=False)
        assert response.status_code == 200, f"{path}: {response.text}"
        return response

    return get

"""What `docs/reference/live.md` promises, read from its tables: topics, events, fields and the codes of a closing."""

import re
from pathlib import Path

from msgspec import Struct

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "live.md"
ERRORS = PAGE.with_name("errors.md")


class Sent(Struct, frozen=True):
    """Something a client may send: to a topic or a pattern, with these fields, answered or not."""

    topic: str
    event: str
    fields: tuple[str, ...]
    answered: bool = True


def joins() -> list[Sent]:
    return [Sent(_code(topic), "phx_join", _fields(payload)) for topic, payload, _ in _table(PAGE, "Topics")]


def events() -> list[Sent]:
    return [
        Sent("conversation:*", _code(event), _fields(payload), not reply.startswith("none"))
        for event, payload, reply in _table(PAGE, "What a client sends")
    ]


def pushes() -> set[str]:
    """Events that only a server sends."""
    listed = {_code(event) for event, _ in _table(PAGE, "What the server sends")}
    of_the_list = re.search(r"`conversations` sends (.+)", PAGE.read_text(encoding="utf-8"))
    assert of_the_list is not None
    of_the_operators = re.findall(r"^- `(\w+)`", _section(PAGE, "For operators"), flags=re.MULTILINE)
    assert of_the_operators
    return listed | set(re.findall(r"`(\w+)`", of_the_list[1])) | set(of_the_operators)


def closings() -> set[int]:
    rows = [row for row in _table(PAGE, "The socket") if len(row) == 3]
    return {int(row[0]) for row in rows if row[0].isdigit()}


def codes() -> set[str]:
    """Names of errors."""
    return {_code(row[1]) for row in _table(ERRORS, "Each error")}


def _section(page: Path, heading: str) -> str:
    parts = re.split(r"^#+ ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return next(part for part in parts if part.startswith(f"{heading}\n"))


def _table(page: Path, heading: str) -> list[list[str]]:
    """The rows of every table below a heading, without their heads."""
    lines = [line for line in _section(page, heading).splitlines() if line.startswith("|")]
    heads = {number - 1 for number, line in enumerate(lines) if line.startswith("| ---")}
    kept = [line for number, line in enumerate(lines) if number not in heads and not line.startswith("| ---")]
    assert kept, f"{page.name} has no table below {heading}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in kept]


def _code(cell: str) -> str:
    return cell.strip().strip("`")


def _fields(cell: str) -> tuple[str, ...]:
    return tuple(name.strip(" ?`") for name in cell.strip("` {}").split(",") if name.strip(" ?`{}"))

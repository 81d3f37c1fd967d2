"""`docs/life-of-a-message.md` against the code, a real turn, and what a kill leaves."""

import ast
import json
import re
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.crashing.points import POINTS
from tests.docs.conftest import events_of
from tests.serving import Served, Visitor, Visitors

LIFE = "docs/life-of-a-message.md"
OF_A_TURN = (
    *("conversation/*.py", "assistants/*.py", "adapters/*.py", "commands/*.py", "tools/*.py", "search/*.py"),
    *("providers/reliability.py", "cache/soft.py", "storage/postgres/pool.py", "storage/sqlite/lane.py"),
)
"""What a turn passes through: whatever these modules log or count has its step on the page."""

SOURCE = Path(__file__).parents[2] / "src" / "antiphon"


def modules() -> list[str]:
    return [path.read_text() for pattern in OF_A_TURN for path in sorted(SOURCE.glob(pattern))]


def steps(page: Any) -> str:
    """The page without its examples and tables."""
    return "\n".join(line for line in page(LIFE).prose.splitlines() if not line.startswith("|"))


def test_every_event_of_a_turn_has_its_step(page: Any) -> None:
    logged = set().union(*(events_of(ast.parse(text)) for text in modules()))
    assert {"turn.finished", "cache.unreachable", "store.reconnected"} <= logged
    assert logged - set(re.findall(r"`([a-z_]+\.[a-z_]+)`", steps(page))) == set()


def test_every_metric_of_a_turn_has_its_step(page: Any) -> None:
    made = {name for text in modules() for name in re.findall(r'"(antiphon_[a-z_]+)"', text)}
    assert {"antiphon_turns_total", "antiphon_model_seconds"} <= made
    assert made - set(re.findall(r"`(antiphon_[a-z_]+)`", steps(page))) == set()


def test_what_a_kill_leaves_is_what_the_tests_of_kills_expect(page: Any) -> None:
    expected: dict[str, set[str]] = defaultdict(set)
    for point in POINTS:
        expected[str(point.step)] |= point.found
    del expected["0"]
    shown = {row[0]: set(row[1].split(", ")) for row in page(LIFE).table("When the process dies")}
    assert shown == expected
    ends = re.findall(r"^\| ([a-z]+) \| [A-Z]", page(LIFE).section("When the process dies"), re.MULTILINE)
    assert set(ends) == set().union(*expected.values())


async def test_the_page_shows_a_real_turn_and_a_real_recovery(page: Any, tmp_path: Path) -> None:
    ended, died = (block.text for block in page(LIFE).blocks if block.language == "json")
    served = Served(tmp_path, ANTIPHON_LOG_FORMAT="json").start()
    try:
        async with talk(served) as visitor:
            before, known = counters(served), len(served.log)
            await visitor.ask("What is 17% of 2340?")
            after = counters(served)
            assert lines(served.log[known:]) == lines(ended)
            hanging = await visitor.say("!hang")
            await visitor.until("turn_start", turn_id=hanging["turn_id"])
            served.kill()
        known = len(served.log)
        served.start()
        assert lines(served.log[known:]) == lines(died)
    finally:
        served.end()
    for name, by, _ in page(LIFE).table("One turn, as the log and the metrics have it"):
        metric, least = name.strip("`"), by.removesuffix(" or more")
        moved = after[metric] - before.get(metric, 0.0)
        assert moved == int(least) or (least != by and moved > int(least)), metric


@asynccontextmanager
async def talk(served: Served) -> AsyncIterator[Visitor]:
    visitors = Visitors()
    try:
        yield await visitors.enter(served.url)
    finally:
        await visitors.close()


def lines(log: str) -> list[tuple[dict[str, Any], list[str]]]:
    """Of each line about a turn, what is always the same in it, and the names of its fields."""
    found = [json.loads(line) for line in log.splitlines() if '"turn_id"' in line]
    fixed = ("level", "event", "logger", "adapter", "outcome", "model", "input_tokens", "output_tokens")
    return [({name: line[name] for name in fixed if name in line}, list(line)) for line in found]


def counters(served: Served) -> dict[str, float]:
    with urllib.request.urlopen(f"{served.url}/metrics", timeout=20) as answer:
        told = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(antiphon_\S+) (\S+)$", told, re.MULTILINE)}

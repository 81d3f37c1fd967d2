"""What every built-in tool must be: found by its file, understood by a model, harmless when misused."""

from typing import Any

import msgspec
import pytest

from antiphon.runtime.container import ServiceContainer
from antiphon.search.base import Search
from antiphon.search.finder import Finder
from antiphon.search.manual import Manual
from antiphon.search.sources import ManualSource
from antiphon.tools.base import Tool, ToolContext, tool_registry
from antiphon.tools.config import WebFetchSettings
from antiphon.tools.web.base import WebReader
from antiphon.tools.web.fetcher import Fetcher

TOOLS = tool_registry()
BELOW = ServiceContainer()
"""What they may ask for: contracts of the layers that tools stand on."""
BELOW.register_singleton(Search, Finder([ManualSource(Manual())]))
BELOW.register_singleton(WebReader, Fetcher(WebFetchSettings()))
CONTEXT = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="a", services=BELOW)
HOSTILE = [
    "",
    "{",
    "null",
    "[]",
    "0",
    '""',
    "[" * 10_000,
    '{"__class__": {}}',
    "\x00",
    "\ud800",
    "{" + '"a":1,' * 1_000,
]


@pytest.fixture(params=TOOLS.names())
def each(request: pytest.FixtureRequest) -> Tool[..., Any]:
    return TOOLS.get(request.param)


def test_a_model_can_understand_it(each: Tool[..., Any]) -> None:
    assert each.description[0].isupper()
    assert "\n\n\n" not in each.description
    assert each.parameters["type"] == "object"
    undescribed = [name for name, schema in each.parameters["properties"].items() if not schema.get("description")]
    assert undescribed == []


def test_it_needs_nothing_from_above(each: Tool[..., Any]) -> None:
    each.check(BELOW)


def test_names_are_unique() -> None:
    names = [TOOLS.get(name).name for name in TOOLS.names()]
    assert len(names) == len(set(names)) >= 3


@pytest.mark.parametrize("arguments", HOSTILE, ids=range(len(HOSTILE)))
async def test_misuse_is_answered_in_words(each: Tool[..., Any], arguments: str) -> None:
    result = await each.call(arguments, CONTEXT)
    assert result.text
    assert "error in the tool itself" not in result.text


@pytest.mark.parametrize("value", ["", "\x00", "\U0010ffff" * 100, "x" * 100_000, "../" * 50, "%s{0}", "' OR 1=1 --"])
async def test_hostile_text_in_every_argument_is_survived(each: Tool[..., Any], value: str) -> None:
    arguments = msgspec.json.encode(dict.fromkeys(each.parameters["properties"], value)).decode()
    result = await each.call(arguments, CONTEXT)
    assert "error in the tool itself" not in result.text
    assert len(result.text.encode()) <= each.output_limit + 100

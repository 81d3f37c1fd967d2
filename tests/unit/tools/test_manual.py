import json
from collections.abc import Callable
from pathlib import Path

import pytest

from antiphon.search.base import Search
from antiphon.search.finder import Finder
from antiphon.search.manual import Manual
from antiphon.search.sources import ManualSource
from antiphon.tools.base import ToolContext
from antiphon.tools.manual import search_manual


@pytest.fixture
def context(tmp_path: Path, make_context: Callable[..., ToolContext]) -> ToolContext:
    """With a manual of the pages in `tmp_path`."""
    return make_context(services={Search: Finder([ManualSource(Manual(tmp_path))])})


async def test_answers_with_title_text_and_source(tmp_path: Path, context: ToolContext) -> None:
    (tmp_path / "models.md").write_text("# Models\n\n## Fallback\n\nWhen a provider fails, `the next` answers.\n")
    (tmp_path / "tools.md").write_text("# Tools\n\nA tool is a function.\n")
    result = await search_manual.call('{"query": "which provider is the next fallback?"}', context)
    assert json.loads(result.text)[0] == {
        "title": "Models › Fallback",
        "text": "When a provider fails, `the next` answers.",
        "source": "docs/guides/models.md#fallback",
    }


async def test_nothing_found_is_an_answer(context: ToolContext) -> None:
    result = await search_manual.call('{"query": "xyzzy"}', context)
    assert (result.text, result.failed) == ("[]", False)


async def test_a_huge_manual_makes_a_result_that_is_still_json(tmp_path: Path, context: ToolContext) -> None:
    for number in range(6):
        (tmp_path / f"page{number}.md").write_text(f"# Page {number}\n\n{number} " + "tool ä " * 5_000)
    result = await search_manual.call('{"query": "tool"}', context)
    pages = json.loads(result.text)
    assert len(pages) == 4
    assert all(len(page["text"]) == 2_000 for page in pages)

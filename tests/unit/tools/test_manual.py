import json
from pathlib import Path

import pytest

from antiphon.search.manual import Manual
from antiphon.tools import manual as module
from antiphon.tools.base import ToolContext
from antiphon.tools.manual import search_manual


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "_MANUAL", Manual(tmp_path))
    return tmp_path


async def test_answers_with_title_text_and_source(pages: Path, context: ToolContext) -> None:
    (pages / "models.md").write_text("# Models\n\n## Fallback\n\nWhen a provider fails, the next answers.\n")
    (pages / "tools.md").write_text("# Tools\n\nA tool is a function.\n")
    result = await search_manual.call('{"query": "which provider is the fallback?"}', context)
    assert json.loads(result.text)[0] == {
        "title": "Models › Fallback",
        "text": "When a provider fails, the next answers.",
        "source": "docs/guides/models.md#fallback",
    }


async def test_nothing_found_is_an_answer(pages: Path, context: ToolContext) -> None:
    result = await search_manual.call('{"query": "xyzzy"}', context)
    assert (result.text, result.failed) == ("[]", False)


async def test_a_huge_manual_makes_a_result_that_is_still_json(pages: Path, context: ToolContext) -> None:
    for number in range(6):
        (pages / f"page{number}.md").write_text(f"# Page {number}\n\n" + "tool ä " * 5_000)
    result = await search_manual.call('{"query": "tool"}', context)
    assert 0 < len(json.loads(result.text)) <= 4

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.search import manual as module
from antiphon.search.manual import Manual, Section, split

GUIDES = Path(module.__file__).parents[3] / "docs" / "guides"

PAGE = """Before any heading.

# The `Guide` to [tools](tools.md)

## Setup ##

Type this:

```sh
# no heading
~~~
make run
```

### On Windows

~~~~ text
~~~
## no heading either
~~~~
Use it.

## Setup

The second of that name.

#hashtag is prose
"""


def test_a_page_is_split_at_its_headings() -> None:
    sections = list(split(PAGE, "docs/guides/page.md"))
    assert [(section.title, section.source) for section in sections] == [
        ("page", "docs/guides/page.md"),
        ("The Guide to tools › Setup", "docs/guides/page.md#setup"),
        ("The Guide to tools › Setup › On Windows", "docs/guides/page.md#on-windows"),
        ("The Guide to tools › Setup", "docs/guides/page.md#setup-1"),
    ]
    assert "# no heading" in sections[1].text
    assert "## no heading either" in sections[2].text
    assert sections[3].text.endswith("#hashtag is prose")


def test_levels_may_be_skipped_and_closed_again() -> None:
    page = "### Deep\nx\n# Top\ny\n### Deep\nz\n## Middle\nw\n"
    assert [section.title for section in split(page, "p.md")] == ["Deep", "Top", "Top › Deep", "Top › Middle"]


def test_anchors_are_those_of_github() -> None:
    page = "# What's new in v2.0 (beta)?\nx\n# Über_uns\ny"
    assert [section.anchor for section in split(page, "p.md")] == ["whats-new-in-v20-beta", "über_uns"]


def test_a_code_block_that_is_never_closed_runs_to_the_end() -> None:
    assert len(list(split("# A\n```\n# B\n# C\n", "p.md"))) == 1


@given(
    st.lists(st.sampled_from(["# A", "## B", "```", "~~~", "````", "text", "", "#", "# ", "####### x"]), max_size=30)
)
def test_no_line_of_text_is_lost_or_doubled(lines: list[str]) -> None:
    sections = list(split("\n".join(lines), "p.md"))
    assert sum(section.text.splitlines().count("text") for section in sections) == lines.count("text")


@given(st.text())
def test_any_text_can_be_split(text: str) -> None:
    for section in split(text, "p.md"):
        assert section.text.strip()
        assert section.title


# --- a manual -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.md").write_text("# Storage\n\n## Backup\n\nCopy the file of the database.\n", "utf-8")
    (tmp_path / "a.md").write_text(
        "# Models\n\nAsk a database of models.\n\n## Ollama\n\nStart Ollama first.\n", "utf-8"
    )
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.md").write_text("# Ünïcode\n\nZürich.\n", "utf-8")
    (tmp_path / "notes.txt").write_text("# Not part of it\n\nOllama.\n", "utf-8")
    return tmp_path


def test_the_best_sections_come_first(folder: Path) -> None:
    manual = Manual(folder)
    assert manual.search("how do I back up the database", 2)[0].title == "Storage › Backup"
    assert [section.title for section in manual.search("OLLAMA", 5)] == ["Models › Ollama"]
    assert manual.search("zurich", 1) == [Section("Ünïcode", "Zürich.", "docs/guides/deep/c.md", "ünïcode")]
    assert manual.search("xyzzy", 5) == []


def test_a_title_weighs_more_than_the_text(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("# Other\n\npresence presence\n\n# Presence\n\nwho is here\n")
    assert Manual(tmp_path).search("presence", 1)[0].title == "Presence"


def test_pages_are_read_once_and_only_when_asked(folder: Path) -> None:
    manual = Manual(folder)
    (folder / "late.md").write_text("# Late\n\nlatecomer\n")
    assert len(manual.search("latecomer", 5)) == 1
    shutil.rmtree(folder)
    assert len(manual.search("latecomer", 5)) == 1


def test_without_a_manual_nothing_is_found(tmp_path: Path) -> None:
    assert Manual(tmp_path / "missing").search("anything", 5) == []


def test_a_checkout_goes_before_what_was_built_from_it_once(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = tmp_path_factory.mktemp("manual")
    (built / "p.md").write_text("# Built\n\nollama\n")
    monkeypatch.setattr(module, "_CHECKOUT", folder)
    monkeypatch.setattr(module, "_BUILT", built)
    assert [section.title for section in Manual().search("ollama", 5)] == ["Models › Ollama"]
    monkeypatch.setattr(module, "_CHECKOUT", built / "missing")
    assert [section.title for section in Manual().search("ollama", 5)] == ["Built"]


def test_an_order_that_never_changes(folder: Path) -> None:
    assert [section.path for section in Manual(folder).sections] == [
        "docs/guides/a.md",
        "docs/guides/a.md",
        "docs/guides/b.md",
        "docs/guides/deep/c.md",
    ]


@pytest.mark.skipif(not any(GUIDES.glob("*.md")), reason="this checkout has no docs/guides")
def test_every_section_of_the_real_guides_is_found_by_its_own_title() -> None:
    manual = Manual(GUIDES)
    assert manual.sections
    for section in manual.sections:
        best = manual.search(f"{section.title} {section.text}", 3)
        assert section.title in [other.title for other in best], section.source


def test_no_guide_writes_the_marks_of_search_itself() -> None:
    """They are taken off again before a model reads a section."""
    assert [section.source for section in Manual(GUIDES).sections if "«" in section.text or "»" in section.text] == []

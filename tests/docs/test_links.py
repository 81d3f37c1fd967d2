"""Whatever a page points to is there."""

import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def test_links_lead_somewhere(pages: list[Any], root: Path) -> None:
    anchors = {each.path: each.anchors for each in pages}
    broken = []
    for each in pages:
        for link in each.links:
            url = urlsplit(link)
            if url.scheme:
                continue
            target = Path(posixpath.normpath(each.path.parent / url.path)) if url.path else each.path
            if not target.exists() or (url.fragment and url.fragment not in anchors.get(target, ())):
                broken.append(f"{each.name}: {link}")
    assert broken == []


def test_links_stay_inside_or_are_encrypted(pages: list[Any]) -> None:
    """http leads to this machine only, and nothing points out of the repository."""
    for each in pages:
        for link in each.links:
            url = urlsplit(link)
            assert url.scheme in {"", "https"} or url.hostname == "127.0.0.1", f"{each.name}: {link}"
            assert not url.path.startswith("/") or url.scheme, f"{each.name}: {link}"


def test_every_page_can_be_reached_from_the_readme(pages: list[Any], root: Path) -> None:
    by_path = {each.path: each for each in pages}
    reached: set[Path] = set()
    waiting = [root / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path not in by_path:
            continue
        reached.add(path)
        local = [urlsplit(link).path for link in by_path[path].links if not urlsplit(link).scheme]
        waiting += [Path(posixpath.normpath(path.parent / link)) for link in local if link]
    assert sorted(each.name for each in pages if each.path not in reached) == []


def test_files_named_in_passing_exist(pages: list[Any], root: Path) -> None:
    """`conversation/router.py` in a sentence is below the package, below the root, or beside the page."""
    named = re.compile(r"(?:[\w.-]+/)+[\w-]+\.(?:py|md|ts|tsx|toml|lock)|[a-z]\w+(?:/\w+)+/")
    missing = []
    for each in pages:
        for span in each.spans:
            places = (root, root / "src" / "antiphon", root / "tests", each.path.parent)
            if named.fullmatch(span) and "<" not in span and not any((place / span).exists() for place in places):
                missing.append(f"{each.name}: {span}")
    assert missing == []

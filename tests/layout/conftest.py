"""The source as data: every module of the package, parsed once."""

import ast
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every module of the package."""
    source = ROOT / "src"
    found = []
    for path in sorted((source / "antiphon").rglob("*.py")):
        text = path.read_text()
        name = ".".join(path.relative_to(source).with_suffix("").parts)
        found.append(Module(path.relative_to(ROOT), name, text, ast.parse(text)))
    return found


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that belongs to the repository, also those not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("this is no git checkout")
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]

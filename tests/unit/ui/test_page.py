"""The page's own tests, run by Node."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

UI = Path(__file__).parents[3] / "ui"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("tool", [("vitest/vitest.mjs", "run", "--no-color"), ("typescript/bin/tsc", "--noEmit")])
def test_the_page_passes_its_own_checks(node: str, npm_ci: Callable[[Path], Path], tool: tuple[str, ...]) -> None:
    script, *arguments = tool
    command = [node, str(npm_ci(UI) / "node_modules" / script), *arguments]
    environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=UI, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr

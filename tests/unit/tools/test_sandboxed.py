"""Tools whose functions run in processes of their own."""

import os
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon import ConfigError, Resources, ToolContext, tool
from antiphon.runtime.container import ServiceContainer
from antiphon.tools.base import Tool
from tests import sandboxed_tools as tools

Logged = list[MutableMapping[str, Any]]
ROOT = Path(__file__).parents[3]


async def test_arguments_and_result_are_those_of_any_tool(context: ToolContext) -> None:
    result = await tools.plan.call('{"period": {"first": "2026-11-20", "days": 3}}', context)
    assert not result.failed, result.text
    assert msgspec.json.decode(result.text) == {
        "period": {"first": "2026-11-20", "days": 3},
        "type": "date",
        "turn": context.turn_id,
        "note": "none",
    }


async def test_it_runs_elsewhere_and_can_still_be_called_as_a_function(context: ToolContext) -> None:
    assert int((await tools.process_id.call("", context)).text) != os.getpid()
    assert await tools.process_id() == os.getpid()


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (tools.refuse, "There is no such article."),
        (tools.hang, "hang took longer than its limit of 1.5 s and was given up."),
        (tools.hoard, "Tool hoard needed more than its limit of 256Mi of memory and was ended."),
    ],
)
async def test_a_model_is_told_why(item: Tool[[], object], text: str, context: ToolContext) -> None:
    result = await item.call("", context)
    assert (result.failed, result.text) == (True, text)


async def test_wrong_arguments_begin_no_process(context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    result = await tools.plan.call('{"period": 3}', context)
    assert "period: Input should be an object" in result.text


async def test_a_failure_is_logged_with_its_stack_and_without_its_message(context: ToolContext, logged: Logged) -> None:
    result = await tools.stumble.call("", context)
    assert result.text == "stumble failed because of an error in the tool itself; the details are in the log."
    assert logged[0]["error"] == "KeyError"
    assert "in stumble" in logged[0]["stack"]
    assert "WHAT A PERSON WROTE" not in str(logged)


def test_services_are_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"Tool when: .* has no services; take clock: Clock away"):
        tools.when.check(ServiceContainer())


def test_a_function_within_a_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="its function is defined at the top of a module"):

        @tool(resources=Resources())
        def inner() -> None:
            """Not found by its process."""


PROGRAM = '''
import asyncio
from antiphon import Resources, ToolContext, Workspace, tool

@tool(resources=Resources())
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number

context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="a")
'''
CALL = "print(asyncio.run(double.call('{\"number\": 21}', context)).text)\n"


@pytest.mark.parametrize("arguments", [["program.py"], ["-m", "program"]])
def test_a_tool_of_the_program_that_was_started_is_found(tmp_path: Path, arguments: list[str]) -> None:
    assert _said(tmp_path, f'{PROGRAM}if __name__ == "__main__":\n    {CALL}', arguments) == "42\n"


def test_a_program_that_would_begin_again_says_what_to_write(tmp_path: Path) -> None:
    program = f'{PROGRAM}if __name__ == "__main__":\n    {CALL}else:\n    Workspace().run()\n'
    assert "begins by `if __name__ == '__main__': ws.run()`" in _said(tmp_path, program, ["program.py"])


def _said(folder: Path, program: str, arguments: list[str]) -> str:
    (folder / "program.py").write_text(program)
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""A tool's function in a process of its own: which one it is, and what goes there and comes back."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from antiphon.errors import ConfigError
from antiphon.security.resources import Resources
from antiphon.security.sandbox import Sandbox

_INSIDE = "antiphon.tools._inside:carry_out"


class Sandboxed:
    """`function` as the process finds it: by its module and name. Raises `ConfigError` when it could not.

    A function of the program that was started is found by the program's file, which is run once more, but not as
    `__main__`.
    """

    def __init__(self, function: Callable[..., Any], name: str, resources: Resources, output_limit: int) -> None:
        if function.__qualname__ != function.__name__:
            raise ConfigError(f"Tool {name}: with resources=, its function is defined at the top of a module.")
        self._function = function
        self._sandbox = Sandbox(f"Tool {name}", resources, output_limit=output_limit)

    async def run(self, arguments: str, context: Mapping[str, str]) -> str:
        """The text of the result; raises as `Sandbox.run` does."""
        place = {**self._place(), "name": self._function.__name__}
        text = await self._sandbox.run(_INSIDE, {**place, "arguments": arguments, "context": context})
        return str(text)

    def _place(self) -> dict[str, str]:
        if self._function.__module__ != "__main__":
            return {"module": self._function.__module__, "file": ""}
        program = sys.modules["__main__"]
        spec, file = getattr(program, "__spec__", None), getattr(program, "__file__", None)
        if spec is None and file is None:
            raise ConfigError("A tool with resources= is defined in a file: its process could not find it elsewhere.")
        return {"module": spec.name, "file": ""} if spec is not None else {"module": "", "file": str(file)}

"""What runs in the process of a tool: finds its function, checks the arguments once more into their types, calls it."""

import inspect
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import msgspec

from antiphon.errors import ModuleError
from antiphon.tools._signature import Signature
from antiphon.tools.base import Tool, ToolContext, as_text

_PROGRAM = "__antiphon__"  # not `__main__`, so that a program which asks does not begin again


async def carry_out(module: str, file: str, name: str, arguments: str, context: dict[str, str]) -> str:
    """The text of what the function `name` of `module`, or of the program in `file`, returns."""
    found = getattr(_program(file) if file else import_module(module), name)
    function = found.function if isinstance(found, Tool) else found
    signature = Signature(function, name, ToolContext)
    keywords = signature.read(arguments) | dict.fromkeys(signature.contexts, msgspec.convert(context, ToolContext))
    value = function(**keywords)
    return as_text(await value if inspect.isawaitable(value) else value)


def _program(file: str) -> ModuleType:
    spec = spec_from_file_location(_PROGRAM, file)
    if spec is None or spec.loader is None:
        raise ModuleError(f"{file} cannot be loaded as Python.")
    program = sys.modules[_PROGRAM] = module_from_spec(spec)
    spec.loader.exec_module(program)
    return program

"""The contract of a tool: a typed Python function that a model may call.

`@tool` reads the signature and the docstring. `Tool.call` takes the JSON text a model wrote and always comes back
with a `ToolResult`: what a tool does wrong, the model is told in words; only cancellation passes through.
"""

import asyncio
import inspect
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar, overload

import msgspec
from msgspec import Struct
from pydantic import BaseModel

from antiphon.errors import ConfigError, ProcessingError, ToolError
from antiphon.runtime.base import Services
from antiphon.runtime.container import ServiceContainer
from antiphon.runtime.registry import Registry
from antiphon.runtime.threads import Threads
from antiphon.security.resources import Resources
from antiphon.security.sandbox import SandboxedError
from antiphon.telemetry.logs import get_logger, stack_of
from antiphon.tools._sandboxed import Sandboxed
from antiphon.tools._signature import Docstring, GivenSchema, Signature

P = ParamSpec("P")
R = TypeVar("R")

Approve = bool | Callable[[Mapping[str, Any]], bool]
"""Whether a person must allow a call first: always, never, or as a function of its checked arguments says."""

OUTPUT_LIMIT = 32 * 1024
_THREADS = 8  # blocking calls of one tool at once; more wait, and waiting counts against the time limit
_WAITING = 1_000
_OTHERS = frozenset({"config", "mcp", "web"})  # what the folder holds besides tools
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what every vendor of models accepts

log = get_logger(__name__)


class ToolContext(Struct, frozen=True, kw_only=True):
    """For whom and in which turn a tool runs. A parameter annotated `ToolContext` receives it.

    `services` holds what tools may ask for, by the Protocol class they annotate a parameter with.
    """

    person_id: str
    conversation_id: str
    turn_id: str
    message_id: str
    assistant: str
    services: Services = msgspec.field(default_factory=ServiceContainer)

    @property
    def ids(self) -> dict[str, str]:
        """All of it but the services: what may leave the process."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "services"}


class ToolResult(Struct, frozen=True, kw_only=True):
    """What the model is told. `failed`: the text says what went wrong, and nothing else happened."""

    text: str
    failed: bool = False
    elapsed_ms: float


@dataclass(frozen=True, eq=False)
class Tool(Generic[P, R]):
    """A function as a tool; calling it calls the function. Made by `tool`; it keeps no state between calls.

    `timeout` is in seconds. `output_limit` is in bytes of UTF-8: a longer result is cut and says so. `approval` tells
    which calls a person must allow first.
    """

    function: Callable[P, R]
    name: str
    description: str
    timeout: float
    output_limit: int
    approval: Approve
    _signature: Signature
    _threads: Threads
    _sandboxed: Sandboxed | None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of the arguments, made once. Raises `ConfigError` when a type has none."""
        return self._signature.schema

    @property
    def requires(self) -> Mapping[str, type[Any]]:
        """The services (Protocol classes) that `ToolContext.services` must supply, by the parameter that wants each."""
        return self._signature.services

    def asks(self, arguments: str, *, always: bool = False) -> bool:
        """Whether a person must allow a call with these arguments first; `always`, whatever the tool itself says.

        A call whose arguments cannot be read needs nobody: it fails. A rule that fails asks.
        """
        if not (self.approval or always):
            return False
        try:
            values = self._signature.complete(arguments)
        except ToolError:
            return False
        if always or not callable(self.approval):
            return True
        try:
            return bool(self.approval(values))
        except Exception as error:  # noqa: BLE001 - a stranger's rule: who cannot tell whether to ask, asks
            log.warning("tool.approval_rule_failed", tool=self.name, error=type(error).__name__, stack=stack_of(error))
            return True

    def check(self, services: Services) -> None:
        """Raises `ConfigError` naming what is missing or wrong, so that a start fails instead of a turn."""
        if self._sandboxed and self.requires:
            argument, kind = next(iter(self.requires.items()))
            raise ConfigError(
                f"Tool {self.name}: with resources= it runs in a process of its own, which has no services; take "
                f"{argument}: {kind.__name__} away."
            )
        services.require(self.requires, by=f"Tool {self.name}")
        self.parameters  # noqa: B018 - types are resolved here

    async def call(self, arguments: str, context: ToolContext) -> ToolResult:
        """Runs the function on JSON text that a model wrote.

        A coroutine is cancelled at the time limit or with the caller, and a process of its own is ended. A blocking
        function runs in a thread and cannot be stopped there: nobody waits for it any more and its result is dropped.
        """
        started = time.perf_counter()
        deadline = asyncio.timeout(self.timeout)
        failed = True
        try:
            async with deadline:
                text = as_text(await self._run(arguments, context))
            failed = False
        except SandboxedError as error:
            text = self._blame(error.kind, error.stack, context)
        except (ProcessingError, ConfigError) as error:
            text = error.public
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool is a stranger's code: it fails, the turn goes on
            overdue = isinstance(error, TimeoutError) and deadline.expired()
            text = self._overdue(context) if overdue else self._blame(type(error).__name__, stack_of(error), context)
        elapsed = (time.perf_counter() - started) * 1000
        return ToolResult(text=_fit(text, self.output_limit), failed=failed, elapsed_ms=elapsed)

    async def _run(self, arguments: str, context: ToolContext) -> Any:
        if self._sandboxed:
            self._signature.read(arguments)  # what is wrong with them is said before anything is begun
            return await self._sandboxed.run(arguments, context.ids)
        keywords = self._signature.read(arguments) | dict.fromkeys(self._signature.contexts, context)
        if not self.requires:
            return await self._execute(keywords)
        async with context.services.supply(self.requires) as services:
            return await self._execute(keywords | services)

    async def _execute(self, keywords: dict[str, Any]) -> Any:
        call: Callable[..., Any] = self.function
        if self._is_async:
            return await call(**keywords)
        value = await self._threads.run(lambda: call(**keywords))
        return await value if inspect.isawaitable(value) else value

    @cached_property
    def _is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def _overdue(self, context: ToolContext) -> str:
        log.warning("tool.overdue", tool=self.name, turn_id=context.turn_id, limit_s=self.timeout)
        return f"{self.name} took longer than its limit of {self.timeout:g} s and was given up."

    def _blame(self, error: str, stack: str, context: ToolContext) -> str:
        """Logs the failure for the developer and words it for the model."""
        log.error("tool.failed", tool=self.name, turn_id=context.turn_id, error=error, stack=stack)
        return f"{self.name} failed because of an error in the tool itself; the details are in the log."


def tool_registry() -> Registry[Tool[..., Any]]:
    """The tools of this folder by file name, and those of installed packages (entry points `antiphon.tools`)."""
    return Registry("tool", _only_tool, package="antiphon.tools", without=_OTHERS, group="antiphon.tools")


def _only_tool(module: ModuleType) -> Tool[..., Any]:
    made_here = [value for value in vars(module).values() if isinstance(value, Tool)]
    if len(made_here) != 1:
        raise AttributeError(f"{module.__name__} must hold one tool and holds {len(made_here)}")
    return made_here[0]


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = 30.0,
    output_limit: int = OUTPUT_LIMIT,
    resources: Resources | None = None,
    approval: Approve = False,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = 30.0,
    output_limit: int = OUTPUT_LIMIT,
    resources: Resources | None = None,
    approval: Approve = False,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """A `Tool` of a function, sync or async: `@tool`, or `@tool(timeout=5)`.

    The name is the function's, the description its docstring, the arguments its parameters with their types and
    what the docstring (Google or Sphinx style), `Annotated` or `Field` say of them. Parameters annotated with
    `ToolContext` or a Protocol class are injected. With `resources`, the function runs in a process of its own that
    gets no more than that, and ends at the time limit; it stands at the top of a module and is given no services.
    With `approval`, a person must allow a call first: each one, or those for whose arguments a function is true.
    Raises `ConfigError` naming what is missing.
    """

    def decorate(function: Callable[P, R]) -> Tool[P, R]:
        return _make(function, name, description, timeout, output_limit, resources, approval)

    return decorate if function is None else decorate(function)


def _make(
    function: Callable[P, R],
    name: str | None,
    description: str | None,
    timeout: float,
    output_limit: int,
    resources: Resources | None,
    approval: Approve,
) -> Tool[P, R]:
    if not inspect.isroutine(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"@tool belongs on a function or method that returns its result, not on {function!r}.")
    name = function.__name__ if name is None else name
    if not _NAME.fullmatch(name):
        raise ConfigError(f"Tool {name!r}: a name has 1 to 64 letters, digits, _ or -; give one with @tool(name=…).")
    description = Docstring.of(function.__doc__).summary if description is None else description
    if not description:
        raise ConfigError(f"Tool {name}: no docstring; write one sentence that tells a model what the tool does.")
    if timeout <= 0 or output_limit <= 0:
        raise ConfigError(f"Tool {name}: timeout and output_limit must be greater than 0.")
    if inspect.iscoroutinefunction(approval):
        raise ConfigError(f"Tool {name}: the rule in approval= must be a plain function, not an async one.")
    signature = Signature(function, name, ToolContext)
    # Each has its own threads, so one that hangs starves only itself.
    threads = Threads(_THREADS, _WAITING, name=f"tool {name}")
    sandboxed = Sandboxed(function, name, resources, output_limit) if resources else None
    made: Tool[P, R] = Tool(function, name, description, timeout, output_limit, approval, signature, threads, sandboxed)
    made.__dict__.update(__doc__=function.__doc__, __module__=function.__module__, __wrapped__=function)
    return made


def given_tool(
    function: Callable[P, R],
    *,
    name: str,
    description: str,
    schema: Mapping[str, Any],
    timeout: float,
    output_limit: int,
) -> Tool[P, R]:
    """A `Tool` whose arguments somebody else checks: `function` is given what a model wrote, by name. The schema is
    passed on as it is."""
    threads = Threads(_THREADS, _WAITING, name=f"tool {name}")
    return Tool(
        function, name, description, timeout, output_limit, False, GivenSchema(function, name, schema), threads, None
    )


def as_text(value: Any) -> str:
    """A result as a model reads it: text as it is, everything else as compact JSON."""
    if isinstance(value, str):
        return value
    return "done" if value is None else msgspec.json.encode(value, enc_hook=_encode).decode()


def _encode(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a tool cannot return a {type(value).__name__}: it has no JSON form")


def _fit(text: str, limit: int) -> str:
    """`text` within `limit` bytes, and always encodable: half a surrogate pair would break every JSON after it."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return f"{data[:limit].decode('utf-8', 'ignore')}\n[cut: the first {limit} of {len(data)} bytes]"

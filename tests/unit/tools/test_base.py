"""Running tools: whatever they do, a result comes back, on time, and the event loop stays free."""

import asyncio
import contextvars
import json
import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from antiphon.errors import ModuleError, ToolError
from antiphon.tools.base import Tool, ToolContext, ToolResult, tool, tool_registry

Logged = list[MutableMapping[str, Any]]


class Pydantic(BaseModel):
    at: datetime


class Packed(msgspec.Struct):
    n: int


@dataclass
class Plain:
    price: Decimal


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Blocks threads until it is set, which it is at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


def returning(value: Any) -> Tool[[], Any]:
    @tool
    async def give() -> Any:
        """Gives."""
        return value

    return give


def raising(error: BaseException) -> Tool[[], None]:
    @tool
    def fail() -> None:
        """Fails."""
        raise error

    return fail


def raising_async(error: BaseException) -> Tool[[], Any]:
    @tool
    async def fail() -> None:
        """Fails."""
        raise error

    return fail


# --- results ------------------------------------------------------------------------------------------------------


async def test_a_tool_is_still_the_function() -> None:
    @tool(name="double_it", timeout=2, description="Doubles.")
    async def double(n: int) -> int:
        return n * 2

    @tool
    def half(n: int) -> float:
        """Halves."""
        return n / 2

    assert await double(4) == 8
    assert half(n=4) == 2
    assert (double.name, double.description, double.timeout) == ("double_it", "Doubles.", 2)
    assert half.__doc__ == "Halves."


def test_a_tool_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        returning(1).name = "other"  # type: ignore[misc]


async def test_a_method_of_an_object_is_a_tool(context: ToolContext) -> None:
    class Counter:
        def __init__(self) -> None:
            self.count = 0

        async def add(self, n: int) -> int:
            """Adds."""
            self.count += n
            return self.count

    counter = Counter()
    assert (await tool(counter.add).call('{"n": 3}', context)).text == "3"
    assert counter.count == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "done"),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": [1, "é"]}, '{"a":[1,"é"]}'),
        ([Packed(1), Plain(Decimal("2.50"))], '[{"n":1},{"price":"2.50"}]'),
        ({"m": Pydantic(at=datetime(2026, 1, 2, tzinfo=UTC))}, '{"m":{"at":"2026-01-02T00:00:00Z"}}'),
        ("half \ud800", "half ?"),
    ],
)
async def test_results_become_text(value: Any, text: str, context: ToolContext) -> None:
    result = await returning(value).call("{}", context)
    assert (result.text, result.failed) == (text, False)
    assert result.elapsed_ms >= 0


async def test_a_result_without_json_form_fails_and_says_nothing_of_it(context: ToolContext) -> None:
    result = await returning(object()).call("{}", context)
    assert result.failed
    assert "object at" not in result.text


async def test_a_long_result_is_cut_between_characters_and_says_so(context: ToolContext) -> None:
    result = await returning("ä" * 40_000).call("{}", context)
    kept, notice = result.text.split("\n")
    assert kept == "ä" * (32 * 1024 // 2)
    assert notice == "[cut: the first 32768 of 80000 bytes]"

    @tool(output_limit=5)
    async def short() -> str:
        """Short."""
        return "ääää"

    assert (await short.call("{}", context)).text.startswith("ää\n[cut")


async def test_a_sync_function_that_returns_an_awaitable_is_awaited(context: ToolContext) -> None:
    async def later() -> str:
        return "later"

    @tool
    def wrapped() -> Any:
        """Wraps."""
        return later()

    assert (await wrapped.call("{}", context)).text == "later"


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [raising, raising_async])
async def test_a_tool_error_is_told_to_the_model_in_its_public_words(
    make: Callable[[BaseException], Tool[..., Any]], context: ToolContext
) -> None:
    result = await make(ToolError("key 123 refused", public="The service refused the key.")).call("{}", context)
    assert (result.text, result.failed) == ("The service refused the key.", True)


@pytest.mark.parametrize("make", [raising, raising_async])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("the secret"),
        TimeoutError("the secret"),
        RecursionError("the secret"),
        StopIteration("the secret"),
        StopAsyncIteration("the secret"),
        SystemExit("the secret"),
        BaseExceptionGroup("the secret", [ValueError("the secret")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_any_other_error_is_kept_from_the_model_and_logged_without_its_message(
    make: Callable[[BaseException], Tool[..., Any]], error: BaseException, context: ToolContext, logged: Logged
) -> None:
    result = await make(error).call("{}", context)
    assert result.failed
    assert "log" in result.text
    assert [entry["event"] for entry in logged] == ["tool.failed"]
    assert (logged[0]["tool"], logged[0]["turn_id"]) == ("fail", "turn-0")
    assert __file__ in logged[0]["stack"] or "StopIteration" in type(error).__name__
    assert "the secret" not in result.text + str(logged)


NUMBERS = st.integers() | st.floats()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["city", "days", "x"]) | st.text(), inner),
    max_leaves=10,
)
ANY_TEXT = st.text(st.characters()) | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))


@given(
    ANY_TEXT | JSON.map(json.dumps) | st.builds(lambda city, days: json.dumps({"city": city, "days": days}), JSON, JSON)
)
def test_no_arguments_whatever_raise(arguments: str) -> None:
    @tool
    async def forecast(city: str, days: int = 1) -> str:
        """Forecasts."""
        return f"{city}: {days}"

    context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="a")
    result = asyncio.run(forecast.call(arguments, context))
    assert isinstance(result, ToolResult)
    assert result.failed or ": " in result.text
    msgspec.json.encode(result)


# --- time ---------------------------------------------------------------------------------------------------------


async def test_a_blocking_function_is_given_up_at_its_limit(
    gate: threading.Event, context: ToolContext, logged: Logged
) -> None:
    @tool(timeout=0.05)
    def hang() -> None:
        """Hangs."""
        gate.wait()

    result = await hang.call("{}", context)
    assert result.failed
    assert "limit of 0.05 s" in result.text
    assert [entry["event"] for entry in logged] == ["tool.overdue"]
    assert not gate.is_set()


async def test_an_overdue_coroutine_is_cancelled(context: ToolContext) -> None:
    ended = asyncio.Event()

    @tool(timeout=0.05)
    async def hang() -> None:
        """Hangs."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    assert (await hang.call("{}", context)).failed
    assert ended.is_set()


async def test_the_loop_runs_on_while_a_function_blocks(gate: threading.Event, context: ToolContext) -> None:
    @tool
    def wait() -> str:
        """Waits."""
        return "set" if gate.wait(20) else "not set"

    call = asyncio.create_task(wait.call("{}", context))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not call.done()
    gate.set()  # only a loop that was not blocked gets here
    assert (await call).text == "set"


async def test_a_hanging_tool_starves_only_itself(gate: threading.Event, context: ToolContext) -> None:
    @tool(timeout=0.2)
    def hang() -> None:
        """Hangs."""
        gate.wait()

    @tool
    def work() -> str:
        """Works."""
        return "worked"

    results = await asyncio.gather(*(hang.call("{}", context) for _ in range(40)), work.call("{}", context))
    assert [result.failed for result in results] == [True] * 40 + [False]
    gate.set()
    assert (await hang.call("{}", context)).text == "done"  # its threads are free again


async def test_blocking_calls_of_one_tool_are_bounded_and_none_is_lost(
    gate: threading.Event, context: ToolContext
) -> None:
    lock = threading.Lock()
    running, most = 0, 0

    @tool
    def work(n: int) -> int:
        """Works."""
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 8:
                gate.set()
        gate.wait(20)
        with lock:
            running -= 1
        return n

    results = await asyncio.gather(*(work.call(json.dumps({"n": n}), context) for n in range(100)))
    assert [int(result.text) for result in results] == list(range(100))
    assert most == 8


@pytest.mark.parametrize("uses_await", [True, False])
async def test_cancellation_passes_through(uses_await: bool, gate: threading.Event, context: ToolContext) -> None:
    loop, begun, ended = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    @tool
    async def hang_async() -> None:
        """Hangs."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    @tool
    def hang() -> None:
        """Hangs."""
        loop.call_soon_threadsafe(begun.set)
        gate.wait()
        loop.call_soon_threadsafe(ended.set)

    call = asyncio.create_task((hang_async if uses_await else hang).call("{}", context))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended.is_set() is uses_await
    gate.set()
    await ended.wait()  # the thread ended quietly, its result dropped


async def test_a_cancelled_call_that_waits_for_a_thread_never_runs(gate: threading.Event, context: ToolContext) -> None:
    ran: list[int] = []

    @tool
    def work(n: int) -> None:
        """Works."""
        ran.append(n)
        gate.wait(20)

    calls = [asyncio.create_task(work.call(json.dumps({"n": n}), context)) for n in range(20)]
    while len(ran) < 8:
        await asyncio.sleep(0.001)
    for call in calls[8:]:
        call.cancel()
    await asyncio.wait(calls[8:])
    gate.set()
    await asyncio.gather(*calls[:8])
    assert (await work.call('{"n": 99}', context)).text == "done"
    assert sorted(ran) == [*range(8), 99]


async def test_a_hung_thread_does_not_keep_the_process_alive() -> None:
    program = """
import asyncio, threading
from antiphon.tools.base import ToolContext, tool

@tool(timeout=0.05)
def hang() -> None:
    "Hangs."
    threading.Event().wait()

context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="a")
print(asyncio.run(hang.call("{}", context)).failed)
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (output.split()[-1], process.returncode) == (b"True", 0)


# --- many at once -------------------------------------------------------------------------------------------------

CURRENT: contextvars.ContextVar[str] = contextvars.ContextVar("current")


@pytest.mark.parametrize("uses_await", [True, False])
async def test_a_hundred_calls_with_contexts_of_their_own_never_mix(
    uses_await: bool, make_context: Callable[..., ToolContext]
) -> None:
    def answer(n: int, context: ToolContext) -> list[Any]:
        return [n, context.person_id, context.turn_id, CURRENT.get()]

    @tool
    async def who_async(n: int, context: ToolContext) -> list[Any]:
        """Tells who."""
        await asyncio.sleep(n % 7 / 1000)
        return answer(n, context)

    @tool
    def who(n: int, context: ToolContext) -> list[Any]:
        """Tells who."""
        return answer(n, context)

    async def ask(n: int) -> list[Any]:
        CURRENT.set(f"variable-{n}")
        result = await (who_async if uses_await else who).call(json.dumps({"n": n}), make_context(n))
        return list(json.loads(result.text))

    answers = await asyncio.gather(*(ask(n) for n in range(100)))
    assert answers == [[n, f"person-{n}", f"turn-{n}", f"variable-{n}"] for n in range(100)]


# --- by name ------------------------------------------------------------------------------------------------------


def test_the_folder_is_the_list_of_tools() -> None:
    tools = tool_registry()
    assert {"calculator", "clock", "manual"} <= set(tools.names())
    assert not {"base", "_signature"} & set(tools.names())
    assert tools.get("clock").name == "clock"
    with pytest.raises(ModuleError, match="calculator"):
        tools.get("calculater")

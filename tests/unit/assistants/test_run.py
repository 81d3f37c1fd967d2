"""The streaming loop: what arrives is given on, tools answer side by side, every run has exactly one ending."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.assistants import run as run_module
from antiphon.assistants import step as step_module
from antiphon.assistants.answer import text_of
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.run import Ended, Reasoning, Run, RunEvent, Text, ToolEnded, ToolStarted
from antiphon.assistants.wishes import AnswerWishes
from antiphon.domain import NoticePart, ReasoningPart, TextPart, ToolPart, Usage
from antiphon.errors import ProviderError, ToolError
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    Provider,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolName,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.demo.provider import DemoProvider
from antiphon.tools.base import ToolContext, tool
from antiphon.tools.calculator import calculator

CONTEXT = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide")
QUESTION = (ChatMessage(role="user", text="Why?"),)
STOP = Finish("stop")
CUT = Error(kind="interrupted", message="connection reset", public="The connection to the model was lost.")

Script = Sequence[Event | Exception | asyncio.Event]


class Scripted:
    """Plays one script a request, the last one again and again. An `asyncio.Event` in it is waited for."""

    name = "scripted"

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts
        self.requests: list[ModelRequest] = []
        self.closed = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        try:
            for item in self.scripts[min(len(self.requests), len(self.scripts)) - 1]:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                else:
                    yield item
        finally:
            self.closed += 1

    async def models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def stop(self) -> None: ...


def called(name: str, arguments: str = "{}", *, call_id: str = "1", index: int = 0) -> ToolCallEnd:
    return ToolCallEnd(index, ToolCall(id=call_id, name=name, arguments=arguments))


def make(provider: Provider, *tools: Any, **settings: Any) -> Run:
    return Run(Assistant("guide", tools=tools, **settings), provider, "model-1", QUESTION, CONTEXT)


async def read(run: Run) -> list[RunEvent]:
    async with aclosing(run.events()) as events:
        return [event async for event in events]


async def ended(provider: Provider, *tools: Any, **settings: Any) -> Ended:
    last = (await read(make(provider, *tools, **settings)))[-1]
    assert isinstance(last, Ended)
    return last


@tool
async def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@tool
async def fail() -> str:
    """Fails."""
    raise ToolError("The shop is closed.")


async def test_text_is_given_on_piece_by_piece_and_kept_in_one() -> None:
    script: Script = [ReasoningDelta("Hm"), ReasoningDelta("."), TextDelta("Be"), TextDelta("cause."), STOP]
    provider = Scripted(script)
    events = await read(make(provider, add, temperature=0.5, max_tokens=9))
    assert events[:-1] == [Reasoning("Hm"), Reasoning("."), Text("Be"), Text("cause.")]
    end = events[-1]
    assert isinstance(end, Ended)
    assert end.parts == (ReasoningPart(text="Hm."), TextPart(text="Because."))
    assert (end.status, end.text, end.reason, end.code) == ("answered", "Because.", None, None)
    request = provider.requests[0]
    assert (request.model, request.messages, request.temperature, request.max_tokens) == ("model-1", QUESTION, 0.5, 9)
    assert [spec.name for spec in request.tools] == ["add"]


async def test_signatures_of_reasoning_stay_with_the_text_they_sign() -> None:
    script: Script = [
        ReasoningDelta("a"),
        ReasoningDelta("", opaque="sig-1"),
        ReasoningDelta("b", opaque="sig-2"),
        STOP,
    ]
    end = await ended(Scripted(script))
    assert end.parts[:2] == (ReasoningPart(text="a", opaque="sig-1"), ReasoningPart(text="b", opaque="sig-2"))


async def test_a_tool_is_told_when_it_ends_and_results_go_to_the_model_in_the_order_of_the_calls() -> None:
    quick_was_seen = asyncio.Event()

    @tool
    async def slow() -> str:
        """Slow."""
        await quick_was_seen.wait()
        return "slow result"

    @tool
    async def quick() -> str:
        """Quick."""
        return "quick result"

    provider = Scripted(
        [TextDelta("Looking."), called("slow"), called("quick", call_id="2", index=1), Finish("tool_calls")],
        [TextDelta("Found."), STOP],
    )
    events = []
    async with aclosing(make(provider, slow, quick).events()) as reading:
        async for event in reading:
            events.append(event)
            if isinstance(event, ToolEnded):
                quick_was_seen.set()
    assert [event.part.name for event in events if isinstance(event, ToolStarted)] == ["slow", "quick"]
    assert [event.part.name for event in events if isinstance(event, ToolEnded)] == ["quick", "slow"]
    assert provider.requests[1].messages == (
        *QUESTION,
        ChatMessage(
            role="assistant",
            text="Looking.",
            calls=(ToolCall(id="1", name="slow", arguments="{}"), ToolCall(id="2", name="quick", arguments="{}")),
        ),
        ChatMessage(role="tool", text="slow result", call_id="1", name="slow"),
        ChatMessage(role="tool", text="quick result", call_id="2", name="quick"),
    )
    end = events[-1]
    assert isinstance(end, Ended)
    assert end.text == "Looking.\n\nFound."
    assert [type(part) for part in end.parts] == [TextPart, ToolPart, ToolPart, TextPart]


async def test_tools_of_one_round_really_run_at_the_same_time() -> None:
    together = asyncio.Barrier(3)

    @tool
    async def meet() -> str:
        """Waits for the others."""
        await together.wait()
        return "met"

    calls = [called("meet", call_id=str(number), index=number) for number in range(3)]
    end = await ended(Scripted([*calls, Finish("tool_calls")], [TextDelta("ok"), STOP]), meet)
    assert [part.result for part in end.parts if isinstance(part, ToolPart)] == ["met"] * 3


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (called("ad"), "Did you mean add?"),
        (called("zzz"), "There is: add, fail."),
        (called("add", '{"a": 1'), "not valid JSON"),
        (called("add", '{"a": 1, "b": "x"}'), "b:"),
        (called("fail"), "The shop is closed."),
    ],
)
async def test_what_is_wrong_with_a_call_is_told_to_the_model_and_the_turn_goes_on(
    call: ToolCallEnd, told: str
) -> None:
    provider = Scripted([call, Finish("tool_calls")], [TextDelta("Sorry."), STOP])
    end = await ended(provider, add, fail)
    part = end.parts[0]
    assert isinstance(part, ToolPart)
    assert part.status == "failed"
    assert part.result is not None
    assert told in part.result
    assert provider.requests[1].messages[-1].text == f"Error: {part.result}"
    assert end.status == "answered"


async def test_call_ids_that_a_vendor_repeats_are_made_different() -> None:
    script: Script = [
        called("add", call_id="0"),
        called("add", call_id="0", index=1),
        called("add", call_id="", index=2),
    ]
    end = await ended(Scripted([*script, Finish("tool_calls")], [*script, STOP], [TextDelta("x"), STOP]), add)
    ids = [part.call_id for part in end.parts if isinstance(part, ToolPart)]
    assert len(ids) == len(set(ids)) == 6


async def test_the_last_step_is_asked_without_tools() -> None:
    provider = Scripted([called("add"), Finish("tool_calls")])
    end = await ended(provider, add, max_steps=2)
    assert [bool(request.tools) for request in provider.requests] == [True, True, False]
    assert (end.status, end.code) == ("answered", "steps")
    assert isinstance(end.parts[-1], NoticePart)
    assert end.text == end.reason


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ([CUT], "refused"),
        ([ReasoningDelta("hm"), CUT], "refused"),
        ([TextDelta("half"), CUT], "interrupted"),
        ([called("add"), CUT], "refused"),  # a call of a broken stream is not carried out
    ],
)
async def test_an_error_refuses_the_turn_or_interrupts_an_answer(script: Script, status: str) -> None:
    end = await ended(Scripted(script), add)
    assert (end.status, end.code, end.reason) == (status, "interrupted", CUT.public)
    assert end.parts[-1] == NoticePart(code="interrupted", text=CUT.public)
    assert not any(isinstance(part, ToolPart) for part in end.parts)


async def test_an_error_behind_a_tool_that_has_run_keeps_what_was_done() -> None:
    end = await ended(Scripted([called("add", '{"a":1,"b":2}'), Finish("tool_calls")], [CUT]), add)
    assert end.status == "interrupted"
    assert isinstance(end.parts[0], ToolPart)
    assert end.parts[0].result == "3"


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ([TextDelta("long"), Finish("length")], "answered", "length"),
        ([ReasoningDelta("hm"), Finish("length")], "answered", "length"),
        ([TextDelta("bad"), Finish("filtered")], "answered", "filtered"),
        ([Finish("filtered")], "refused", "filtered"),
        ([STOP], "answered", "empty"),
        ([TextDelta(" \n"), STOP], "answered", "empty"),
        ([TextDelta(""), STOP], "answered", "empty"),
    ],
)
async def test_an_answer_that_is_not_whole_says_so(script: Script, status: str, code: str) -> None:
    end = await ended(Scripted(script))
    assert (end.status, end.code) == (status, code)
    assert end.parts[-1] == NoticePart(code=code, text=end.reason or "")
    assert end.text


# --- usage --------------------------------------------------------------------------------------------------------


async def test_usage_is_what_the_vendor_says_summed_over_the_steps() -> None:
    bill = Usage(input_tokens=10, output_tokens=2, cached_tokens=4, reasoning_tokens=1, cost=0.5)
    end = await ended(
        Scripted([called("add"), UsageReport(bill), Finish("tool_calls")], [TextDelta("x"), UsageReport(bill), STOP]),
        add,
    )
    assert end.usage == bill + bill
    assert not end.usage.estimated


async def test_usage_is_estimated_and_marked_where_the_vendor_says_nothing() -> None:
    end = await ended(Scripted([TextDelta("four" * 10), STOP]))
    assert end.usage.estimated
    assert end.usage.output_tokens == 10
    assert end.usage.input_tokens > 0


async def test_a_refused_request_costs_nothing() -> None:
    assert (await ended(Scripted([CUT]))).usage == Usage()


# --- providers that break their contract --------------------------------------------------------------------------


async def test_a_stream_without_an_end_is_an_interrupted_answer() -> None:
    end = await ended(Scripted([TextDelta("half")]))
    assert (end.status, end.code) == ("interrupted", "protocol")


@pytest.mark.parametrize("error", [ValueError("sk-secret"), ProviderError("No key is set.", kind="auth")])
async def test_a_provider_that_raises_does_not_take_the_turn_with_it(error: Exception) -> None:
    end = await ended(Scripted([TextDelta("half"), error]))
    assert (end.status, end.code) == ("interrupted", "server")
    assert "secret" not in f"{end.reason}"
    assert (await ended(Scripted([error]))).status == "refused"


async def test_what_follows_the_end_is_not_read() -> None:
    provider = Scripted([TextDelta("a"), STOP, TextDelta("b"), CUT])
    assert (await ended(provider)).text == "a"
    assert provider.closed == 1


async def test_a_stream_that_hangs_behind_its_end_does_not_hold_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_module, "CLOSE_SECONDS", 0.01)
    provider = Scripted([TextDelta("a"), STOP, asyncio.Event()])
    assert (await ended(provider)).status == "answered"
    assert provider.closed == 1


async def test_an_iterator_that_cannot_be_closed_is_read_all_the_same() -> None:
    class Plain(Scripted):
        def stream(self, request: ModelRequest) -> Any:
            return self

        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> Event:
            self.closed += 1
            return TextDelta("x") if self.closed == 1 else STOP

    assert (await ended(Plain())).text == "x"


async def test_a_model_in_a_loop_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "ANSWER_LIMIT", 100)
    end = await ended(Scripted([TextDelta("again ")] * 1000))
    assert (end.status, end.code) == ("answered", "length")
    assert len(end.text.split()) == 17
    monkeypatch.setattr(step_module, "MAX_CALLS", 3)
    calls = [called("add", call_id=str(number)) for number in range(1000)]
    end = await ended(Scripted(calls, [TextDelta("x"), STOP]), add)
    assert sum(isinstance(part, ToolPart) for part in end.parts) == 3


async def test_a_run_is_read_once() -> None:
    run = make(Scripted([STOP]))
    await read(run)
    with pytest.raises(RuntimeError, match="read once"):
        await read(run)


async def test_a_reader_that_leaves_early_closes_the_stream() -> None:
    provider = Scripted([TextDelta("a"), TextDelta("b"), asyncio.Event()])
    async with aclosing(make(provider).events()) as events:
        async for _ in events:
            break
    assert provider.closed == 1


# --- many at once, and anything at all ----------------------------------------------------------------------------


async def test_a_hundred_runs_of_one_assistant_never_mix() -> None:
    @tool
    async def echo(word: str) -> str:
        """Says it again."""
        await asyncio.sleep(0)
        return word

    class Parrot(Scripted):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
            await asyncio.sleep(0)
            word = request.messages[0].text
            if request.messages[-1].role == "user":
                yield called("echo", f'{{"word": "{word}"}}')
                yield Finish("tool_calls")
                return
            assert request.messages[-1].text == word
            for letter in word:
                await asyncio.sleep(0)
                yield TextDelta(letter)
            yield STOP

    assistant, provider = Assistant("guide", tools=[echo]), Parrot()
    words = [f"word-{number}" for number in range(100)]
    runs = [Run(assistant, provider, "m", (ChatMessage(role="user", text=word),), CONTEXT) for word in words]
    endings = [events[-1] for events in await asyncio.gather(*map(read, runs))]
    assert [end.text for end in endings if isinstance(end, Ended)] == words


async def test_the_demo_model_answers_with_a_tool() -> None:
    question = (ChatMessage(role="user", text="What is 17% of 2340?"),)
    provider = DemoProvider()
    run = Run(Assistant("guide", tools=[calculator]), provider, "demo", question, CONTEXT)
    end = (await read(run))[-1]
    assert isinstance(end, Ended)
    assert end.status == "answered"
    assert "397.8" in end.text
    assert [part.name for part in end.parts if isinstance(part, ToolPart)] == ["calculator"]


ANYTHING: st.SearchStrategy[Event | Exception] = st.one_of(
    st.builds(TextDelta, st.sampled_from(["", " ", "a", "b\n"])),
    st.builds(ReasoningDelta, st.sampled_from(["", "r"]), st.sampled_from([None, "sig"])),
    st.builds(ToolCallStart, st.integers(0, 2), st.just("1"), st.just("add")),
    st.builds(ToolCallDelta, st.integers(0, 2), st.just("{")),
    st.builds(
        called,
        st.sampled_from(["add", "fail", "nothing"]),
        st.sampled_from(["{}", "", '{"a":1,"b":2}', "nonsense"]),
        call_id=st.sampled_from(["", "0", "1", "0-2"]),
    ),
    st.builds(UsageReport, st.builds(Usage, input_tokens=st.integers(0, 9))),
    st.builds(Finish, st.sampled_from(["stop", "length", "tool_calls", "filtered"])),
    st.just(CUT),
    st.just(ValueError("boom")),
)


@given(scripts=st.lists(st.lists(ANYTHING, max_size=8), min_size=1, max_size=4))
async def test_whatever_a_provider_does_there_is_one_ending_with_what_was_given_on(
    scripts: list[list[Event | Exception]],
) -> None:
    provider = Scripted(*scripts)
    events = await read(make(provider, add, fail, max_steps=3))
    *before, end = events
    assert isinstance(end, Ended)
    assert not any(isinstance(event, Ended) for event in before)
    assert "".join(event.text for event in before if isinstance(event, Text)) == "".join(
        part.text for part in end.parts if isinstance(part, TextPart)
    )
    assert "".join(event.text for event in before if isinstance(event, Reasoning)) == "".join(
        part.text for part in end.parts if isinstance(part, ReasoningPart)
    )
    ends = {event.part.call_id: event.part for event in before if isinstance(event, ToolEnded)}
    starts = [event.part.call_id for event in before if isinstance(event, ToolStarted)]
    assert [ends[call_id] for call_id in starts] == [part for part in end.parts if isinstance(part, ToolPart)]
    assert len(ends) == len(starts) == len(set(starts))
    assert provider.closed == len(provider.requests) <= 4
    assert end.text
    assert (end.reason is None) == (text_of(end.parts) == end.text and end.code is None)


# --- tools of whoever asks ----------------------------------------------------------------------------------------

WEATHER = ToolSpec(name="weather", description="The weather.", parameters={"type": "object", "properties": {}})


def wishing(provider: Provider, wishes: AnswerWishes, *tools: Any) -> Run:
    return Run(Assistant("guide", tools=tools), provider, "model-1", QUESTION, CONTEXT, wishes)


async def test_a_tool_of_whoever_asks_is_given_back_and_not_carried_out() -> None:
    provider = Scripted([TextDelta("Let me see."), called("weather", '{"city":"Oslo"}'), Finish("tool_calls")])
    run = wishing(provider, AnswerWishes(tools=(WEATHER,)), calculator)
    *before, last = await read(run)
    assert before == [Text("Let me see.")]
    assert isinstance(last, Ended)
    assert (last.status, last.code, last.reason) == ("answered", "tool_calls", None)
    (call,) = last.calls
    assert (call.name, call.arguments) == ("weather", '{"city":"Oslo"}')
    assert call.id != "1"
    assert run.rounds == (ChatMessage(role="assistant", text="Let me see.", calls=(call,)),)
    assert {spec.name for spec in provider.requests[0].tools} == {"calculator", "weather"}


async def test_of_a_mixed_round_the_own_tools_are_carried_out() -> None:
    provider = Scripted(
        [called("weather"), called("calculator", '{"expression":"6*7"}', call_id="2", index=1), Finish("tool_calls")]
    )
    run = wishing(provider, AnswerWishes(tools=(WEATHER,)), calculator)
    last = (await read(run))[-1]
    assert isinstance(last, Ended)
    assert [call.name for call in last.calls] == ["weather"]
    said, result = run.rounds
    assert [call.name for call in said.calls] == ["weather", "calculator"]
    assert (result.call_id, result.text) == ("2", "42")


async def test_one_call_at_a_time_where_that_is_wished() -> None:
    provider = Scripted([called("weather"), called("weather", call_id="2", index=1), Finish("tool_calls")])
    run = wishing(provider, AnswerWishes(tools=(WEATHER,), parallel=False))
    last = (await read(run))[-1]
    assert isinstance(last, Ended)
    assert len(last.calls) == 1
    assert run.rounds[0].calls == last.calls


async def test_a_tool_that_must_be_called_must_be_called_once() -> None:
    scripts: list[Script] = [
        [called("calculator", '{"expression":"1+1"}'), Finish("tool_calls")],
        [TextDelta("2"), STOP],
    ]
    provider = Scripted(*scripts)
    await read(wishing(provider, AnswerWishes(tool_choice=ToolName("calculator")), calculator))
    assert [request.tool_choice for request in provider.requests] == [ToolName("calculator"), "auto"]
    provider = Scripted(*scripts)
    await read(wishing(provider, AnswerWishes(tool_choice="none"), calculator))
    assert [request.tool_choice for request in provider.requests] == ["none", "none"]


async def test_wishes_go_before_what_the_assistant_has() -> None:
    provider = Scripted([TextDelta("Yes."), STOP])
    assistant = Assistant("guide", temperature=0.5, max_tokens=100)
    await read(
        Run(assistant, provider, "m", QUESTION, CONTEXT, AnswerWishes(temperature=0.0, effort="low", cache_key="k"))
    )
    (request,) = provider.requests
    assert (request.temperature, request.max_tokens, request.effort, request.cache_key) == (0.0, 100, "low", "k")


async def test_a_person_who_stops_gets_no_calls_to_carry_out() -> None:
    waiting = asyncio.Event()

    @tool
    async def forever() -> str:
        """Waits."""
        waiting.set()
        await asyncio.Event().wait()
        return ""

    provider = Scripted([called("weather"), called("forever", call_id="2", index=1), Finish("tool_calls")])
    run = wishing(provider, AnswerWishes(tools=(WEATHER,)), forever)
    reading = asyncio.create_task(read(run))
    await waiting.wait()
    run.cancel()
    last = (await reading)[-1]
    assert isinstance(last, Ended)
    assert (last.status, last.code, last.calls) == ("interrupted", "cancelled", ())


PAST = (
    ChatMessage(role="system", text="Be kind."),
    *(ChatMessage(role=role, text=f"{role} {number}") for number in range(20) for role in ("user", "assistant")),
    ChatMessage(role="user", text="And now?"),
)
TOO_LONG = Error("too_long", "m", "It is too long.")


async def test_a_prompt_that_is_too_long_is_asked_again_once_with_less() -> None:
    script: Script = [TextDelta("Yes."), STOP]
    provider = Scripted([TOO_LONG], [called("add", '{"a": 1, "b": 2}'), STOP], script)
    run = Run(Assistant("guide", tools=[add], max_steps=1), provider, "model-1", PAST, CONTEXT)
    end = await run.whole()
    assert (end.status, end.text) == ("answered", "Yes.")
    assert [type(part).__name__ for part in end.parts] == ["NoticePart", "ToolPart", "TextPart"]
    whole, less, third = (request.messages for request in provider.requests)
    assert whole == PAST
    assert less == (PAST[0], *PAST[-len(less) + 1 :])
    assert len(less) < len(PAST)
    assert third[: len(less)] == less
    assert [message.role for message in run.rounds] == ["assistant", "tool"]


async def test_one_that_is_still_too_long_is_refused_and_one_that_has_begun_is_not_asked_again() -> None:
    provider = Scripted([TOO_LONG])
    end = await Run(Assistant("guide"), provider, "model-1", PAST, CONTEXT).whole()
    assert (end.status, end.code, end.reason) == ("refused", "too_long", "It is too long.")
    assert len(provider.requests) == 2
    begun = Scripted([TextDelta("Well"), TOO_LONG])
    end = await Run(Assistant("guide"), begun, "model-1", PAST, CONTEXT).whole()
    assert (end.status, end.text, len(begun.requests)) == ("interrupted", "Well", 1)

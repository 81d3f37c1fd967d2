"""The streaming loop: one run carries one turn from its prompt to its one ending.

A model speaks and wishes for tools, the tools answer side by side, the model goes on. What arrives is given on at
once; the parts of the answer are collected on the way. A run owns all its state, so an assistant and a provider
serve any number of runs at the same time.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import count

from msgspec import Struct, structs

from antiphon.assistants.answer import ANSWER_LIMIT, Answer, replay, text_of
from antiphon.assistants.approvals import NOBODY, ApprovalRules, Earlier, Paused, refused
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.calls import Calls
from antiphon.assistants.cut import Cut
from antiphon.assistants.hooks import RunHooks, judged
from antiphon.assistants.shorter import shorter
from antiphon.assistants.step import CANCELLED, Ending, Step
from antiphon.assistants.wishes import NO_WISHES, AnswerWishes
from antiphon.domain import AnyPart, Outcome, ToolPart, Usage, new_id
from antiphon.providers.base import ChatMessage, Error, ModelRequest, Provider, ReasoningDelta, TextDelta, ToolCall
from antiphon.telemetry.logs import get_logger
from antiphon.tools.base import ToolContext

WAITING = Ending("interrupted", "waiting")
"""Not an end: people have to answer first."""

LEFT_OUT = "The conversation is too much for this model: earlier files or its oldest part were left out of this answer."

log = get_logger(__name__)


class Text(Struct, frozen=True, gc=False):
    text: str


class Reasoning(Struct, frozen=True, gc=False):
    text: str


class ToolStarted(Struct, frozen=True):
    """`part` is running."""

    part: ToolPart


class ToolEnded(Struct, frozen=True):
    """`part` is done, failed or cancelled, under the call id under which it started."""

    part: ToolPart


class Ended(Struct, frozen=True, kw_only=True):
    """The one last event of every run.

    `status` is refused when nothing worth keeping came, interrupted when the answer is not whole. `reason` is a
    sentence for people and `code` its name: why it was refused or interrupted, or a remark on an answer; both are
    None for a plain answer. `parts` ends with a notice that says the same. `calls` are of `AnswerWishes.tools`: whoever
    asked carries them out.
    """

    status: Outcome
    parts: tuple[AnyPart, ...]
    usage: Usage
    reason: str | None = None
    code: str | None = None
    calls: tuple[ToolCall, ...] = ()

    @property
    def text(self) -> str:
        """What was said, or the reason where nothing was: never empty."""
        return text_of(self.parts) or self.reason or ""


RunEvent = Text | Reasoning | ToolStarted | ToolEnded | Ended | Paused


class Run:
    """One answer of `assistant`, by the model that `provider` calls `model`, to `messages`, as `wishes` want it.

    A call that `rules` want a person to allow is not carried out: the rest of its round is, and then the run ends as
    `Paused`. One that goes on from there is given that as `earlier`, with the answers.
    """

    def __init__(
        self,
        assistant: Assistant,
        provider: Provider,
        model: str,
        messages: tuple[ChatMessage, ...],
        context: ToolContext,
        wishes: AnswerWishes = NO_WISHES,
        *,
        rules: ApprovalRules = NOBODY,
        earlier: Earlier | None = None,
    ) -> None:
        self._assistant = assistant
        self._provider = provider
        self._model = model
        self._messages = messages
        self._given = len(messages)
        self._context = context
        self._wishes = wishes
        self._tools = (*assistant.specs, *wishes.tools)
        self._theirs = {spec.name for spec in wishes.tools}
        self._handed: list[ToolCall] = []
        self.rules = rules
        """Which calls people must allow."""
        self.hooks: RunHooks | None = None
        """Who is asked before anything is done; set before the run begins."""
        self._waiting: list[ToolPart] = []
        self._shortened = False
        self._answers = earlier.answers if earlier else {}
        self._answer = Answer(earlier.parts if earlier else ())
        self._usage = earlier.usage if earlier else None
        self._ending: Ending | None = None
        self._steps = earlier.steps if earlier else 0
        self._call_ids = {part.call_id for part in self._answer.since(0) if isinstance(part, ToolPart)}
        self._cut = Cut()

    @property
    def parts(self) -> tuple[AnyPart, ...]:
        """The answer so far: what to keep when the reading task itself is cancelled and no ending arrives."""
        return self._answer.parts()

    @property
    def usage(self) -> Usage:
        """What the model calls that are over have cost."""
        return self._usage or Usage()

    @property
    def rounds(self) -> tuple[ChatMessage, ...]:
        """What the model and its tools have said in the rounds that are over, for whoever goes on from there."""
        handed = {call.id for call in self._handed}
        return tuple(message for message in self._messages[self._given :] if message.call_id not in handed)

    def cancel(self) -> None:
        """A person stops the answer, before it begins or at any time.

        The reader gets no more text: the stream is closed, tools are stopped, and the run ends as interrupted with
        what there is. Called in the reader's event loop. Does nothing after the end.
        """
        self._cut.request()

    def spend(self, usage: Usage) -> None:
        """Adds what somebody else has cost in this run."""
        self._usage = usage if self._usage is None else self._usage + usage

    async def whole(self) -> Ended:
        """The end of a run that nobody watches."""
        async with aclosing(self.events()) as events:
            async for event in events:
                if isinstance(event, Ended):
                    return event
        raise AssertionError("a run promises an end")

    def events(self) -> AsyncGenerator[RunEvent, None]:
        """The run as it happens, to be read once, by one task; `Ended` or `Paused` comes last, whatever happens.

        A reader that stops early closes it (`contextlib.aclosing`), which frees the connection and stops tools.
        When the reading task is cancelled (a shutdown), the same happens and the cancellation goes on.
        Called by that task.
        """
        self._cut.bind()
        return self._go_on() if self._steps else self._go()

    async def _go_on(self) -> AsyncGenerator[RunEvent, None]:
        """Carries out what was allowed of the round that waited for it, then goes on as ever."""
        async with aclosing(self._carry_out(self._allowed())) as uses:
            async for use in uses:
                yield use
        self._take_in(0)
        async with aclosing(self._go()) as events:
            async for event in events:
                yield event

    async def _go(self) -> AsyncGenerator[RunEvent, None]:
        answer, cut = self._answer, self._cut
        while self._goes_on:
            self._steps += 1
            mark, length = answer.mark(), 0
            async with Step(self._provider, self._request(), cut) as step:
                cut.waiting = True
                await step.prepare(self.hooks)
                async for event in step.open():
                    cut.waiting = False
                    if cut.requested:  # a provider may come back with more where it should have stopped
                        break
                    if isinstance(event, TextDelta) and event.text:
                        answer.text(event.text)
                        length += len(event.text)
                        yield Text(event.text)
                    elif isinstance(event, ReasoningDelta):
                        answer.reasoning(event.text, event.opaque)
                        length += len(event.text)
                        if event.text:
                            yield Reasoning(event.text)
                    elif step.take(event):
                        break
                    if length > ANSWER_LIMIT or cut.requested:
                        break
                    cut.waiting = True
                else:
                    step.broke_off()
            if length > ANSWER_LIMIT:
                step.finish = "length"
            self._conclude(step, mark)
            if self._goes_on:
                async with aclosing(self._carry_out(self._wished(await self._judged(step.calls)))) as uses:
                    async for use in uses:
                        yield use
                self._take_in(mark)
        yield self._paused() if self._ending is WAITING else self._ended()

    async def _judged(self, calls: Sequence[ToolCall]) -> Sequence[tuple[ToolCall, str | None]]:
        """The calls of a round as hooks have them carried out; none where a person stops the answer meanwhile."""
        self._cut.waiting = True
        try:
            return await judged(self.hooks, calls, self._theirs)
        except asyncio.CancelledError as error:
            if not self._cut.took(error):
                raise
            return ()
        finally:
            self._cut.waiting = False

    def _wished(self, wishes: Iterable[tuple[ToolCall, str | None]]) -> Iterator[tuple[int, ToolPart]]:
        """The calls of a round with their places in the answer; those that may not be carried out are over."""
        for wish, refusal in wishes:
            if self._cut.requested:
                break
            if wish.name in self._theirs:
                self._hand_over(wish)
                continue
            part = ToolPart(call_id=self._fresh(wish.id), name=wish.name, arguments=wish.arguments, status="running")
            place = self._answer.tool(part)
            if refusal is not None:
                yield place, structs.replace(part, status="cancelled", result=refusal)
            elif not self.rules.ask(self._assistant.tool(wish.name), wish.arguments):
                yield place, part
            elif self.rules.people:
                self._waiting.append(part)
            else:
                yield place, refused(part, None)

    def _allowed(self) -> Iterator[tuple[int, ToolPart]]:
        """The calls that people have answered: as they are where they were allowed, else as refused."""
        late = []
        for place, part in enumerate(self._answer.since(0)):
            if isinstance(part, ToolPart) and part.status == "running":
                approval = self._answers[part.call_id]
                yield place, part if approval.verdict == "approved" else refused(part, approval)
                late += [part.name] if approval.verdict == "expired" else []
        if late:
            self._answer.notice("expired", f"Nobody allowed it in time, so it was not done: {', '.join(late)}.")

    async def _carry_out(self, ready: Iterable[tuple[int, ToolPart]]) -> AsyncGenerator[ToolStarted | ToolEnded, None]:
        parts: list[ToolPart] = []
        places: list[int] = []
        for place, part in ready:
            if part.status != "running":
                self._answer.settle(place, part)
                yield ToolEnded(part)
                continue
            parts.append(part)
            places.append(place)
            yield ToolStarted(part)
        calls = Calls(parts, self._assistant, self._context, self.hooks)
        try:
            while calls and not self._cut.requested:
                self._cut.waiting = True
                ended = await calls.some()
                self._cut.waiting = False
                for part in self._settle(places, ended):
                    yield ToolEnded(part)
        except asyncio.CancelledError as error:
            if not self._cut.took(error):
                raise
        finally:
            stopped = self._settle(places, await calls.stop())
        for part in stopped:
            yield ToolEnded(part)

    def _take_in(self, mark: int) -> None:
        """Ends a round with tools: the next one knows of it, unless people or whoever asked have to go on."""
        if self._waiting and not self._cut.requested:
            self._ending = WAITING
            return
        self._messages += tuple(replay(self._answer.since(mark)))
        if self._handed and not self._cut.requested:
            self._ending = Ending("answered", "tool_calls")

    def _paused(self) -> Paused:
        return Paused(
            calls=tuple(self._waiting), parts=tuple(self._answer.since(0)), steps=self._steps, usage=self._usage
        )

    def _hand_over(self, wish: ToolCall) -> None:
        """Leaves a call to whoever asked, under an id that says which one among all that they were ever given."""
        if self._handed and not self._wishes.parallel:
            return
        call = ToolCall(id=f"call_{new_id()}", name=wish.name, arguments=wish.arguments)
        self._handed.append(call)
        self._answer.tool(ToolPart(call_id=call.id, name=call.name, arguments=call.arguments, status="running"))

    def _settle(self, places: list[int], ended: list[tuple[int, ToolPart]]) -> list[ToolPart]:
        for number, part in ended:
            self._answer.settle(places[number], part)
        return [part for _, part in ended]

    def _fresh(self, call_id: str) -> str:
        """The call's id, changed when the vendor has used it before in this turn: parts are told apart by it."""
        fresh = call_id or "call"
        numbers = count(2)
        while fresh in self._call_ids:
            fresh = f"{call_id or 'call'}-{next(numbers)}"
        self._call_ids.add(fresh)
        return fresh

    def _request(self) -> ModelRequest:
        assistant, wishes = self._assistant, self._wishes
        tools = self._tools if self._may_call else ()
        chosen = self._steps == 1 or wishes.tool_choice == "none"
        return ModelRequest(
            model=self._model,
            messages=self._messages,
            tools=tools,
            tool_choice=wishes.tool_choice if tools and chosen else "auto",
            temperature=assistant.temperature if wishes.temperature is None else wishes.temperature,
            max_tokens=assistant.max_tokens if wishes.max_tokens is None else wishes.max_tokens,
            effort=wishes.effort,
            output=wishes.output,
            cache_key=wishes.cache_key or self._context.conversation_id,
            top_p=wishes.top_p,
            seed=wishes.seed,
            stop=wishes.stop,
        )

    @property
    def _goes_on(self) -> bool:
        return self._ending is None and not self._cut.requested

    @property
    def _may_call(self) -> bool:
        """Whether this step may end with calls; the one behind the last of them must answer with what there is."""
        return self._steps <= self._assistant.max_steps

    def _conclude(self, step: Step, mark: int) -> None:
        cost = step.cost(self._answer.since(mark))
        if cost is not None:
            self.spend(cost)
        for remark in step.remarks:
            self._answer.notice(remark.code, remark.text)
        if step.error is not None and step.error.kind == "too_long" and self._shorten(step.error, mark):
            return
        if not self._cut.requested:
            self._ending = step.ending(self._answer, may_call=self._may_call)
            if step.error is not None:
                log.warning(
                    "run.model_failed",
                    turn_id=self._context.turn_id,
                    provider=self._provider.name,
                    kind=step.error.kind,
                    error=step.error.message,
                )

    def _shorten(self, error: Error, mark: int) -> bool:
        """Goes on with less of the past where the model could not take all of it: once, and before it says anything."""
        less = None if self._shortened or self._answer.since(mark) else shorter(self._messages, error.excess)
        if less is None:
            return False
        self._shortened, self._given = True, self._given - (len(self._messages) - len(less))
        self._messages, self._steps = less, self._steps - 1
        self._answer.notice("shortened", LEFT_OUT)
        log.info("run.shortened", turn_id=self._context.turn_id, provider=self._provider.name)
        return True

    def _ended(self) -> Ended:
        ending = self._ending or CANCELLED
        if ending.code is not None and ending.reason is not None:
            self._answer.notice(ending.code, ending.reason)
        return Ended(
            status=ending.status,
            parts=self.parts,
            usage=self.usage,
            reason=ending.reason,
            code=ending.code,
            calls=tuple(self._handed) if ending.code == "tool_calls" else (),
        )

"""Budgets: what models may cost a day, asked for before each call of one and settled after it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta

from msgspec import structs

from antiphon.assistants.config import AssistantSettings, BudgetSettings, DayBudget
from antiphon.assistants.estimate import files_tokens, messages_size, tokens, tools_size
from antiphon.assistants.tally import SpendingTally
from antiphon.assistants.windows import Windows
from antiphon.domain import Turn, Usage, new_id, now
from antiphon.errors import ServiceError
from antiphon.providers.around import Around
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.chain import Chain
from antiphon.providers.prices import Prices
from antiphon.storage.spending import NANOS, NO_LIMIT, Amount, LedgerStore, Payer, Scope, Spent
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

EXPECTED_OUTPUT = 500
"""Tokens that a call is taken to write, where nothing bounds it; the difference is given back right after it."""

log = get_logger(__name__)


class Budgets:
    """Who pays for models, and how much is left of it today, which ends at midnight UTC.

    A model of which nobody knows the price costs tokens only: what is unknown cannot be held against an amount.

    A call is charged before and settled after where somebody who pays for it has a limit. Else it is written behind,
    see `SpendingTally`: whoever is killed loses half a second of that. `stop` writes what is left.
    """

    def __init__(
        self,
        ledger: LedgerStore,
        settings: BudgetSettings | None = None,
        metrics: Metrics | None = None,
        *,
        windows: Windows | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.ledger = ledger
        self.settings = settings or BudgetSettings()
        self.windows = windows or Windows(AssistantSettings())
        self.prices = Prices(self.settings.prices)
        self.clock = clock
        metrics = metrics or get_metrics()
        self.refused = metrics.counter(
            "antiphon_budget_refusals_total", "Calls of models that a budget did not reach for.", ("scope",)
        )
        self.dollars = metrics.counter("antiphon_spent_dollars_total", "What models cost, as far as known.", ("model",))
        self.tally = SpendingTally(ledger, metrics)
        self.unpriced = metrics.counter(
            "antiphon_unpriced_calls_total", "Calls of models of which nobody knows the price.", ("model",)
        )

    def metered(self, chain: Chain, *, person_id: str, conversation_id: str | None, adapter: str) -> "Metered":
        """The provider with all who pay for it."""
        owners: dict[Scope, str | None] = {
            "person": person_id,
            "conversation": conversation_id,
            "platform": adapter,
            "house": "",
        }
        payers = [self._payer(scope, owner) for scope, owner in owners.items() if owner is not None]
        return Metered(chain, self, payers)

    def of_turn(self, chain: Chain, turn: Turn) -> "Metered":
        """The provider of what is asked for a turn, within it or beside."""
        return self.metered(
            chain, person_id=turn.person_id, conversation_id=turn.conversation_id, adapter=turn.target.adapter
        )

    def of_the_house(self, chain: Chain) -> "Metered":
        """The provider of what is asked in nobody's turn."""
        return Metered(chain, self, [self._payer("house", "")])

    def limit(self, scope: Scope) -> DayBudget:
        limits: dict[Scope, DayBudget] = {
            "person": self.settings.person,
            "conversation": self.settings.conversation,
            "platform": self.settings.platform,
            "house": self.settings.house,
        }
        return limits.get(scope, DayBudget())

    def today(self) -> str:
        return f"{self.clock():%Y-%m-%d}"

    async def stop(self) -> None:
        await self.tally.stop()

    async def spent(self, since: str, until: str, *, scope: Scope, owner: str | None = None) -> list[Spent]:
        """As `LedgerStore.spent`, with all that this process has counted; others write what they gather themselves."""
        await self.tally.flush()
        return await self.ledger.spent(since, until, scope=scope, owner=owner)

    async def spent_today(self) -> str:
        """What the house has spent, in words."""
        found = await self.spent(self.today(), self.today(), scope="house")
        return in_words(found[0] if found else None, self.limit("house"))

    def sentence(self, refused: Payer) -> str:
        """Why a call is not made, and when it can be."""
        whose = {
            "person": "Your budget",
            "conversation": "The budget of this conversation",
            "platform": f"The budget of {refused.owner}",
        }.get(refused.scope, "The budget of this house")
        at = self.clock()
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        minutes = max(1, round((midnight - at).total_seconds() / 60))
        wait = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        return (
            f"{whose} for today ({_limit_in_words(self.limit(refused.scope))}) does not reach for another answer. "
            f"It is free again at 00:00 UTC, in {wait}."
        )

    def _payer(self, scope: Scope, owner: str) -> Payer:
        limit = self.limit(scope)
        return Payer(
            scope=scope,
            owner=owner,
            most_tokens=NO_LIMIT if limit.tokens_per_day is None else limit.tokens_per_day,
            most_nanos=NO_LIMIT if limit.dollars_per_day is None else round(limit.dollars_per_day * NANOS),
        )


class Metered(Around):
    """A chain whose calls are charged before and settled after, each by the model that answered it."""

    def __init__(self, chain: Chain, budgets: Budgets, payers: list[Payer]) -> None:
        super().__init__(chain)
        self._chain = chain
        self._budgets = budgets
        self._payers = payers
        self._weighed: tuple[ChatMessage, ...] = ()
        self._weight = 0
        self._tools: tuple[ToolSpec, ...] = ()
        self._tools_weight = 0
        self._limited = any(payer.most_tokens < NO_LIMIT or payer.most_nanos < NO_LIMIT for payer in payers)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        day, charge, expected = self._budgets.today(), None, Amount()
        windows, weight, name = self._budgets.windows, self._weigh(request), self._chain.answering.name
        files = files_tokens(request, name.partition(":")[0])
        asked = windows.asked(name, weight, files)
        if self._limited:
            charge, expected = new_id(), await self._expected(request, asked)
            refused = await self._charge(charge, day, expected)
            if refused is not None:
                self._budgets.refused.labels(refused.scope).inc()
                yield Error("budget", f"budget, {refused.scope}", self._budgets.sentence(refused))
                return
        usage: Usage | None = None
        written, stopped = 0, False
        events = self._chain.stream(request)
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, TextDelta | ReasoningDelta):
                        written += len(event.text)
                        yield event
                    elif isinstance(event, ToolCallDelta):
                        written += len(event.arguments)
                        yield event
                    elif isinstance(event, UsageReport):
                        windows.learn(self._chain.answering.name, weight, event.usage, files)
                        usage = await self._priced(event.usage)
                        yield UsageReport(usage)
                    else:
                        ends = isinstance(event, Finish) or (isinstance(event, Error) and written)
                        if ends and usage is None:
                            usage = await self._priced(_estimated(asked, written))
                            yield UsageReport(usage)
                        elif isinstance(event, Error) and event.kind == "too_long":
                            windows.refused(self._chain.answering.name, weight, event.excess, files)
                        yield event
        except (GeneratorExit, asyncio.CancelledError):
            stopped = True  # by who asked: the vendor has read the question, and may have thought about it for long
            raise
        finally:
            if usage is None and (written or stopped):
                usage = await self._priced(_estimated(asked, written))
            await self._settle(charge, day, expected, usage)

    def _weigh(self, request: ModelRequest) -> int:
        """As `request_size`. Behind a round of tools a run asks what it asked before and a little more: only that is
        weighed."""
        known, messages = len(self._weighed), request.messages
        if messages[:known] == self._weighed:
            self._weight += messages_size(messages[known:])
        else:
            self._weight = messages_size(messages)
        self._weighed = messages
        if request.tools is not self._tools:
            self._tools, self._tools_weight = request.tools, tools_size(request.tools)
        return self._weight + self._tools_weight

    async def _charge(self, charge: str, day: str, expected: Amount) -> Payer | None:
        """As `LedgerStore.charge`, which is carried out all the same when this is cancelled: then it is given back."""
        charging = asyncio.create_task(self._budgets.ledger.charge(charge, day, self._payers, expected))

        async def give_back() -> None:
            await asyncio.wait([charging])
            if charging.exception() is None:
                await self._settle(charge, day, expected, None)

        try:
            return await asyncio.shield(charging)
        except asyncio.CancelledError:
            await asyncio.shield(give_back())
            raise

    async def _expected(self, request: ModelRequest, asked: int) -> Amount:
        output = min(request.max_tokens or EXPECTED_OUTPUT, EXPECTED_OUTPUT)
        guess = Usage(input_tokens=asked, output_tokens=output)
        cost = await self._budgets.prices.cost(self._chain.answering.name, guess)
        return Amount(calls=1, input_tokens=asked, output_tokens=output, nanos=round((cost or 0.0) * NANOS))

    async def _priced(self, usage: Usage) -> Usage:
        cost = await self._budgets.prices.cost(self._chain.answering.name, usage)
        return structs.replace(usage, cost=cost)

    async def _settle(self, charge: str | None, day: str, expected: Amount, usage: Usage | None) -> None:
        if charge is None and usage is None:
            return
        model = self._chain.answering.name
        really = Amount()
        if usage is not None:
            really = Amount(
                calls=1,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                nanos=round((usage.cost or 0.0) * NANOS),
                unpriced=int(usage.cost is None),
            )
            self._budgets.dollars.labels(model).inc(usage.cost or 0.0)
            self._budgets.unpriced.labels(model).inc(really.unpriced)
        more = really if charge is None else really - expected
        additions = [(payer, more) for payer in self._payers]
        additions.append((Payer(scope="model", owner=model), really))
        if charge is None:
            self._budgets.tally.add(day, additions)
            return
        try:
            await self._budgets.ledger.settle(charge, day, additions)
        except ServiceError as error:  # the answer is there; what was charged before it stays counted
            log.warning("budget.not_settled", model=model, error=str(error))


def in_words(spent: Spent | None, limit: DayBudget) -> str:
    """An amount for people: what is unknown is said to be."""
    amount = spent.amount if spent else Amount()
    cost = f"${amount.nanos / NANOS:.4f}"
    if amount.unpriced:
        known = amount.calls - amount.unpriced
        cost = f"{cost}, price of {amount.unpriced} calls unknown" if known else "price unknown"
    said = f"{amount.input_tokens + amount.output_tokens:,} tokens ({cost})"
    bound = _limit_in_words(limit)
    return f"{said} of {bound}" if bound else said


def _limit_in_words(limit: DayBudget) -> str:
    parts = [
        *([f"{limit.tokens_per_day:,} tokens"] if limit.tokens_per_day is not None else []),
        *([f"${limit.dollars_per_day:.2f}"] if limit.dollars_per_day is not None else []),
    ]
    return " and ".join(parts)


def _estimated(asked: int, written: int) -> Usage:
    return Usage(input_tokens=asked, output_tokens=tokens(written), estimated=True)

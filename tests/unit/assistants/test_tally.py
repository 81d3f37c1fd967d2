"""What no budget limits is written behind: all of it, once, whatever becomes of the ledger meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from antiphon.assistants import tally as module
from antiphon.assistants.tally import ENOUGH, MOST, PIECE, SpendingTally
from antiphon.errors import ServiceError
from antiphon.storage.base import Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.storage.spending import Amount, LedgerStore, Payer, Scope, Spent
from antiphon.telemetry.metrics import Metrics

DAY, NEXT = "2026-11-21", "2026-11-22"
CALL = Amount(calls=1, input_tokens=60, output_tokens=40, nanos=500)
HOUSE = Payer(scope="house", owner="")


class Ledger:
    """That of a store, which now and then takes nothing, or has taken it and does not say so."""

    def __init__(self, real: LedgerStore) -> None:
        self.real = real
        self.sizes: list[int] = []
        self.down = False
        self.fails: Callable[[], str] = str
        self.wrote = asyncio.Event()

    async def count(self, batch: str, spent: Sequence[Spent], *, before: str | None = None) -> None:
        self.sizes.append(len(spent))
        how = "before" if self.down else self.fails()
        if how == "before":
            raise ServiceError("The database has no room left.")
        await self.real.count(batch, spent, before=before)
        if how == "after":
            raise ServiceError("The connection broke.")
        self.wrote.set()

    async def settle(self, charge_id: str, day: str, additions: Sequence[tuple[Payer, Amount]]) -> None:
        await self.real.settle(charge_id, day, additions)

    async def charge(self, charge_id: str, day: str, payers: Sequence[Payer], amount: Amount) -> Payer | None:
        raise AssertionError("nothing is charged here")

    async def spent(self, since: str, until: str, *, scope: Scope, owner: str | None = None) -> list[Spent]:
        return await self.real.spent(since, until, scope=scope, owner=owner)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/t.db"))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def ledger(store: Store) -> Ledger:
    return Ledger(store.ledger)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def tally(ledger: Ledger, metrics: Metrics) -> AsyncIterator[SpendingTally]:
    made = SpendingTally(ledger, metrics)
    yield made
    await made.stop()


def lost(metrics: Metrics, scope: Scope) -> float:
    return float(metrics.counter("antiphon_spending_lost_total", "", ("scope",)).labels(scope)._value.get())


def by(person: int) -> list[tuple[Payer, Amount]]:
    return [(Payer(scope="person", owner=f"{person}"), CALL), (HOUSE, CALL)]


async def calls(ledger: Ledger, scope: Scope = "house", day: str = DAY) -> int:
    return sum(spent.amount.calls for spent in await ledger.spent(day, day, scope=scope))


async def test_many_calls_are_one_unit_of_work_soon_after_the_first(tally: SpendingTally, ledger: Ledger) -> None:
    for _ in range(300):
        tally.add(DAY, by(1))
    async with asyncio.timeout(10):
        await ledger.wrote.wait()
    assert ledger.sizes == [2]
    (spent,) = await ledger.spent(DAY, DAY, scope="house")
    assert spent.amount == Amount(calls=300, input_tokens=18_000, output_tokens=12_000, nanos=150_000)


async def test_many_payers_are_not_waited_for_and_written_in_pieces(
    tally: SpendingTally, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELAY_SECONDS", 3_600.0)
    made = SpendingTally(ledger, Metrics())
    for person in range(ENOUGH - 1):
        made.add(DAY, by(person))
    async with asyncio.timeout(10):
        await ledger.wrote.wait()
    await made.stop()
    assert ledger.sizes == [PIECE] * (ENOUGH // PIECE)
    assert await calls(ledger, "person") == await calls(ledger) == ENOUGH - 1


async def test_a_call_belongs_to_the_day_on_which_it_began(tally: SpendingTally, ledger: Ledger) -> None:
    """At midnight both days wait together, and a limit of the new one begins at nothing."""
    tally.add(DAY, by(1))
    tally.add(NEXT, by(1))
    tally.add(DAY, by(2))
    await tally.flush()
    assert (await calls(ledger), await calls(ledger, day=NEXT)) == (2, 1)
    assert ledger.sizes == [5]


async def test_what_the_ledger_does_not_take_comes_with_the_next(
    tally: SpendingTally, ledger: Ledger, metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.down = True
    for _ in range(3):
        tally.add(DAY, by(1))
        await tally.flush()
    assert await calls(ledger) == 0
    assert capsys.readouterr().err.count("budget.not_written") == 3
    ledger.down = False
    await tally.flush()
    assert await calls(ledger) == await calls(ledger, "person") == 3
    assert ledger.sizes == [2, 2, 2, 2, 2]  # the first batch as it was, and all that came since as one
    assert lost(metrics, "house") == 0


async def test_it_is_tried_again_by_itself_and_less_and_less_often(
    tally: SpendingTally, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.01)
    made, down = SpendingTally(ledger, Metrics()), iter(["before"] * 4)
    ledger.fails = lambda: next(down, "")
    began = asyncio.get_running_loop().time()
    made.add(DAY, by(1))
    async with asyncio.timeout(10):
        await ledger.wrote.wait()
    assert asyncio.get_running_loop().time() - began >= 0.01 + 0.01 + 0.02 + 0.04 + 0.08 - 0.02
    assert (await calls(ledger), len(ledger.sizes)) == (1, 5)
    await made.stop()


async def test_a_ledger_that_is_down_for_long_keeps_the_sums_and_leaves_out_whom_it_cannot_keep(
    tally: SpendingTally, ledger: Ledger, metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.down = True
    for person in range(MOST + 4):
        tally.add(DAY, by(person))
        if person == 5_000:
            await tally.flush()
    ledger.down = False
    await tally.flush()
    assert await calls(ledger) == MOST + 4
    found = await ledger.spent(DAY, DAY, scope="person")
    assert len(found) == 1_000  # the most that one answer holds
    assert lost(metrics, "person") == 6  # two rows are the house's: of the attempt that failed, and of what came since
    assert lost(metrics, "house") == 0
    assert capsys.readouterr().err.count("budget.lost") == 1
    assert max(ledger.sizes) == PIECE


async def test_thousands_of_calls_at_once_add_up_whatever_breaks(tally: SpendingTally, ledger: Ledger) -> None:
    random = Random(5)
    ledger.fails = lambda: random.choice(["", "", "", "before", "after"])

    async def call(number: int) -> None:
        await asyncio.sleep(random.random() / 10)
        tally.add(DAY, by(number % 37))
        if number % 50 == 0:
            reading = asyncio.create_task(tally.flush())
            await asyncio.sleep(0)
            reading.cancel()  # who asks what was spent may go away meanwhile

    async with asyncio.TaskGroup() as group:
        for number in range(3_000):
            group.create_task(call(number))
    ledger.fails = str
    await tally.flush()
    assert await calls(ledger) == await calls(ledger, "person") == 3_000
    assert {spent.amount.calls for spent in await ledger.spent(DAY, DAY, scope="person")} == {81, 82}


async def test_several_processes_add_up(store: Store, ledger: Ledger) -> None:
    tallies = [SpendingTally(Ledger(store.ledger), Metrics()) for _ in range(4)]
    for number in range(400):
        tallies[number % 4].add(DAY, by(number % 3))
        if number % 40 == 0:
            await asyncio.gather(*(each.flush() for each in tallies))
    await asyncio.gather(*(each.stop() for each in tallies))
    assert await calls(ledger) == await calls(ledger, "person") == 400


async def test_one_row_that_no_database_takes_costs_only_itself(
    tally: SpendingTally, ledger: Ledger, metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in range(120):
        tally.add(DAY, by(person))
    tally.add(DAY, [(Payer(scope="model", owner="acme:\ud800"), CALL)])
    tally.add(DAY, [(Payer(scope="platform", owner="web"), Amount(calls=1, nanos=2**70))])
    await tally.flush()
    assert await calls(ledger) == await calls(ledger, "person") == 120
    assert (lost(metrics, "model"), lost(metrics, "platform"), lost(metrics, "person")) == (1, 1, 0)
    assert "budget.lost" in capsys.readouterr().err


async def test_a_stop_writes_everything_and_leaves_nothing_open(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    made = SpendingTally(ledger, Metrics())
    for person in range(3 * PIECE):
        made.add(DAY, by(person))
    await made.stop()
    await made.stop()
    assert await calls(ledger) == await calls(ledger, "person") == 3 * PIECE
    await store.ledger.count("a new one", [Spent(day=DAY, scope="house", owner="", amount=CALL)])
    assert await calls(ledger) == 3 * PIECE + 1


async def test_a_stop_says_what_it_could_not_write(
    ledger: Ledger, metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    made = SpendingTally(ledger, metrics)
    made.add(DAY, by(1))
    await made.flush()
    ledger.down = True
    for _ in range(3):
        made.add(DAY, by(1))
        await made.flush()
    await made.stop()
    assert (lost(metrics, "house"), lost(metrics, "person")) == (3, 3)
    assert "budget.lost" in capsys.readouterr().err
    ledger.down = False
    await made.flush()
    assert await calls(ledger) == 1

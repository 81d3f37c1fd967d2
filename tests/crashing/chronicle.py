"""What the database held after each death, and what it must hold in the end because of that."""

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from tests.crashing.courier import Platform
from tests.crashing.crowd import Crowd
from tests.crashing.points import Point
from tests.crashing.records import Records, Rows

TURNS = "SELECT id, key, state, adapter FROM inbox"
DELIVERIES = "SELECT turn_id, id, state, adapter FROM outbox"
MESSAGES = (
    "SELECT turn_id, role, status, text, conversation_id, position FROM messages ORDER BY conversation_id, position"
)

Table = Counter[tuple[Point | None, str, str]]
"""How often what was found after a death came to which end."""

ARRIVAL = (1, 2, 3)
"""What is stored already may arrive again, and then these steps find it as it is."""


class Death(NamedTuple):
    """Which message it was about, as far as it is known, and what the database held of it."""

    point: Point | None
    key: str | None
    turn_id: str | None
    found: str
    entry: str | None
    again: bool

    def __str__(self) -> str:
        return ("again: " if self.again else "") + ", ".join(filter(None, (self.found, self.entry)))


class Chronicle:
    """Follows every turn through every death."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._known: set[str] = set()
        self._running: set[str] = set()
        self._sending: set[str] = set()
        self.deaths: list[Death] = []

    async def died(self, point: Point | None, who: list[str] | None) -> None:
        """Takes down what there is, before the next life begins."""
        turns, deliveries = await self._records.read(TURNS, DELIVERIES)
        self._running |= {turn_id for turn_id, _, state, _ in turns if state == "running"}
        self._sending |= {turn_id for turn_id, _, state, _ in deliveries if state == "sending"}
        names = {name: turn for turn in turns for name in turn[:2]}
        names |= {delivery_id: names[turn_id] for turn_id, delivery_id, _, _ in deliveries}
        turn_id, key, found, _ = next((names[name] for name in who or () if name in names), (None, None, "absent", ""))
        if key is None:
            key = next((name for name in who or () if name.startswith("key-")), None)
        entry = next((state for turn, _, state, _ in deliveries if turn == turn_id), None)
        again = turn_id in self._known and point is not None and point.step in ARRIVAL
        self._known |= {turn_id for turn_id, *_ in turns}
        self.deaths.append(Death(point, key, turn_id, found, entry, again))
        if point is not None and (key or turn_id) and not again:
            assert found in point.found, f"after a kill {point} the turn was {found}, not one of {set(point.found)}"

    async def judge(self, crowd: Crowd, platform: Platform) -> Table:
        """Holds the end against all that was found, and returns how often what was found came to which end."""
        turns, deliveries, messages = await self._records.read(TURNS, DELIVERIES, MESSAGES)
        replies = _one_reply_each(turns, messages)
        keys = {key: turn_id for turn_id, key, _, _ in turns}
        assert len(keys) == len(turns)
        assert set(keys) == set(crowd.said)
        assert {key: receipt["turn_id"] for key, receipt in crowd.receipts.items()}.items() <= keys.items()
        outcomes = {turn_id: reply[2] for turn_id, reply in replies.items()}
        assert outcomes == {
            turn_id: "interrupted" if turn_id in self._running else "answered" for turn_id in keys.values()
        }
        _text_fits(crowd, {key: replies[turn_id] for key, turn_id in keys.items()})
        _sent_as_promised(platform, keys, deliveries, self._sending)
        _rung_once(platform, crowd, keys, outcomes)
        return self._table(keys, outcomes, {turn_id: state for turn_id, _, state, _ in deliveries})

    def _table(self, keys: dict[str, str], outcomes: dict[str, str], entries: dict[str, str]) -> Table:
        table: Table = Counter()
        for death in self.deaths:
            turn_id = death.turn_id or keys.get(death.key or "")
            if turn_id is None:
                table[death.point, "", ""] += 1
                continue
            end = outcomes[turn_id]
            if end == "interrupted" and death.found in {"absent", "accepted"}:
                end = "interrupted by a later kill"
            table[death.point, str(death), ", ".join(filter(None, (end, entries.get(turn_id))))] += 1
        return table


def _one_reply_each(turns: Rows, messages: Rows) -> dict[str, tuple[Any, ...]]:
    """The reply of every turn: there is one question and one reply, both with the same outcome, and no gap."""
    assert {state for _, _, state, _ in turns} <= {"ended"}
    of_turn: dict[str, Rows] = defaultdict(list)
    positions: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        of_turn[message[0]].append(message)
        positions[message[4]].append(message[5])
    for found in positions.values():
        assert found == list(range(1, len(found) + 1))
    assert set(of_turn) == {turn[0] for turn in turns}
    for turn_messages in of_turn.values():
        assert [message[1] == "user" for message in turn_messages] == [True, False], turn_messages
        assert turn_messages[0][2] == turn_messages[1][2], turn_messages
    return {turn_id: turn_messages[1] for turn_id, turn_messages in of_turn.items()}


def _text_fits(crowd: Crowd, replies: dict[str, tuple[Any, ...]]) -> None:
    """What was kept of an answer is its beginning; an answer is whole."""
    whole = {crowd.said[key]: reply[3] for key, reply in replies.items() if reply[2] == "answered"}
    for key, (_, _, outcome, text, *_) in replies.items():
        said = crowd.said[key]
        if said.startswith("!echo") and outcome == "answered":
            assert text == said.removeprefix("!echo ")
        elif "!long" in said and said in whole:
            assert text == whole[said] or (outcome == "interrupted" and whole[said].startswith(text)), (key, text)


def _sent_as_promised(platform: Platform, keys: dict[str, str], deliveries: Rows, sending: set[str]) -> None:
    """Every reply is shown exactly once where the platform knows it again, else at most once; a doubt is marked."""
    states = {turn_id: state for turn_id, _, state, _ in deliveries}
    for name, reached in platform.reached.items():
        asked = {event["key"]: event["place"] for event in platform.asked[name]}
        assert {(sent.reply_to, sent.place) for sent in reached} <= asked.items()
        shown = Counter(key for _, key in {(sent.id, sent.reply_to) for sent in reached})
        assert max(shown.values()) == 1
        if name == "numbered":
            assert set(shown) == set(asked)
            assert {states[keys[key]] for key in asked} == {"delivered"}
        else:
            assert len(reached) == len(shown)
            doubtful = {key for key in asked if states[keys[key]] == "maybe_sent"}
            assert doubtful == {key for key in asked if keys[key] in sending}
            assert {states[keys[key]] for key in asked} <= {"delivered", "maybe_sent"}
            assert set(asked) - doubtful <= set(shown)


def _rung_once(platform: Platform, crowd: Crowd, keys: dict[str, str], outcomes: dict[str, str]) -> None:
    """What a tool has done is never done twice."""
    rung = Counter(platform.rung)
    wanted = {keys[key] for key, text in crowd.said.items() if "ring" in text}
    assert set(rung) <= wanted
    assert all(times == 1 for times in rung.values())
    assert {turn_id for turn_id in wanted if outcomes[turn_id] == "answered"} <= set(rung)

"""From the events of `conversation:<id>` to what is new in them, however often the connection breaks.

After a break the server repeats what it cannot know to have arrived: messages, the text of a running answer, the
answer of a turn that ended meanwhile. Everything is recognised here: messages by id, pieces by their number (`seq`),
answers by how much of them was told already.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from antiphon.cli.chat.events import (
    Event,
    HouseSaid,
    OtherSaid,
    TurnAsks,
    TurnBegan,
    TurnNotice,
    TurnOver,
    TurnSaid,
    TurnTool,
)
from antiphon.cli.printable import printable

Payload = Mapping[str, Any]


class _OpenTurn:
    """How much of a turn that has not ended was told."""

    def __init__(self) -> None:
        self.seq = 0
        self.said: list[str] = []
        self.thought: list[str] = []
        self.tools: dict[str, str] = {}
        self.repeats = False
        """The next pieces tell the answer from its beginning again."""
        self.reply_status: str | None = None


class Transcript:
    """One conversation. `joined` and `take` return what is new; `own` says which messages were written here."""

    def __init__(self) -> None:
        self._cursor: str | None = None
        self._seen: set[str] = set()
        self._own: set[str] = set()
        self._turns: dict[str, _OpenTurn] = {}
        self._takers: Mapping[str, Callable[[Payload], Iterable[Event]]] = {
            "message": self._message,
            "turn_start": self._start,
            "delta": self._delta,
            "tool": self._tool,
            "approval": self._approval,
            "turn_end": self._end,
        }

    @property
    def since(self) -> Any:
        """Where to go on after a break, for the next join; None before the first one."""
        for turn_id, turn in self._turns.items():
            if turn.seq:
                return {"turn_id": turn_id, "seq": turn.seq}
        return self._cursor

    def own(self, message_id: str, turn_id: str) -> None:
        """The server has taken a message of ours."""
        self._own.add(message_id)
        self._turns.setdefault(turn_id, _OpenTurn())

    def joined(self, reply: Payload) -> list[Event]:
        """The reply of a join. What the first one brings is the past, and not told."""
        first = self._cursor is None
        under_way = {turn["turn_id"] for turn in reply["turns"]}
        if not reply["recovered"]:
            for turn in self._turns.values():
                turn.seq, turn.repeats = 0, True
        self._cursor = reply["cursor"]
        if first:
            self._seen.update(message["id"] for message in reply["messages"])
            return []
        messages = sorted(reply["messages"], key=lambda message: (message["ticket"], message["position"]))
        events = [event for message in messages for event in self._message(message)]
        over = [
            (turn_id, turn.reply_status)
            for turn_id, turn in self._turns.items()
            if turn.reply_status and turn_id not in under_way
        ]
        return events + [event for turn_id, status in over for event in self._close(turn_id, str(status))]

    def take(self, name: str, payload: Payload) -> list[Event]:
        """An event of the topic."""
        taker = self._takers.get(name)
        return list(taker(payload)) if taker else []

    # --- events ---------------------------------------------------------------------------------------------------

    def _message(self, message: Payload) -> Iterable[Event]:
        self._cursor = message.get("cursor", self._cursor)
        turn = self._turns.get(message["turn_id"] or "")
        if message["role"] == "user":
            if turn is not None and message["status"] == "merged":
                turn.reply_status = "merged"
            if message["id"] not in self._seen | self._own:
                yield OtherSaid(text=printable(message["text"]))
        elif message["id"] not in self._seen:
            turn = turn or self._turns.setdefault(message["turn_id"], _OpenTurn())
            turn.reply_status = message["status"]
            yield from self._reply(message, turn)
        self._seen.add(message["id"])

    def _reply(self, message: Payload, turn: _OpenTurn) -> Iterable[Event]:
        turn_id, parts = message["turn_id"], message["parts"]
        if message["role"] == "system":
            yield HouseSaid(turn_id=turn_id, text=printable(message["text"]), status=message["status"])
            return
        whole = printable("".join(part["text"] for part in parts if part["type"] == "text") or message["text"])
        if not turn.said and not turn.thought:
            yield from self._replay(turn_id, parts, turn)
        else:
            tools = [part for part in parts if part["type"] == "tool"]
            yield from self._replay(turn_id, tools, turn)
        if rest := _rest(whole, turn.said):
            yield TurnSaid(turn_id=turn_id, text=rest)
        for part in parts:
            if part["type"] == "notice":
                yield TurnNotice(turn_id=turn_id, text=printable(part["text"]))

    def _replay(self, turn_id: str, parts: Iterable[Payload], turn: _OpenTurn) -> Iterable[Event]:
        """The parts of a stored answer in their order, tools only when they are not known as they ended."""
        for part in parts:
            if part["type"] == "tool" and turn.tools.get(part["call_id"]) != part["status"]:
                yield _tool_event(turn_id, part)
            elif part["type"] == "text":
                turn.said.append(printable(part["text"]))
                yield TurnSaid(turn_id=turn_id, text=turn.said[-1])
            elif part["type"] == "reasoning":
                yield TurnSaid(turn_id=turn_id, reasoning=printable(part["text"]))

    def _start(self, payload: Payload) -> Iterable[Event]:
        self._turns.setdefault(payload["turn_id"], _OpenTurn())
        yield TurnBegan(turn_id=payload["turn_id"])

    def _delta(self, payload: Payload) -> Iterable[Event]:
        turn = self._turns.setdefault(payload["turn_id"], _OpenTurn())
        if payload["seq"] <= turn.seq:
            return
        turn.seq = payload["seq"]
        text, reasoning = printable(payload.get("text") or ""), printable(payload.get("reasoning") or "")
        if turn.repeats:
            text, reasoning, turn.repeats = _rest(text, turn.said), _rest(reasoning, turn.thought), False
        if text:
            turn.said.append(text)
        if reasoning:
            turn.thought.append(reasoning)
        if text or reasoning:
            yield TurnSaid(turn_id=payload["turn_id"], text=text, reasoning=reasoning)

    def _tool(self, payload: Payload) -> Iterable[Event]:
        turn = self._turns.setdefault(payload["turn_id"], _OpenTurn())
        if payload["seq"] > turn.seq:
            turn.seq = payload["seq"]
            if turn.tools.get(payload["call_id"]) != payload["status"]:
                turn.tools[payload["call_id"]] = payload["status"]
                yield _tool_event(payload["turn_id"], payload)

    def _approval(self, payload: Payload) -> Iterable[Event]:
        if payload["verdict"] is None and payload["id"] not in self._seen:
            self._seen.add(payload["id"])
            name, arguments = printable(payload["name"]), printable(payload["arguments"])
            how = f"`/approve {payload['code']}` or `/deny {payload['code']}` and, if you like, the reason"
            yield TurnAsks(
                turn_id=payload["turn_id"],
                text=f"May I use `{name}` with this? Type {how}.\n\n```json\n{arguments}\n```",
            )

    def _end(self, payload: Payload) -> Iterable[Event]:
        if payload["message_id"] is None and payload["reason"]:
            yield TurnNotice(turn_id=payload["turn_id"], text=printable(payload["reason"]))
        yield from self._close(
            payload["turn_id"],
            payload["status"],
            model=payload["model"],
            tokens=payload["usage"]["output_tokens"],
            elapsed_ms=payload["elapsed_ms"],
        )

    def _close(self, turn_id: str, status: str, **facts: Any) -> Iterable[Event]:
        if self._turns.pop(turn_id, None) is not None:
            yield TurnOver(turn_id=turn_id, status=status, **facts)


def _rest(whole: str, told: list[str]) -> str:
    """What of `whole` was not told. A crash may have stored less than was told: then nothing is left."""
    known = "".join(told)
    return whole[len(known) :] if whole.startswith(known) else ""


def _tool_event(turn_id: str, call: Payload) -> TurnTool:
    result = call.get("result")
    return TurnTool(
        turn_id=turn_id,
        call_id=call["call_id"],
        name=printable(call["name"]),
        arguments=printable(call["arguments"]),
        status=call["status"],
        result=None if result is None else printable(result),
        elapsed_ms=call.get("elapsed_ms"),
    )

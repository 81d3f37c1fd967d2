"""What stands before channels: order, answers without going on, and the three that come with the house."""

import asyncio
from typing import Any

import pytest

from antiphon.realtime.channel import Channel, Rejected
from antiphon.realtime.members.middleware import (
    AuthMiddleware,
    LoggingMiddleware,
    Middleware,
    Proceed,
    RateLimitMiddleware,
)
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.metrics import Metrics


class Trace(Middleware):
    """Notes what passes and adds its name to the payload."""

    def __init__(self, name: str, passed: list[str]) -> None:
        self.name = name
        self.passed = passed

    async def join(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:
        return await self._noted("join", payload, proceed)

    async def message(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:
        return await self._noted(channel.event, payload, proceed)

    async def _noted(self, what: str, payload: Any, proceed: Proceed) -> Any:
        self.passed.append(f"{self.name} {what}")
        answer = await proceed({**payload, "by": [*payload.get("by", []), self.name]})
        self.passed.append(f"{self.name} done")
        return answer


class Gate(Middleware):
    """Answers some messages itself."""

    async def message(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:
        if "answer" in payload:
            return payload["answer"]
        if "reject" in payload:
            raise Rejected({"reason": "not here"})
        if "crash" in payload:
            raise RuntimeError("the secret of the middleware")
        return await proceed(payload)


def room(live: Any, *middleware: Middleware) -> type[Channel]:
    """A room of its own class on `guarded:*`, behind `middleware`."""

    class Guarded(Channel):
        async def on_join(self, payload: Any, socket: Any) -> Any:
            return {"payload": payload, "assigns": self.assigns} if payload else None

        @Channel.on("echo")
        async def echo(self, payload: Any, socket: Any) -> Any:
            return payload

        @Channel.on("wait")
        async def wait(self, payload: Any, socket: Any) -> Any:
            await asyncio.sleep(0)
            return payload

    for one in middleware:
        Guarded.use_middleware(one)
    live.app.channel("guarded:*")(Guarded)
    return Guarded


async def ask(wire: Any, event: str, payload: Any) -> Any:
    await wire.send(["1", "9", "guarded:1", event, payload])
    return (await wire.receive())[4]


async def test_the_application_s_comes_first_and_then_the_channel_s_in_order(live: Any, wire: Any) -> None:
    passed: list[str] = []
    room(live, Trace("b", passed), Trace("c", passed))
    live.app.use_middleware(Trace("a", passed))
    await wire.join("guarded:1", {"x": 1})
    assert passed == ["a join", "b join", "c join", "c done", "b done", "a done"]
    passed.clear()
    for event in ("echo", "wait"):
        assert await ask(wire, event, {}) == {"status": "ok", "response": {"by": ["a", "b", "c"]}}
        assert passed == [f"a {event}", f"b {event}", f"c {event}", "c done", "b done", "a done"]
        passed.clear()


async def test_a_class_passes_its_own_on_and_others_have_none_of_it(live: Any, wire: Any) -> None:
    passed: list[str] = []
    guarded = room(live, Trace("a", passed))

    class Child(guarded):  # type: ignore[valid-type, misc]
        """Has what its base had, and one more."""

    Child.use_middleware(Trace("b", passed))
    live.app.channel("child")(Child)
    for topic in ("room:1", "guarded:1", "child"):
        await wire.join(topic, {})
    assert passed == ["a join", "a done", "a join", "b join", "b done", "a done"]


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"answer": {"n": 1}}, {"status": "ok", "response": {"n": 1}}),
        ({"reject": 1}, {"status": "error", "response": {"reason": "not here"}}),
        ({"crash": 1}, {"reason": "channel_crash"}),
    ],
)
async def test_what_it_returns_or_raises_is_what_the_channel_would(
    live: Any, wire: Any, payload: Any, answer: Any
) -> None:
    room(live, Gate())
    await wire.join("guarded:1")
    assert await ask(wire, "echo", payload) == answer


async def test_an_event_that_nothing_handles_comes_by_too(live: Any, wire: Any) -> None:
    passed: list[str] = []
    room(live, Trace("a", passed))
    await wire.join("guarded:1")
    assert await ask(wire, "what?", {}) == {"status": "error", "response": {"reason": "unhandled event"}}
    assert passed[-1] == "a what?"


# --- authentication -----------------------------------------------------------------------------------------------


async def known(payload: Any) -> Any:
    return {"ann": {"user_id": "1", "role": "host"}, "bob": "bob"}.get(payload.get("token"))


@pytest.mark.parametrize(
    ("token", "assigns"),
    [("ann", {"user_id": "1", "role": "host"}), ("bob", {"user": "bob"})],
)
async def test_who_is_known_comes_in_with_what_is_known(live: Any, wire: Any, token: str, assigns: Any) -> None:
    room(live, AuthMiddleware(known))
    _, _, _, _, reply = await wire.join("guarded:1", {"token": token})
    assert reply["status"] == "ok"
    assert assigns.items() <= reply["response"]["assigns"].items()


async def test_who_is_not_known_does_not_come_in(live: Any, wire: Any) -> None:
    room(live, AuthMiddleware(known))
    reply = await wire.join("guarded:1", {"token": "eve"})
    assert reply[4] == {"status": "error", "response": {"reason": "unauthorized"}}
    assert live.app.members("guarded:1") == 0


# --- logging ------------------------------------------------------------------------------------------------------


async def test_a_line_tells_what_happened_and_not_what_was_said(live: Any, wire: Any, logged: list[Any]) -> None:
    room(live, LoggingMiddleware(), Gate())
    await wire.join("guarded:1", {"x": "a secret"})
    await ask(wire, "echo", {"text": "a secret"})
    await ask(wire, "a secret event", {})
    await ask(wire, "echo", {"reject": 1})
    await ask(wire, "echo", {"crash": 1})
    lines = [(line["event"], line["message"], line["outcome"]) for line in logged if "outcome" in line]
    assert lines == [
        ("realtime.join", "*", "ok"),
        ("realtime.message", "echo", "ok"),
        ("realtime.message", "*", "rejected"),
        ("realtime.message", "echo", "rejected"),
        ("realtime.message", "echo", "crashed"),
    ]
    assert "a secret" not in str(logged)


# --- limits -------------------------------------------------------------------------------------------------------


async def test_so_many_at_once_and_so_many_a_second(live: Any, wire: Any) -> None:
    clock, metrics = ManualClock(), Metrics()
    room(live, RateLimitMiddleware(max_messages_per_second=3, clock=clock, metrics=metrics))
    await wire.join("guarded:1")
    answers = [await ask(wire, "echo", {}) for _ in range(5)]
    assert [answer["status"] for answer in answers] == ["ok", "ok", "ok", "error", "error"]
    assert answers[-1]["response"] == {"reason": "rate limited", "retry_after_ms": 333}
    await clock.advance(0.34)
    assert [(await ask(wire, "echo", {}))["status"] for _ in range(2)] == ["ok", "error"]
    await clock.advance(60)
    assert [(await ask(wire, "echo", {}))["status"] for _ in range(4)] == ["ok", "ok", "ok", "error"]
    assert b'antiphon_ws_rate_limited_total{limit="middleware"} 4.0' in metrics.render()


async def test_one_that_joins_anew_does_not_begin_anew_and_others_are_not_touched(live: Any, wire: Any) -> None:
    room(live, RateLimitMiddleware(max_messages_per_second=1, clock=ManualClock(), metrics=Metrics()))
    await wire.join("guarded:1")
    assert (await ask(wire, "echo", {}))["status"] == "ok"
    await wire.join("guarded:1", join_ref="1")
    await wire.receive()  # the end of the first
    assert (await ask(wire, "echo", {}))["status"] == "error"
    other = await live.wire()
    await other.join("guarded:1")
    assert (await ask(other, "echo", {}))["status"] == "ok"


async def test_less_than_one_a_second_is_a_rate_too(live: Any, wire: Any) -> None:
    clock = ManualClock()
    room(live, RateLimitMiddleware(max_messages_per_second=0.1, clock=clock, metrics=Metrics()))
    await wire.join("guarded:1")
    assert [(await ask(wire, "echo", {}))["status"] for _ in range(2)] == ["ok", "error"]
    await clock.advance(10)
    assert (await ask(wire, "echo", {}))["status"] == "ok"

"""The clients of Supabase, as published, at the mount that is made for them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.realtime.admission.connect import Access, ConnectInfo, Refused
from antiphon.realtime.channel import Rejected
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.presence.presence import Presence
from antiphon.realtime.supabase import RealtimeChannel
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured
from tests.rules import rule
from tests.wire.foreign.program import Program

NEW, OLD = "@supabase/realtime-js", "realtime-js-2-96"


class House:
    """A server that lets everybody in under the name of their key, for a minute from each of the tokens it knows."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.tokens: list[str] = []
        metrics = Metrics()
        config = configured(close_seconds=1.0, max_channels=3)
        self.app = Phoenix(config, metrics=metrics, presence=Presence(metrics=metrics))
        self.app.expiry.now = lambda: self.time
        self.app.on_connect(self.let_in)
        self.app.on_access_token(self.prolong)
        self.app.socket_id = lambda socket: socket.assigns["user"]
        self.app.serve_supabase(self.admits)

    async def let_in(self, info: ConnectInfo) -> dict[str, Any]:
        if info.params["apikey"] == "nobody":
            raise Refused
        return {"user": "ann" if info.params["apikey"] == "first" else info.params["apikey"]}

    async def prolong(self, token: str, socket: Socket) -> Access | None:
        self.tokens.append(token)
        if token == "stolen":
            raise Rejected({"reason": "stolen"})
        return Access(expires_at=self.time + 60) if token in {"first", "second", "third"} else None

    async def admits(self, channel: RealtimeChannel) -> bool:
        return not channel.private or channel.topic == "realtime:ours"

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.app.port}/realtime/v1"

    async def seen_by(self, program: Program) -> dict[str, list[Any]]:
        """All that it printed; does what it asks for in between."""
        seen: dict[str, list[Any]] = {}
        async with program.followed() as lines:
            async for name, *values in lines:
                seen[name] = values
                if name == "disconnect me":
                    self.app.disconnect("ann")
                elif name in {"nearly", "over"}:
                    self.pass_time(31)
        return seen

    def pass_time(self, seconds: float) -> None:
        self.time += seconds
        self.app.expiry.check()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    await house.app.listen("127.0.0.1", 0)
    yield house
    await house.app.stop()


@rule("SB-1", "SB-2", "SB-3", "SB-4", "SB-5", "SB-6", "SB-7", "DC-2", "JS-2")
@pytest.mark.parametrize(("version", "vsn"), [(NEW, "2.0.0"), (NEW, "1.0.0"), (OLD, "2.0.0"), (OLD, "1.0.0")])
async def test_the_npm_package_realtime_js(house: House, javascript: Any, version: str, vsn: str) -> None:
    seen = await house.seen_by(javascript("supabase.js", f"ws://{house.url}", version, vsn))
    shout = {"type": "broadcast", "event": "shout", "payload": {"text": "é🎵", "n": [1, None]}}
    binary = {
        "bytes sent": ["ok"],
        "bytes heard": ["0102ff", "0102ff"],
        "a topic that is no ASCII": ["ok"],
        "and what was said there": [{"n": 3}],
    }
    words = [["shout", {"text": "é🎵"}], ["grüß/1", {"n": [1, None]}]]
    posted: dict[str, Any] = {
        "sent over HTTP": ["ok"],
        "posted": [{"success": True}],
        "heard of what was posted": words,
        # Of several messages in one request those that are not for the sender fall silently, as with Supabase.
        "posted in secret": ["taken" if version == OLD else "Unauthorized"],
        "posted by nobody": ["error"],
    }
    if version == NEW and vsn == "2.0.0":
        posted |= {"bytes posted": [{"success": True}], "heard of what was posted": [*words, ["bytes", "0102ff"]]}
    quote = '"' if version == OLD else ""
    system = {"extension": "system", "channel": "tokens"}
    assert seen == {
        **posted,
        "subscribed": [["SUBSCRIBED"], ["SUBSCRIBED"]],
        "sent": ["ok"],
        "heard": [shout, shout],
        "without ack": ["ok"],
        "not for itself": [{"n": 2}, []],
        **(binary if vsn == "2.0.0" else {}),
        "unsubscribed": ["ok"],
        "empty": [{}],
        "track": ["ok"],
        "came": [["join", "ann"], {"ann": [{"n": 1}]}],
        "track again": ["ok"],
        # This version takes the ref off the meta that it should let go of (`parseCurrentPresences`): its own fault.
        "changed": [{"bob": [{"n": 2}] if version == OLD else [{"n": 1}, {"n": 2}]}],
        "untrack": ["ok"],
        "gone": [["leave", "ann"], {}],
        "lost": [["leave", "ann"], {}],
        "changes": [["SUBSCRIBED"]],
        "no feed": [{
            "status": "error", "extension": "postgres_changes", "channel": "table",
            "message": "there is no database feed here: these changes will not come",
        }],
        "private": [["CHANNEL_ERROR", f"{quote}Unauthorized: this channel is not for you{quote}"]],
        "guest of a private channel": [["SUBSCRIBED"]],
        "one too many": [["CHANNEL_ERROR", f"{quote}ChannelRateLimitReached: too many channels joined{quote}"]],
        "disconnect me": [],
        "rejoined": [["SUBSCRIBED", "CHANNEL_ERROR", "SUBSCRIBED"]],
        "and hears": [{"n": 1}],
        "nearly": [],
        "warned": [{"status": "ok", "message": "the access token ends in 29 seconds", **system}],
        "over": [],
        "told": [{"status": "error", "message": "the access token has expired", **system}],
        "states": [["SUBSCRIBED", "CLOSED"]],
        "fresh token": [["SUBSCRIBED"]],
    }  # fmt: skip
    assert house.tokens[:4] == ["first", "second", "third", "stolen"]


@rule("V1-2", "V1-3", "HB-2", "DC-2", "SB-1", "SB-4", "SB-5", "SB-6")
async def test_the_python_package_realtime(house: House, python: Any) -> None:
    assert await house.seen_by(python("realtime_session.py", house.url)) == {
        "joined": [["SUBSCRIBED", "None"], True],
        "broadcast": [{"text": "é🎵"}, {"text": "é🎵"}],
        "left": [False],
        "joined again": [True],
        "came": [["ann", 1], ["ann"]],
        "changed": [["ann", 2], ["ann", 1], 1],
        "gone": [["ann", 2], []],
        "first": ["SUBSCRIBED"],
        "disconnect me": [],
        "rejoined": ["CHANNEL_ERROR", "SUBSCRIBED"],
        "nearly": [],
        "warned": ["the access token ends in 29 seconds"],
        "over": [],
        "closed": ["CHANNEL_ERROR", "CLOSED"],
        "fresh token": [True],
    }

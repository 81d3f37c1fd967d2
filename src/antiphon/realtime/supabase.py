"""The channels of Supabase's clients: broadcast and presence, on topics that begin with `realtime:` (SB-1)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import msgspec

from antiphon.errors import NotFoundError, ServiceError, ValidationError
from antiphon.realtime.channel import ACCESS_TOKEN, Channel, Hook, Rejected
from antiphon.realtime.wire.base import TopicMessage
from antiphon.realtime.wire.supabase import BROADCAST

PREFIX = "realtime:"

_NO_FEED = "there is no database feed here: these changes will not come"

_OF_PRESENCE = ("presence_state", "presence_diff")
"""No names for bytes of users, which reach clients of plain Phoenix as an event of that name."""


class _BroadcastConfig(msgspec.Struct, frozen=True):
    ack: bool = False
    itself: bool = msgspec.field(name="self", default=False)


class _PresenceConfig(msgspec.Struct, frozen=True):
    key: str | None = None
    enabled: bool = True


class _ChannelConfig(msgspec.Struct, frozen=True):
    broadcast: _BroadcastConfig | None = None
    presence: _PresenceConfig | None = None
    postgres_changes: list[dict[str, Any]] | None = None
    private: bool | None = None


class _Join(msgspec.Struct, frozen=True):
    config: _ChannelConfig | None = None


Admits = Callable[["RealtimeChannel"], Awaitable[bool]]
"""Whether a join is let in. It is asked of those that call themselves `private` and of the others: both are in the same
topic, so what is to be private must be refused to whoever asks for it as public."""


class RealtimeChannel(Channel):
    """What one member says the others hear, and they see who is there. No `admits`, no private channels."""

    private = False

    def __init__(self, admits: Admits | None = None) -> None:
        self._admits = admits
        self._broadcast = _BroadcastConfig()
        self._key = ""
        self._sees_presence = False
        self._tracked = False
        self._changes: list[dict[str, Any]] | None = None

    async def on_join(self, payload: Any, _socket: Any) -> Any:
        """See `Channel`."""
        config = _asked(payload).config or _ChannelConfig()
        if not await self.lets_in(private=bool(config.private)):
            raise Rejected({"reason": "Unauthorized: this channel is not for you"})
        presence = config.presence or _PresenceConfig()
        self._broadcast = config.broadcast or _BroadcastConfig()
        self._key = presence.key or str(uuid4())
        if presence.enabled:
            self._see_presence()
        self._changes = config.postgres_changes
        if self._changes is None:
            return None
        return {"postgres_changes": [{**change, "id": n} for n, change in enumerate(self._changes, 1)]}

    async def lets_in(self, *, private: bool) -> bool:
        """Whether its client may be in the topic, or say something in it."""
        self.private = private
        return not private if self._admits is None else await self._admits(self)

    async def after_join(self) -> None:
        """See `Channel`."""
        if self._sees_presence:
            await self.push_presence_state()
        if self._changes:
            await self._say("error", _NO_FEED, "postgres_changes")

    @Channel.on(BROADCAST)
    async def said(self, payload: Any, _socket: Any) -> Any:
        """Goes to the others, and to whoever said it where the join asked for that (SB-4)."""
        event = payload.get("event") if isinstance(payload, dict) else None
        if not isinstance(event, str):
            raise Rejected({"reason": "a broadcast has an event and a payload"})
        data = payload.get("payload")
        send = self.broadcast if self._broadcast.itself else self.broadcast_from
        try:
            await (send(_of_bytes(event), data) if isinstance(data, bytes) else send(BROADCAST, payload))
        except ValueError as error:
            raise Rejected({"reason": str(error)}) from error
        return {} if self._broadcast.ack else None

    @Channel.on("presence")
    async def appears(self, payload: Any, _socket: Any) -> Any:
        """Shows this member under its key, with another meta, or no longer (SB-5)."""
        match payload:
            case {"event": "track", **rest}:
                await self._track(rest.get("payload"))
            case {"event": "untrack"}:
                await self.untrack(self._key)
                self._tracked = False
            case _:
                raise Rejected({"reason": "presence has the events track and untrack"})
        return {}

    @Channel.on(ACCESS_TOKEN)
    async def renew_access(self, payload: Any, socket: Any) -> Any:
        """A token that is not accepted ends the channel (SB-6); null is one that the client does not have yet."""
        if self.app.expiry.on_access_token is None or (isinstance(payload, dict) and not payload.get(ACCESS_TOKEN)):
            return {}
        try:
            return await self.app.expiry.renew(socket, payload)
        except Rejected as rejected:
            await self._say("error", f"the access token is not accepted: {rejected.response.get('reason')}")
            self.stop()
            raise

    @Channel.out("presence_diff")
    async def keep_presence_back(self, event: str, payload: Any) -> None:
        """Members that turned presence off would keep diffs for a state that never comes."""

    async def on_expiring(self, seconds: float) -> None:
        """See `Channel`."""
        await self._say("ok", f"the access token ends in {round(seconds)} seconds")

    async def on_expired(self) -> None:
        """See `Channel`."""
        await self._say("error", "the access token has expired")
        self.stop()

    async def _track(self, meta: Any) -> None:
        if not self._sees_presence:
            self._see_presence()
            await self.push_presence_state()
        if not isinstance(meta, dict | None):
            raise Rejected({"reason": "what is tracked is an object"})
        try:
            await (self.update(meta or {}, self._key) if self._tracked else self.track(self._key, meta))
        except (ValidationError, NotFoundError, ServiceError) as error:
            raise Rejected({"reason": str(error)}) from error
        self._tracked = True

    def _see_presence(self) -> None:
        self._sees_presence = True
        no_hooks: Mapping[str, Hook] = {}
        self.hooks = no_hooks

    async def _say(self, status: str, message: str, extension: str = "system") -> None:
        told = {"status": status, "message": message, "extension": extension}
        await self.push("system", told | {"channel": self.topic.removeprefix(PREFIX)})


def announcement(topic: str, event: str, data: Any, **more: Any) -> TopicMessage:
    """What members hear when somebody who is none says `data`: bytes, or what JSON can say, perhaps with a `meta`.
    Raises as `TopicMessage.of`, and `ValueError` for bytes whose event is one of the protocol."""
    if isinstance(data, bytes):
        return TopicMessage.of(topic, _of_bytes(event), data)
    return TopicMessage.of(topic, BROADCAST, {"type": BROADCAST, "event": event, "payload": data, **more})


def _of_bytes(event: str) -> str:
    if event in _OF_PRESENCE:
        raise ValueError(f"{event} belongs to the protocol, choose another name for these bytes")
    return event


def _asked(payload: Any) -> _Join:
    try:
        return msgspec.convert(payload, _Join)
    except msgspec.ValidationError as error:
        raise Rejected({"reason": f"the join cannot be read: {error}"}) from error

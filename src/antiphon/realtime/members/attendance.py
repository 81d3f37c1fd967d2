"""Where one channel is present: it vanishes from there when it ends, whatever ends it."""

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from antiphon.errors import NotFoundError, ProcessingError, ValidationError

if TYPE_CHECKING:
    from antiphon.realtime.members.member import Member
    from antiphon.realtime.presence.presence import NewMeta

CHANNEL = "channel:"
"""Begins the pid of a channel."""


class Attendance:
    """Made when a channel tracks itself for the first time. Raises `ProcessingError` for one that has ended."""

    __slots__ = ("_keys", "_member", "_pid", "_presence", "_topic")

    def __init__(self, member: "Member") -> None:
        self._member = member
        self._check_not_ended()
        app = member.socket.app
        self._presence = app.presence
        self._topic = member.topic
        self._keys: list[tuple[str, str]] = []
        self._pid = CHANNEL + secrets.token_urlsafe(9)
        app.present.add(self._pid)
        member.at_end(partial(app.present.discard, self._pid))
        member.at_end(partial(self._presence.untrack_all_now, self._pid))

    def track(self, key: str, meta: dict[str, Any], topic: str | None) -> str:
        self._check_not_ended()
        place = topic or self._topic, str(key)
        ref = self._presence.track_now(self._pid, place[0], meta, key)
        self._keys.append(place)
        return ref

    def update(self, meta: "NewMeta", key: str | None, topic: str | None) -> str:
        topic, key = self._place(key, topic)
        return self._presence.update_now(self._pid, topic, meta, key)

    def untrack(self, key: str | None, topic: str | None) -> None:
        if key is None and not self._keys:
            return
        place = self._place(key, topic)
        self._presence.untrack_now(self._pid, *place)
        if place in self._keys:
            self._keys.remove(place)

    def _check_not_ended(self) -> None:
        # Its handlers may go on for a while, and nothing would ever take away what they show.
        if self._member.state == "ended":
            raise ProcessingError("the channel has ended: it cannot be present any more; stop what still runs for it")

    def _place(self, key: str | None, topic: str | None) -> tuple[str, str]:
        """Where it is present under `key`, or under the only key that it has there."""
        topic = topic or self._topic
        if key is not None:
            return topic, str(key)
        found = [place for place in self._keys if place[0] == topic]
        if not found:
            raise NotFoundError("no presence: this channel has tracked no key in the topic; track one first")
        if len(found) > 1:
            raise ValidationError("this channel has several keys in the topic: say which one")
        return found[0]

"""Who is to be seen on this node, by topic and key."""

from typing import Any

from antiphon.realtime.presence.state import Entry

Presences = dict[str, dict[str, Any]]
"""As clients are sent them: key to `{"metas": [meta, ...]}` (PR-1)."""


class _Room:
    __slots__ = ("keys", "size", "total")

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, Entry]] = {}
        self.total = 0
        self.size = 0


class Roster:
    """An index of the entries of all nodes that are up; reading one topic costs what is in it (TK-16, TK-19)."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def clear(self) -> None:
        self._rooms.clear()
        self._total = 0

    def add(self, entry: Entry) -> None:
        """Shows the entry. A phx_ref is there once: of two nodes that use the same, the later one counts."""
        self.remove(entry)
        room = self._rooms.get(entry.topic)
        if room is None:
            room = self._rooms[entry.topic] = _Room()
        room.keys.setdefault(entry.key, {})[entry.ref] = entry
        room.total += 1
        self._total += 1
        room.size += entry.size

    def remove(self, entry: Entry) -> None:
        """Hides it; none is fine."""
        room = self._rooms.get(entry.topic)
        metas = room.keys.get(entry.key) if room is not None else None
        shown = metas.pop(entry.ref, None) if metas is not None else None
        if room is None or metas is None or shown is None:
            return
        room.total -= 1
        self._total -= 1
        room.size -= shown.size
        if not metas:
            del room.keys[entry.key]
            if not room.keys:
                del self._rooms[entry.topic]

    def topics(self) -> list[str]:
        """The topics that somebody is present in."""
        return list(self._rooms)

    def count(self, topic: str) -> int:
        """How many presences there are in the topic."""
        room = self._rooms.get(topic)
        return room.total if room is not None else 0

    def get(self, topic: str, key: str) -> dict[str, Any] | None:
        """One presence with all its metas."""
        room = self._rooms.get(topic)
        metas = room.keys.get(key) if room is not None else None
        return _presence(metas) if metas is not None else None

    def list(self, topic: str) -> Presences:
        """All presences of the topic."""
        room = self._rooms.get(topic)
        return {key: _presence(metas) for key, metas in room.keys.items()} if room is not None else {}

    def list_up_to(self, topic: str, most: int) -> tuple[Presences, bool]:
        """As many presences as have metas of at most `most` bytes together, and whether those are all."""
        room = self._rooms.get(topic)
        if room is None or room.size <= most:
            return self.list(topic), True
        listed: Presences = {}
        for key, metas in room.keys.items():
            most -= sum(entry.size for entry in metas.values())
            if most < 0:
                break
            listed[key] = _presence(metas)
        return listed, False


def _presence(metas: dict[str, Entry]) -> dict[str, Any]:
    # Copies: what is given away may be changed by whoever gets it.
    return {"metas": [dict(entry.meta) for entry in metas.values()]}

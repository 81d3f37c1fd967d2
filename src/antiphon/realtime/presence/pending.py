"""Changes of one topic on their way to becoming one diff."""

from typing import Any

from antiphon.realtime.presence.state import Entry

Diff = dict[str, dict[str, dict[str, Any]]]


class PendingDiff:
    """What changed since the last diff, at most once per phx_ref.

    What came and went in between is left out, unless the topic was read meanwhile: whoever was sent what was read has
    to be told of both. Clients apply joins before leaves (PR-16), so a ref that left and came back only joins.
    """

    __slots__ = ("_joins", "_leaves", "read")

    def __init__(self) -> None:
        self.read = False
        self._joins: dict[str, Entry] = {}
        self._leaves: dict[str, Entry] = {}

    def __bool__(self) -> bool:
        return bool(self._joins or self._leaves)

    def join(self, entry: Entry) -> None:
        ref = entry.ref
        if self._leaves.pop(ref, None) is None or self.read:
            self._joins[ref] = entry

    def leave(self, entry: Entry) -> None:
        ref = entry.ref
        if self.read or self._joins.pop(ref, None) is None:
            self._leaves[ref] = entry

    def diff(self) -> Diff:
        """Both sides, always (PR-4)."""
        return {"joins": _by_key(self._joins), "leaves": _by_key(self._leaves)}


def _by_key(entries: dict[str, Entry]) -> dict[str, dict[str, Any]]:
    side: dict[str, dict[str, Any]] = {}
    for entry in entries.values():
        side.setdefault(entry.key, {"metas": []})["metas"].append(dict(entry.meta))
    return side

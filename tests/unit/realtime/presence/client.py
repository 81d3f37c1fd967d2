"""What Phoenix's JavaScript client does with states and diffs (PR-16): what people get to see."""

import json
from collections.abc import Callable
from typing import Any

View = dict[str, dict[str, Any]]
Seen = Callable[[str, Any, Any], None]


def nobody(key: str, current: Any, changed: Any) -> None:
    """No callback."""


def clone(value: Any) -> Any:
    """As over the wire: nothing is shared, and what is no JSON fails."""
    return json.loads(json.dumps(value))


def refs(presence: dict[str, Any]) -> list[str]:
    return [meta["phx_ref"] for meta in presence["metas"]]


class PresenceView:
    """One client's idea of one topic."""

    def __init__(self, on_join: Seen = nobody, on_leave: Seen = nobody) -> None:
        self.state: View = {}
        self._on_join = on_join
        self._on_leave = on_leave

    def sync_state(self, new: View) -> None:
        new = clone(new)
        joins: View = {}
        leaves = {key: presence for key, presence in self.state.items() if key not in new}
        for key, presence in new.items():
            current = self.state.get(key)
            if current is None:
                joins[key] = presence
                continue
            joined = [meta for meta in presence["metas"] if meta["phx_ref"] not in refs(current)]
            left = [meta for meta in current["metas"] if meta["phx_ref"] not in refs(presence)]
            if joined:
                joins[key] = {**presence, "metas": joined}
            if left:
                leaves[key] = {**clone(current), "metas": left}
        self.sync_diff({"joins": joins, "leaves": leaves})

    def sync_diff(self, diff: dict[str, View]) -> None:
        diff = clone(diff)
        for key, presence in diff["joins"].items():
            current = self.state.get(key)
            self.state[key] = clone(presence)
            if current is not None:
                kept = [meta for meta in current["metas"] if meta["phx_ref"] not in refs(presence)]
                self.state[key]["metas"] = kept + self.state[key]["metas"]
            self._on_join(key, current, presence)
        for key, presence in diff["leaves"].items():
            current = self.state.get(key)
            if current is None:
                continue
            current["metas"] = [meta for meta in current["metas"] if meta["phx_ref"] not in refs(presence)]
            self._on_leave(key, current, presence)
            if not current["metas"]:
                del self.state[key]


def by_ref(view: View) -> dict[str, tuple[str, dict[str, Any]]]:
    """A view without the order of its metas, which means nothing (PR-12)."""
    return {meta["phx_ref"]: (key, meta) for key, presence in view.items() for meta in presence["metas"]}

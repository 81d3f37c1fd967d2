"""PR: who is there, and what each client is told of it."""

from typing import Any

from antiphon.testing.conformance.guest import Guest, Heard, insist
from antiphon.testing.conformance.registry import Part, check
from antiphon.testing.conformance.room import Room

PRESENCE: Part = "presence"


async def present(room: Room, topic: str, key: str, **meta: Any) -> tuple[Guest, Heard]:
    """A member that is tracked, and the diff that told it so."""
    guest = await room.member(topic, {"presence": key, "meta": meta})
    heard = [await guest.hear(), await guest.hear()]
    diffs = [each for each in heard if each.event == "presence_diff"]
    insist(len(diffs) == 1, "the state and the diff, in either order", [each.event for each in heard])
    return guest, diffs[0]


def metas(side: Any, key: str) -> Any:
    """The metas of a key in a state or in one side of a diff."""
    return side.get(key, {}).get("metas", []) if isinstance(side, dict) else []


def only_meta(side: Any, key: str) -> dict[str, Any]:
    """The one meta of a key; fails when there are none or more."""
    found = metas(side, key)
    insist(len(found) == 1 and isinstance(found[0], dict), f"one meta of {key}", side)
    one: dict[str, Any] = found[0]
    return one


@check("PR-1", part=PRESENCE)
async def keys_and_metas(room: Room) -> None:
    topic = room.unique()
    guest, _ = await present(room, topic, "ann", on=1, tags=["a"])
    who = (await guest.call(topic, "who")).response
    meta = only_meta(who, "ann")
    insist(meta == {"on": 1, "tags": ["a"], "phx_ref": meta.get("phx_ref")}, "what was tracked and a phx_ref", meta)
    insist(isinstance(meta["phx_ref"], str) and meta["phx_ref"], "a text as phx_ref", meta)


@check("PR-2", part=PRESENCE)
async def the_state_after_every_join(room: Room) -> None:
    topic, guest = room.unique(), await room.connect()
    for join_ref in ("1", "2"):
        guest.send(join_ref, join_ref, topic, "phx_join", {"presence": "ann"})
        heard = await guest.until("phx_reply")
        while (heard := await guest.hear()).event != "presence_state":
            insist(heard.event in {"phx_close", "presence_diff"}, "a presence_state after the join", heard)
        insist(metas(heard.payload, "ann"), "ann in the state", heard)


@check("PR-3", part=PRESENCE)
async def the_state_is_a_push(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, {"presence": "ann"}, join_ref="j")
    heard = await guest.until("presence_state")
    insist((heard.join_ref, heard.ref, heard.topic) == ("j", None, topic), "a push with the join_ref", heard)
    other = await room.member(room.unique())
    quiet = room.unique()
    await other.join(quiet)
    insist((await other.call(quiet, "who")).response == {}, "an empty map of nobody", "something else")


@check("PR-4", part=PRESENCE)
async def a_diff_has_both_sides(room: Room) -> None:
    topic = room.unique()
    guest, joined = await present(room, topic, "ann")
    await guest.call(topic, "update", {"meta": {"a": 1}})
    for diff in (joined, await _diff_of(guest, topic, "untrack")):
        insist((diff.join_ref, diff.ref) == (None, None), "a broadcast", diff)
        insist(set(diff.payload) == {"joins", "leaves"}, "joins and leaves", diff)


async def _diff_of(guest: Guest, topic: str, event: str, payload: Any = None) -> Heard:
    """The diff that an event makes, whether it comes in front of the reply or behind it."""
    ref = guest.new_ref()
    guest.send(None, ref, topic, event, payload or {})
    diff = reply = None
    while diff is None or reply is None:
        heard = await guest.hear()
        if heard.event == "presence_diff":
            diff = heard
        elif heard.ref == ref:
            reply = heard
    return diff


@check("PR-5", part=PRESENCE)
async def coming_and_going(room: Room) -> None:
    topic = room.unique()
    watcher = await room.member(topic)
    for end in ("untrack", "phx_leave", "crash", "close"):
        guest = await room.member(topic, {"presence": end})
        joined = only_meta((await watcher.until("presence_diff")).payload.get("joins"), end)
        if end == "close":
            guest.socket.close()
        else:
            guest.send(None, None, topic, end, {})
        left = only_meta((await watcher.until("presence_diff")).payload.get("leaves"), end)
        insist(left == joined, f"the same meta as left: {joined}", left)


@check("PR-6", part=PRESENCE)
async def an_update(room: Room) -> None:
    topic = room.unique()
    guest, joined = await present(room, topic, "ann", on=1)
    old = only_meta(joined.payload.get("joins"), "ann")
    for number in (2, 3):
        diff = await _diff_of(guest, topic, "update", {"meta": {"on": number}})
        new = only_meta(diff.payload.get("joins"), "ann")
        insist(only_meta(diff.payload.get("leaves"), "ann") == old, f"the old meta as left: {old}", diff)
        insist(new.get("on") == number and new.get("phx_ref_prev") == old["phx_ref"], "phx_ref_prev", new)
        insist(new["phx_ref"] != old["phx_ref"], "a new phx_ref", new)
        old = new


@check("PR-7", part=PRESENCE)
async def many_metas_of_a_key(room: Room) -> None:
    topic = room.unique()
    guest, _ = await present(room, topic, "ann", tab=1)
    await present(room, topic, "ann", tab=2)
    tabs = {meta["tab"] for meta in metas((await guest.call(topic, "who")).response, "ann")}
    insist(tabs == {1, 2}, "both metas", tabs)
    ref = guest.new_ref()
    guest.send(None, ref, topic, "track", {"key": "ann", "meta": {"tab": 3}})
    while (heard := await guest.hear()).event == "presence_diff":
        insist(3 not in [meta.get("tab") for meta in metas(heard.payload.get("joins"), "ann")], "no third meta", heard)
    insist(heard.status != "ok", "no second entry of the same channel and key", heard)


@check("PR-8", part=PRESENCE)
async def of_what_is_not_tracked(room: Room) -> None:
    topic, other = room.unique(), room.unique()
    guest = await room.member(topic)
    heard = await guest.call(topic, "untrack")
    insist(heard.status == "ok", "ok", heard)
    await guest.quiet(topic)
    await guest.join(other)
    guest.send(None, "9", other, "update", {"meta": {}})
    heard = await guest.hear()
    insist(heard.status != "ok", "no update of nothing", heard)


@check("PR-9", part=PRESENCE)
async def refs_are_unique(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    refs = []
    for _ in range(10):
        tracked = await _diff_of(guest, topic, "track", {"key": "ann", "meta": {}})
        refs.append(only_meta(tracked.payload.get("joins"), "ann")["phx_ref"])
        await _diff_of(guest, topic, "untrack")
    insist(len(set(refs)) == len(refs), "another phx_ref each time", refs)


@check("PR-10", part=PRESENCE)
async def ones_own_diff(room: Room) -> None:
    _, diff = await present(room, room.unique(), "self")
    insist(metas(diff.payload.get("joins"), "self"), "its own join", diff)


@check("PR-16", part=PRESENCE)
async def replayed_by_the_clients_algorithm(room: Room) -> None:
    topic = room.unique()
    watcher, _ = await present(room, topic, "watcher")
    seen = {"watcher": metas((await watcher.call(topic, "who")).response, "watcher")}
    ann, _ = await present(room, topic, "ann", n=1)
    await _diff_of(ann, topic, "update", {"meta": {"n": 2}})
    bob, _ = await present(room, topic, "bob")
    bob.socket.close()
    for _ in range(4):
        _apply(seen, (await watcher.until("presence_diff")).payload)
    who = (await watcher.call(topic, "who")).response
    insist(_refs_in(who) == {key: _refs(had) for key, had in seen.items()}, f"the replayed view {seen}", who)


def _refs(some: Any) -> set[str]:
    return {meta["phx_ref"] for meta in some}


def _refs_in(presences: Any) -> dict[str, set[str]]:
    return {key: _refs(entry["metas"]) for key, entry in presences.items()}


def _apply(seen: dict[str, Any], diff: Any) -> None:
    for key, entry in diff.get("joins", {}).items():
        refs = _refs(entry["metas"])
        seen[key] = [meta for meta in seen.get(key, []) if meta["phx_ref"] not in refs] + entry["metas"]
    for key, entry in diff.get("leaves", {}).items():
        refs = _refs(entry["metas"])
        seen[key] = [meta for meta in seen.get(key, []) if meta["phx_ref"] not in refs]
        if not seen[key]:
            del seen[key]


@check("PR-17", part=PRESENCE)
async def any_key(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    for key in ("__proto__", "constructor", "ключ 🎵", ""):
        diff = await _diff_of(guest, topic, "track", {"key": key, "meta": {}})
        only_meta(diff.payload.get("joins"), key)
        insist(metas((await guest.call(topic, "who")).response, key), f"the key {key!r}", "it is missing")
        await _diff_of(guest, topic, "untrack")


@check("PR-19", part=PRESENCE)
async def in_version_1(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic, {"presence": "ann", "meta": {"on": 1}}, vsn="1.0.0")
    heard = {each.event: each for each in (await guest.hear(), await guest.hear())}
    insist(set(heard) == {"presence_state", "presence_diff"}, "a state and a diff", list(heard))
    insist(only_meta(heard["presence_state"].payload, "ann")["on"] == 1, "ann in the state", heard["presence_state"])
    insist(metas(heard["presence_diff"].payload.get("joins"), "ann"), "ann in the diff", heard["presence_diff"])

"""Who is to be seen."""

from antiphon.realtime.presence.roster import Roster
from antiphon.realtime.presence.state import Entry
from tests.rules import rule


def entry(ref: str, key: str = "k", topic: str = "t", size: int = 10) -> Entry:
    return Entry(topic, "p", key, {"phx_ref": ref}, size)


@rule("PR-1")
def test_metas_by_key() -> None:
    roster = Roster()
    for each in (entry("1"), entry("2"), entry("3", key="other"), entry("4", topic="elsewhere")):
        roster.add(each)
    assert roster.list("t") == {
        "k": {"metas": [{"phx_ref": "1"}, {"phx_ref": "2"}]},
        "other": {"metas": [{"phx_ref": "3"}]},
    }
    assert (roster.count("t"), roster.count("nowhere"), len(roster)) == (3, 0, 4)
    assert roster.topics() == ["t", "elsewhere"]
    assert roster.get("t", "other") == {"metas": [{"phx_ref": "3"}]}
    assert roster.get("t", "nobody") is None
    assert roster.get("nowhere", "k") is None


def test_nothing_is_kept_of_what_left() -> None:
    roster = Roster()
    entries = [entry("1"), entry("2"), entry("3", key="other")]
    for each in entries:
        roster.add(each)
    for each in entries:
        roster.remove(each)
        roster.remove(each)
    assert (roster.list("t"), roster.topics(), len(roster)) == ({}, [], 0)
    assert roster._rooms == {}


def test_the_same_ref_from_two_nodes_is_there_once() -> None:
    roster = Roster()
    roster.add(entry("1", size=10))
    roster.add(entry("1", size=30))
    assert (roster.count("t"), len(roster)) == (1, 1)
    assert roster.list_up_to("t", 29) == ({}, False)
    roster.remove(entry("1"))
    assert len(roster) == 0


def test_a_list_may_be_changed_by_whoever_gets_it() -> None:
    roster = Roster()
    roster.add(entry("1"))
    roster.list("t")["k"]["metas"][0]["phx_ref"] = "changed"
    assert roster.list("t") == {"k": {"metas": [{"phx_ref": "1"}]}}


def test_a_list_up_to_a_size_holds_whole_presences() -> None:
    roster = Roster()
    for ref in ("1", "2"):
        roster.add(entry(ref))
    roster.add(entry("3", key="other"))
    assert roster.list_up_to("t", 30) == (roster.list("t"), True)
    assert roster.list_up_to("t", 29) == ({"k": roster.list("t")["k"]}, False)
    assert roster.list_up_to("t", 19) == ({}, False)
    assert roster.list_up_to("nowhere", 0) == ({}, True)
    roster.clear()
    assert (len(roster), roster.list("t")) == (0, {})

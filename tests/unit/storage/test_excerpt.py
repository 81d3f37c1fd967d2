"""What is shown of a found message, and that a hostile one costs nobody anything."""

import time

from hypothesis import given
from hypothesis import strategies as st

from antiphon.domain import ChannelMessage
from antiphon.storage.sql.excerpt import WIDTH, excerpt
from antiphon.storage.sqlite.store import SqliteStore


def test_a_short_text_is_shown_whole() -> None:
    assert excerpt("When does the «café» open?\nSoon.") == "When does the «café» open?\nSoon."
    assert excerpt(f"{'before ' * 20}«lamp»") == f"{'before ' * 20}«lamp»"


def test_a_long_text_is_cut_between_words_on_both_sides() -> None:
    shown = excerpt(f"{'before ' * 100}«lamp» {'after ' * 100}")
    assert shown.startswith("…before ")
    assert "«lamp»" in shown
    assert shown.endswith("after…")
    assert len(shown) < 2 * WIDTH


def test_where_most_of_the_words_are_together_wins() -> None:
    shown = excerpt(f"«lamp» «lamp» «lamp» {'x ' * 200}a «green» «lamp» {'x ' * 200}")
    assert "«green» «lamp»" in shown


def test_one_endless_word_is_cut_all_the_same() -> None:
    assert len(excerpt("x" * 500 + "«x»" + "x" * 500)) < 2 * WIDTH


@given(st.text("«»ab \n", max_size=800))
def test_it_is_a_piece_of_the_text(marked: str) -> None:
    shown = excerpt(marked)
    assert shown.removeprefix("…").removesuffix("…") in marked
    assert len(shown) <= 2 * WIDTH


async def test_a_message_of_one_word_over_and_over_holds_up_no_search(store: SqliteStore) -> None:
    said = ChannelMessage(adapter="discord", place="x", account="eve", key="1", text="lamp " * 20_000)
    accepted = await store.inbox.accept(said, assistant="guide")
    started = time.perf_counter()
    hits = await store.conversations.search(accepted.turn.person_id, "lamp")
    assert [hit.message_id for hit in hits] == [accepted.message.id]
    assert len(hits[0].snippet) <= 2 * WIDTH
    assert time.perf_counter() - started < 2.0  # it takes 0.05 s; SQLite's snippet() took 5 s

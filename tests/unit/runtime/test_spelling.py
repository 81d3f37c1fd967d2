"""Which name was meant."""

import time

import pytest

from antiphon.runtime.spelling import did_you_mean, near


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("prot", " Did you mean --port?"),
        ("PORT", " Did you mean --port?"),
        ("hots", " Did you mean --Host?"),
        ("zzz", " There is only Host and port."),
    ],
)
def test_the_nearest_name_is_asked_for_whatever_its_case(written: str, meant: str) -> None:
    assert did_you_mean(written, ["Host", "port"], "There is only Host and port.", prefix="--") == meant


def test_where_there_is_nothing_to_say_there_is_no_space_either() -> None:
    assert did_you_mean("x", []) == ""


def test_several_come_in_the_order_of_their_likeness() -> None:
    assert near("apple", ["ape", "apples", "pear"], most=2) == ["apples", "ape"]
    assert near("apple", ["ape", "apples"], most=2, likeness=0.9) == ["apples"]


def test_a_letter_in_the_place_of_a_name_costs_next_to_nothing() -> None:
    began = time.process_time()
    assert near("demo" * 1_000_000, ["demo"]) == []
    assert time.process_time() - began < 0.5

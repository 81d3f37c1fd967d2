"""Intervals and tests against published values, and what must hold for all counts."""

from math import erfc, isclose, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.assistants.significance import (
    LEAST_JUDGES,
    Counted,
    compare,
    design_effect,
    difference,
    holm,
    wilson,
)

People = list[tuple[int, int]]
"""Good judgements and all judgements, person by person."""

people_of = st.lists(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1)


def counted(people: People) -> Counted:
    return Counted(
        judges=len(people),
        good=sum(good for good, _ in people),
        all=sum(each for _, each in people),
        good_good=sum(good * good for good, _ in people),
        good_all=sum(good * each for good, each in people),
        all_all=sum(each * each for _, each in people),
    )


@pytest.mark.parametrize(
    ("good", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_that_of_the_literature(good: int, total: int, low: float, high: float) -> None:
    """R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998),
    table I, method 3."""
    assert wilson(good, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_and_is_its_own_mirror(count: tuple[int, int]) -> None:
    good, total = count
    low, high = wilson(good, total)
    assert 0 <= low <= good / total + 1e-12
    assert good / total - 1e-12 <= high <= 1
    assert wilson(total - good, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    wider = wilson(good, total, z=3.0)
    assert wider[0] <= low + 1e-12
    assert high <= wider[1] + 1e-12


def test_two_shares_that_differ_are_told_apart() -> None:
    """By hand: pooled 0.2, standard error sqrt(0.2 * 0.8 * 2 / 100)."""
    found = difference((15, 100), (25, 100))
    assert found.difference == pytest.approx(0.10)
    assert found.z == pytest.approx(0.10 / sqrt(0.2 * 0.8 * 0.02))
    assert found.p == pytest.approx(0.0771, abs=5e-5)


def test_z_squared_is_pearsons_chi_square_of_the_table() -> None:
    """Fleiss 1981, chapter 2: with one degree of freedom. Counts of R. A. Fisher's twins (10 of 13, 2 of 17)."""
    rows = [(10, 3), (2, 15)]
    total = sum(map(sum, rows))
    columns = [sum(row[at] for row in rows) for at in range(2)]
    expected = [[sum(row) * column / total for column in columns] for row in rows]
    chi = sum(
        (row[at] - wanted[at]) ** 2 / wanted[at] for row, wanted in zip(rows, expected, strict=True) for at in range(2)
    )
    found = difference((10, 13), (2, 17))
    assert found.z**2 == pytest.approx(chi)
    assert chi == pytest.approx(13.032, abs=5e-4)
    assert found.p == pytest.approx(erfc(sqrt(chi / 2)))


@given(people_of, people_of)
def test_a_test_is_fair_to_both_sides(first: People, second: People) -> None:
    one, other = counted(first).effective, counted(second).effective
    there, back = difference(one, other), difference(other, one)
    assert 0 <= there.p <= 1
    assert isclose(there.p, back.p, abs_tol=1e-9)
    assert isclose(there.difference, -back.difference, abs_tol=1e-12)
    assert difference(one, one).p == pytest.approx(1)


def test_holms_correction_is_that_of_r() -> None:
    """`p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.4]) == [0.4]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_a_correction_never_helps_and_keeps_the_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(
        value <= better <= min(1.0, value * len(values)) for value, better in zip(values, corrected, strict=True)
    )
    ranked = sorted(range(len(values)), key=values.__getitem__)
    assert [corrected[at] for at in ranked] == sorted(corrected)


def test_people_who_say_one_thing_each_are_as_many_as_what_they_say() -> None:
    assert design_effect(counted([(1, 1)] * 7 + [(0, 1)] * 3)) == 1.0


def test_one_person_who_judges_often_is_one_person() -> None:
    assert counted([(30, 40)]).effective == pytest.approx((0.75, 1.0))
    assert counted([(5, 5)] * 12).effective == pytest.approx((12.0, 12.0))
    # Everybody is of one mind, and half of them think so: 20 opinions and not 200.
    _, opinions = counted([(10, 10)] * 10 + [(0, 10)] * 10).effective
    assert opinions == pytest.approx(20 * 19 / 20)


@given(people_of)
def test_a_design_effect_only_takes_away(people: People) -> None:
    found = counted(people)
    good, total = found.effective
    assert 0 < total <= found.all
    assert good / total == pytest.approx(found.share)


def test_too_few_people_or_too_few_of_a_kind_tell_nothing() -> None:
    many = counted([(1, 1)] * 40 + [(0, 1)] * 40)
    assert compare(many, counted([(1, 1)] * (LEAST_JUDGES - 1))) is None
    assert compare(many, counted([(10, 10)] * 4 + [(0, 10)] * 4)) is None
    assert compare(counted([(1, 1)] * 60), counted([(1, 1)] * 58 + [(0, 1)] * 2)) is None  # 2 of 120: too rare
    found = compare(many, counted([(1, 1)] * 70 + [(0, 1)] * 10))
    assert found is not None
    assert found.difference == pytest.approx(0.375)
    assert found.p < 0.001


crowd_of = st.lists(st.sampled_from([(0, 1), (1, 1), (1, 2), (3, 5)]), min_size=LEAST_JUDGES, max_size=80)


@given(crowd_of, crowd_of)
def test_whatever_was_counted_can_be_compared(first: People, second: People) -> None:
    one, other = counted(first), counted(second)
    found = compare(one, other)
    if found is not None:
        assert 0 <= found.p <= 1
        assert found.difference == pytest.approx(other.share - one.share)

"""Flags: for everybody, for some, for a part that stays the same and only grows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ConfigError
from antiphon.settings.config import Config
from antiphon.settings.features import Features

PEOPLE = [f"person-{number}" for number in range(2000)]


def features(**flags: object) -> Features:
    return Features.model_validate(flags)


def test_on_and_off_hold_for_everybody() -> None:
    flags = features(choose_model=False, beta=True)
    assert not flags.enabled("choose_model", "ada")
    assert flags.enabled("beta", "ada")
    assert flags.enabled("beta")
    assert flags.names() == ("choose_model", "beta")


def test_a_list_holds_for_those_in_it() -> None:
    flags = features(beta=["ada"])
    assert flags.enabled("beta", "ada")
    assert not flags.enabled("beta", "bob")
    assert not flags.enabled("beta")


@pytest.mark.parametrize("part", [0, 1, 25, 50, 99.5])
def test_a_part_is_about_as_large_as_it_says(part: float) -> None:
    on = sum(features(beta=f"{part:g}%").enabled("beta", person) for person in PEOPLE)
    assert abs(on / len(PEOPLE) * 100 - part) < 4


def test_the_edges_are_nobody_and_everybody() -> None:
    assert not any(features(beta="0%").enabled("beta", person) for person in PEOPLE)
    assert all(features(beta="100%").enabled("beta", person) for person in PEOPLE)
    assert features(beta="100%").enabled("beta")
    assert not features(beta="99%").enabled("beta")


@given(st.text(), st.integers(0, 100), st.integers(0, 100))
def test_growing_takes_it_from_nobody(person: str, one: int, other: int) -> None:
    small, large = sorted((one, other))
    if features(beta=f"{small}%").enabled("beta", person):
        assert features(beta=f"{large}%").enabled("beta", person)


def test_two_flags_have_different_parts() -> None:
    flags = features(one="50%", two="50%")
    same = sum(flags.enabled("one", person) == flags.enabled("two", person) for person in PEOPLE)
    assert 0.4 < same / len(PEOPLE) < 0.6


def test_a_flag_that_is_not_declared_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no flag new_search; .* Did you mean new_searches\?"):
        features(new_searches=True).enabled("new_search")


@pytest.mark.parametrize(
    ("yaml", "sentence"),
    [
        ("features: {choose_modell: false}", "choose_modell is no flag of the house; did you mean choose_model?"),
        ("features: {beta: 120%}", "features.beta (antiphon.yaml:1) must be true or false or text"),
        ("features: {beta: sometimes}", "features.beta (antiphon.yaml:1) must be true or false"),
        ("features: {beta: {a: b}}", "features.beta"),
        ("features: true", "features (antiphon.yaml:1) must be a section"),
    ],
)
def test_a_wrong_flag_is_one_sentence(folder: Path, yaml: str, sentence: str) -> None:
    (folder / "antiphon.yaml").write_text(yaml)
    with pytest.raises(ConfigError) as caught:
        Config.load(environ={})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("value", "flag"), [("false", False), ("25%", "25%"), ('["ada", "bob"]', ("ada", "bob")), ("true", True)]
)
def test_a_variable_sets_any_form(folder: Path, value: str, flag: object) -> None:
    config = Config.load(environ={"ANTIPHON_FEATURES__CHOOSE_MODEL": value})
    assert config.features.choose_model == flag

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import ConfigError, Resources
from antiphon.security.resources import quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"), ("0.5", "0.5"), (".5", "0.5"), ("1.", "1"), ("500m", "0.5"), ("250u", "0.00025"), ("1k", "1000"),
        ("2M", "2000000"), ("1Ki", "1024"), ("2Gi", str(2 * 2**30)), ("1.5Gi", str(3 * 2**29)), ("1Ei", str(2**60)),
        ("1e3", "1000"), ("12E2", "1200"), ("1E", str(10**18)), ("5e-1", "0.5"), (" 2Gi ", str(2 * 2**30)),
    ],
)  # fmt: skip
def test_quantities_are_those_of_kubernetes(text: str, number: str) -> None:
    assert quantity(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "Gi", "-1", "1 Gi", "1ki", "1gi", "1GB", "1KI", "0x10", "1e", "1e999", "½", "nan"]
)
def test_what_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="is no quantity; write a number with a unit such as 500m"):
        quantity(text)


@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    with suppress(ConfigError):
        assert quantity(text) >= 0


def test_limits_are_said_and_counted() -> None:
    resources = Resources(cpu_limit="1500m", memory_limit="2Gi", storage_size="10Gi")
    assert (resources.cpus, resources.memory_bytes, resources.storage_bytes) == (1.5, 2 << 30, 10 << 30)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"cpu_limit": "1m"}, "cpu_limit='1m' is too little to run anything; it is at least 0.01"),
        ({"memory_limit": "lots"}, "memory_limit: 'lots' is no quantity"),
        ({"storage_size": "0"}, "storage_size='0' is too little"),
        ({"processes": 0}, "processes=0 is too little"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_named(limits: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^Resources: {sentence}"):
        Resources(**limits)  # type: ignore[arg-type]

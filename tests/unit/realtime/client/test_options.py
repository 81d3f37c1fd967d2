"""Pauses, and values that are asked for anew."""

from typing import Any

import pytest

from antiphon.errors import ServiceError, ValidationError
from antiphon.realtime.client.options import ClientOptions, Pauses, fresh
from tests.rules import rule


@rule("JS-1", "JS-2")
@pytest.mark.parametrize("field", ["reconnect_seconds", "rejoin_seconds"])
def test_pauses_grow_as_those_of_phoenix_js_and_are_never_the_same(field: str) -> None:
    seconds = getattr(ClientOptions(), field)
    assert field != "reconnect_seconds" or seconds == (0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1, 2, 5)
    assert field != "rejoin_seconds" or seconds == (1, 2, 5, 10)
    pauses = Pauses(seconds)
    for _ in range(2):
        taken = [pauses.next() for _ in range(len(seconds) + 3)]
        for pause, middle in zip(taken, (*seconds, *[seconds[-1]] * 3), strict=True):
            assert 0.5 * middle <= pause <= 1.5 * middle
        assert len(set(taken[-4:])) == 4
        pauses.reset()


async def test_a_value_may_be_given_or_made_at_once_or_in_time() -> None:
    async def later() -> int:
        return 3

    assert [await fresh(source, "number") for source in (1, lambda: 2, later)] == [1, 2, 3]


async def test_code_that_fails_to_give_a_value_is_named_without_what_it_said() -> None:
    def fails() -> Any:
        raise LookupError("the secret")

    with pytest.raises(ServiceError, match=r"the token could not be had: LookupError$") as caught:
        await fresh(fails, "token")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("nothing", [{"reconnect_seconds": ()}, {"rejoin_seconds": ()}])
def test_there_is_a_pause_to_take(nothing: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="one pause at least"):
        ClientOptions(**nothing)

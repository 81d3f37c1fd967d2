import inspect
import re

import pytest

from antiphon import errors
from antiphon.errors import AdapterError, AntiphonError, ProviderError, ServiceError, ToolError, ValidationError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, AntiphonError)]


def test_each_class_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in CLASSES]
    assert len(set(codes)) == len(codes)


def test_the_drawing_shows_every_class_below_its_parent() -> None:
    drawn = re.findall(r"^    ([│ ]*)[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)
    below: dict[int, str] = {-1: "AntiphonError"}
    pairs = set()
    for indent, name in drawn:
        depth = len(indent) // 4
        below[depth] = name
        pairs.add((name, below[depth - 1]))
    assert pairs == {(kind.__name__, kind.__mro__[1].__name__) for kind in CLASSES if kind is not AntiphonError}


def test_the_public_sentence_is_the_message_unless_given() -> None:
    assert ValidationError("Choose a name.").public == "Choose a name."
    error = ServiceError("database at /var/x is locked", public="Try again in a moment.")
    assert (str(error), error.public) == ("database at /var/x is locked", "Try again in a moment.")


def test_what_may_be_tried_again_says_so() -> None:
    assert ServiceError("Busy.").retryable
    assert not ToolError("No such city.").retryable
    assert not AdapterError("Refused.").retryable
    assert AdapterError("Busy.", retryable=True).retryable


def test_a_provider_error_tells_kind_and_time() -> None:
    error = ProviderError("429", kind="rate", public="Busy.", retryable=True, retry_after=2.5)
    assert (error.kind, error.retryable, error.retry_after, error.public) == ("rate", True, 2.5, "Busy.")
    assert not ProviderError("401", kind="auth").retryable


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not ProviderError])
def test_each_is_caught_as_one_of_ours(kind: type[AntiphonError]) -> None:
    with pytest.raises(AntiphonError, match="sentence"):
        raise kind("sentence")

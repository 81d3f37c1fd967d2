import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.providers.protocols.mending import Mender, loads_broken


def mended(*pieces: str) -> str:
    mender = Mender()
    return "".join([mender.join(piece) for piece in pieces]) + mender.end()


def test_halves_of_a_surrogate_pair_become_one_character() -> None:
    first, second = loads_broken(b'"a\\ud83d"'), loads_broken(b'"\\ude00b"')
    assert mended(first, second) == "a\U0001f600b"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 200)))
def test_bytes_cut_anywhere_become_the_same_text(text: str, cuts: list[int]) -> None:
    data = text.encode()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b].decode("utf-8", "surrogateescape") for a, b in itertools.pairwise(edges)]
    assert mended(*pieces) == text


@given(st.lists(st.text()))
def test_whatever_comes_can_be_encoded(pieces: list[str]) -> None:
    mended(*pieces).encode()


def test_what_never_becomes_whole_is_replaced() -> None:
    assert mended("a\udcf0\udc9f") == "a\ufffd"
    assert mended("a\ud83d", "b") == "a\ufffdb"
    assert mended("\udcff", "ä") == "\ufffdä"


def test_other_faults_stay_faults() -> None:
    with pytest.raises(ValueError):
        loads_broken(b'{"a": "\xff"')

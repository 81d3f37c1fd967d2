"""How large a picture is, by its first bytes."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.files.pictures import dimensions
from tests.attached import GIF, JPEG, PDF, png


@pytest.mark.parametrize(
    ("data", "size"), [(png(640, 2), (640, 2)), (GIF, (7, 5)), (JPEG, (11, 9)), (PDF, None), (b"", None)]
)
def test_its_width_and_height(data: bytes, size: tuple[int, int] | None) -> None:
    assert dimensions(data) == size


def test_fill_bytes_before_the_frame_of_a_jpeg() -> None:
    assert dimensions(JPEG.replace(b"\xff\xc0", b"\xff\xff\xff\xc0")) == (11, 9)


@given(st.sampled_from([png(), GIF, JPEG]), st.integers(0, 40), st.binary(max_size=60))
def test_no_damage_is_too_odd(data: bytes, at: int, noise: bytes) -> None:
    for broken in (data[:at], data[:at] + noise, data[:at] + noise + data[at:]):
        found = dimensions(broken)
        assert found is None or min(found) >= 0


def test_a_picture_of_nothing_but_fill_bytes_is_given_up() -> None:
    began = perf_counter()
    assert dimensions(b"\xff\xd8" + b"\xff" * 10_000_000) is None
    assert dimensions(b"\xff\xd8" + b"\xff\xe1\0\2" * 2_500_000) is None
    assert perf_counter() - began < 0.2  # about a thousandth; it was seconds

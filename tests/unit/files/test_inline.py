"""Base64 is what Python makes of it, and what is large leaves the event loop room."""

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.files.inline import LARGE, from_base64, to_base64
from antiphon.runtime.threads import run_async

PIECE = 3 << 16


@given(st.integers(0, 3), st.integers(-4, 4), st.binary(min_size=1, max_size=8))
def test_it_is_what_python_makes_of_the_whole(pieces: int, more: int, pattern: bytes) -> None:
    length = max(0, pieces * PIECE + more)
    data = (pattern * length)[:length]
    text = to_base64(data)
    assert text == b64encode(data).decode()
    assert from_base64(text) == data


@pytest.mark.parametrize(
    "text",
    ["A", "AB", "AB=", "A===", "AA==AAAA", "AAA\n", "ÄÄÄÄ", "A" * (4 << 16) + "A",
     "A" * ((4 << 16) - 2) + "==" + "AAAA", "A" * (4 << 16) + "===="],
)  # fmt: skip
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_base64(text)


async def longest_pause(work: Callable[[Any], Any], given: Any) -> float:
    """Of the event loop while `work` is done in a thread, as a part of the time that it takes."""
    working, longest = asyncio.create_task(run_async(work, given)), 0.0
    began = before = perf_counter()
    while not working.done():
        await asyncio.sleep(0)
        longest, before = max(longest, perf_counter() - before), perf_counter()
    return longest / (perf_counter() - began)


async def test_others_run_while_a_large_file_is_read() -> None:
    text = to_base64(os.urandom(32 * LARGE))
    assert min([await longest_pause(from_base64, text) for _ in range(5)]) < 0.5

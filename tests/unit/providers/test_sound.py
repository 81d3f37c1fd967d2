"""The length of a sound, and what was written into it; of hostile bytes nothing is believed that is not there."""

from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from antiphon.providers.sound import comment_of, length_of
from tests.sounds import ogg, wav


def test_of_whole_files() -> None:
    assert length_of(wav(1.5)) == 1.5
    assert length_of(wav(0.0)) == 0.0
    assert length_of(ogg(2.5)) == 2.5
    assert length_of(ogg(3.0, opus=False)) == 3.0
    assert comment_of(wav(comment="Grüße")) == "Grüße"
    assert comment_of(wav()) is None
    assert comment_of(ogg(1.0)) is None


def test_a_recorder_that_did_not_know_the_length_yet() -> None:
    endless = wav(2.0)
    at = endless.index(b"data") + 4
    assert length_of(endless[:at] + b"\xff\xff\xff\xff" + endless[at + 4 :]) == 2.0


def test_of_what_is_no_such_file() -> None:
    no_rate = wav(1.0)
    at = no_rate.index(b"fmt ") + 8 + 8
    unfinished = bytearray(ogg(1.0))
    unfinished[unfinished.rindex(b"OggS") + 6 :][:8] = b"\xff" * 8
    for data in (b"", b"RIFF", b"ID3\x04", no_rate[:at] + b"\0\0\0\0" + no_rate[at + 4 :], b"OggS" + b"\0" * 60):
        assert length_of(data) is None
        assert comment_of(data) is None


@given(st.binary(max_size=300), st.integers(0, 300), st.sampled_from([wav(0.01, "hello"), ogg(1.0)]))
def test_whatever_is_in_it_nothing_breaks(noise: bytes, at: int, sound: bytes) -> None:
    data = sound[:at] + noise + sound[at:]
    found = length_of(data)
    assert found is None or found >= 0
    comment_of(data)


def test_a_sound_of_nothing_but_empty_chunks_is_given_up() -> None:
    began = perf_counter()
    assert length_of(b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 1_000_000) is None
    assert perf_counter() - began < 0.2  # about a hundredth; it was more than a second

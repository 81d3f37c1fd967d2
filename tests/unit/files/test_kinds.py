"""What a file is: its bytes decide, its name and its sender only where those say nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ValidationError
from antiphon.files.kinds import SHOWN, is_text, media_type_of, text_of
from tests.attached import GIF, JPEG, PDF, WAV, png

ZIP = b"PK\x03\x04" + bytes(30)


@pytest.mark.parametrize(
    ("name", "claimed", "data", "kind"),
    [
        ("a.png", "image/png", png(), "image/png"),
        ("a", "", png(), "image/png"),
        ("a.png", "image/png", JPEG, "image/jpeg"),  # one picture is called another often enough
        ("a.gif", "application/octet-stream", GIF, "image/gif"),
        ("a.webp", "", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("a.wav", "", WAV, "audio/wav"),
        ("voice.ogg", "audio/ogg; codecs=opus", b"OggS" + bytes(20), "audio/ogg"),
        ("voice.webm", "audio/webm", b"\x1aE\xdf\xa3" + bytes(20), "audio/webm"),
        ("a.pdf", "", PDF, "application/pdf"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ZIP, None),
        ("a.zip", "", ZIP, "application/zip"),
        ("notes.md", "", b"# Title", "text/markdown"),
        ("table.csv", "text/csv; charset=utf-8", b"a,b\n1,2", "text/csv"),
        ("data.json", "", b'{"a": 1}', "application/json"),
        ("main.py", "", b"print(1)", "text/x-python"),
        ("x", "application/x-www-form-urlencoded", b"plain words", "text/plain"),
        ("caf\xe9.txt", "text/plain", "Café".encode("latin-1"), "text/plain"),
        ("wide.txt", "", "Größe".encode("utf-16"), "text/plain"),
        ("a.svg", "image/svg+xml", b"<svg/>", "image/svg+xml"),
        ("a.html", "", b"<html>", "text/html"),
        ("blob", "", b"\0\1\2\3", "application/octet-stream"),
        ("blob", "not a type", b"\0\1\2\3", "application/octet-stream"),
        ("", "", b"words", "text/plain"),
    ],
)
def test_a_file_is_what_its_bytes_say(name: str, claimed: str, data: bytes, kind: str | None) -> None:
    assert media_type_of(name, claimed, data) == (kind or claimed)


@pytest.mark.parametrize(
    ("name", "claimed", "data"),
    [
        ("a.png", "image/png", b"<script>alert(1)</script>"),
        ("a.png", "image/png", bytes(64)),
        ("a.png", "", b"<svg onload=alert(1)>"),
        ("a.png", "image/png", PDF),
        ("a.pdf", "application/pdf", png()),
        ("a.pdf", "", b"no pdf"),
        ("a.txt", "text/plain", png()),
        ("a.txt", "text/plain", bytes(64)),
        ("a.txt", "", b"MZ\x90\0" + bytes(60)),
        ("a.wav", "audio/wav", png()),
    ],
)
def test_what_contradicts_itself_is_refused(name: str, claimed: str, data: bytes) -> None:
    with pytest.raises(ValidationError, match="its content is something else"):
        media_type_of(name, claimed, data)


@given(st.text(max_size=30), st.text(max_size=60) | st.sampled_from(sorted(SHOWN)), st.binary(max_size=80))
def test_nothing_that_a_browser_shows_is_anything_but_a_picture(name: str, claimed: str, data: bytes) -> None:
    try:
        kind = media_type_of(name, claimed, data)
    except ValidationError:
        return
    if kind in SHOWN:
        assert data[:1] in {b"\x89", b"\xff", b"G", b"R"}
    assert kind.isascii()
    assert "\n" not in kind


@given(st.text())
def test_text_is_read_as_it_was_written(text: str) -> None:
    clean = "".join(sign for sign in text if sign.isprintable())
    assert text_of(clean.encode()) == clean
    assert text_of(clean.encode("utf-8-sig")) == clean
    assert text_of(clean.encode("utf-16")) == clean


@given(st.binary())
def test_no_bytes_are_too_odd_to_be_looked_at(data: bytes) -> None:
    found = text_of(data)
    assert found is None or "\0" not in found


def test_what_is_read_as_text() -> None:
    assert all(map(is_text, ("text/csv", "application/json", "application/ld+json", "image/svg+xml")))
    assert not any(map(is_text, ("image/png", "application/pdf", "application/zip", "audio/ogg")))

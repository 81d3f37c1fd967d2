"""Names of files: the last piece of a path, without what deceives the eye."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.files.names import LONGEST, clean_name


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("plan.png", "plan.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a b.txt", "a b.txt"),
        ("/", "file"),
        ("", "file"),
        ("..", "file"),
        (".bashrc", "bashrc"),
        ("a\0b\r\nSet-Cookie: x.png", "abSet-Cookie: x.png"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("  a \t b.md ", "a b.md"),
        ("\ud800.txt", "txt"),
        ("x" * 300 + ".jpeg", "x" * (LONGEST - 5) + ".jpeg"),
    ],
)
def test_a_name_can_be_shown(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@given(st.text(st.characters()))
def test_any_name_is_short_and_of_one_line(name: str) -> None:
    clean = clean_name(name)
    assert 0 < len(clean) <= LONGEST
    assert clean == clean_name(clean)
    clean.encode()
    assert not set(clean) & set("/\\\0\r\n")

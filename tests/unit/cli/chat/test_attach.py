"""Files named at the terminal: which words are paths, and what becomes of those that cannot be sent."""

import os
from pathlib import Path

import pytest

from antiphon.cli.chat.attach import attached, upload
from antiphon.errors import ServiceError, ValidationError


@pytest.mark.parametrize(
    ("text", "rest", "files"),
    [
        ("/attach plan.png What is this?", "What is this?", ["plan.png"]),
        ("/attach a.png /attach 'b c.png'   It's what?", "It's what?", ["a.png", "b c.png"]),
        ("/attach my\\ plan.png", "", ["my plan.png"]),
        ("/attach '", "", ["'"]),
        ("/attach #1.png go", "go", ["#1.png"]),
        ("/attachment is a word", "/attachment is a word", []),
        ("What is /attach?", "What is /attach?", []),
        ("/status", "/status", []),
        ("/nowhere/at/all.png", "/nowhere/at/all.png", []),
        (f"/{'x' * 5000}", f"/{'x' * 5000}", []),
        ("~nobody-of-this-name/x", "~nobody-of-this-name/x", []),
        ("  plain words ", "  plain words ", []),
    ],
)
def test_what_is_attached(text: str, rest: str, files: list[str]) -> None:
    assert attached(text) == (rest, [Path(file) for file in files])


def test_a_path_alone_is_a_file_and_a_path_in_a_sentence_is_not(tmp_path: Path) -> None:
    (tmp_path / "my plan.png").touch()
    quoted = f"'{tmp_path}/my plan.png'"
    assert attached(quoted) == ("", [tmp_path / "my plan.png"])
    assert attached(f"{tmp_path}/my\\ plan.png ") == ("", [tmp_path / "my plan.png"])
    for text in (f"{quoted} is odd", f"Read {quoted}", str(tmp_path), f"{quoted}\n{quoted}"):
        assert attached(text) == (text, [])


async def test_what_cannot_be_sent_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be read: No such file"):
        await upload("http://127.0.0.1:9", tmp_path / "gone.png")
    with pytest.raises(ValidationError, match="cannot be read: Is a directory"):
        await upload("http://127.0.0.1:9", tmp_path)
    (tmp_path / "a.png").write_bytes(os.urandom(10))
    with pytest.raises(ServiceError, match=r"a\.png did not reach the server"):
        await upload("http://127.0.0.1:9", tmp_path / "a.png")

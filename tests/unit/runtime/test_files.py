"""Files are whole or not there, and of two who want one at the same time one has it."""

from pathlib import Path

import pytest

from antiphon.runtime.files import lock_now, whole_file


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_bytes() == b"whole"
    with pytest.raises(FileExistsError), whole_file(path):
        pass
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "nowhere" / "a.txt"):
        pass


def test_who_comes_second_takes_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def write() -> None:
        with whole_file(path) as second:
            second.write(b"second")
            with whole_file(path) as first:
                first.write(b"first")

    with pytest.raises(FileExistsError):
        write()
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_bytes() == b"first"


def test_half_a_file_is_no_file(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "a.txt") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_one_openers_until_it_closes(tmp_path: Path) -> None:
    with (tmp_path / "a").open("ab") as first:
        assert lock_now(first)
        with (tmp_path / "a").open("ab") as second:
            assert not lock_now(second)
            first.close()
            assert lock_now(second)

"""The command line where nobody needs to be asked."""

import pytest

from antiphon.testing.conformance.__main__ import main


def test_the_list_needs_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "LV"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [f"LV-{n}" for n in range(1, 7)]


def test_slow_ones_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--list"])
    without = capsys.readouterr().out
    main(["--list", "--slow"])
    assert "HB-4 " in capsys.readouterr().out
    assert "HB-4 " not in without


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name a server: python -m antiphon.testing.conformance http://"),
        (["--only", "XY-1", "http://127.0.0.1:1"], "no check is called XY-1"),
        (["/socket"], "names no server"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert (told.out, sentence in told.err) == ("", True)

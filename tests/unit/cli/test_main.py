"""The command line itself: help, options, and how an error leaves the program."""

import re
import sys

import pytest
from typer.testing import CliRunner

from antiphon import __version__
from antiphon.cli import main
from antiphon.errors import AntiphonError, ServiceError


def test_help_names_every_command() -> None:
    done = CliRunner().invoke(main.app, ["--help"], env={"NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == 0
    for command in ("serve", "chat", "demo-server"):
        assert re.search(rf"\b{command}\b", done.output)


def test_it_says_its_version() -> None:
    done = CliRunner().invoke(main.app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"antiphon {__version__}\n")


@pytest.mark.parametrize("arguments", [["nothing"], ["serve", "--nothing"], ["serve", "--port", "99999"], []])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(main.app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ServiceError("disk /dev/sda1", public="The disk is full."), 1, "antiphon: The disk is full.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_of_the_house_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(main, "app", fails)
    monkeypatch.setattr(sys, "argv", ["antiphon", "serve"])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == code
    assert capsys.readouterr().err == said


def test_debug_adds_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise AntiphonError("No.")

    monkeypatch.setattr(main, "app", fails)
    monkeypatch.setattr(sys, "argv", ["antiphon", "serve", "--debug"])
    with pytest.raises(SystemExit):
        main.main()
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("antiphon: No.\n")

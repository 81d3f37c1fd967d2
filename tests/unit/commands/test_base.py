"""What is a command and what is a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.commands import help as helping
from antiphon.commands import model, reset, status, why
from antiphon.commands.base import Commands
from antiphon.runtime.container import ServiceContainer

COMMANDS = Commands([helping.command, model.command, reset.command, status.command, why.command], ServiceContainer())


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("/help", "help", ""),
        ("  /HELP  ", "help", ""),
        ("/model openai:gpt-5 always", "model", "openai:gpt-5 always"),
        ("/model   spaced  ", "model", "spaced"),
        ("/modle x", "modle", "x"),
    ],
)
def test_a_slash_and_a_word_is_a_command(text: str, name: str, argument: str) -> None:
    matched = COMMANDS.match(text)
    assert matched is not None
    assert (matched[0].name, matched[1]) == (name, argument)


@pytest.mark.parametrize(
    "text", ["hello", "", "/", "/ help", "/etc/hosts", "/2", "/a-b", "//help", "what is /help", "http://x"]
)
def test_everything_else_is_a_message(text: str) -> None:
    assert COMMANDS.match(text) is None


@given(text=st.text(max_size=40))
def test_any_text_is_one_or_the_other(text: str) -> None:
    matched = COMMANDS.match(text)
    assert matched is None or text.strip().startswith("/")


def test_every_command_says_how_and_what() -> None:
    assert [command.name for command in COMMANDS.all()] == ["help", "model", "reset", "status", "why"]
    for command in COMMANDS.all():
        assert command.usage.startswith(f"/{command.name}")
        assert command.summary.endswith(".")


@pytest.mark.parametrize("text", ["/help\nme", "/model\tdemo"])
def test_a_word_ends_at_any_space(text: str) -> None:
    matched = COMMANDS.match(text)
    assert matched is not None
    assert matched[0].name in {"help", "model"}
    assert matched[1] in {"me", "demo"}


def test_the_refusal_of_an_endless_name_is_short() -> None:
    matched = COMMANDS.match("/" + "a" * 90_000)
    assert matched is not None
    assert len(matched[0].name) < 100

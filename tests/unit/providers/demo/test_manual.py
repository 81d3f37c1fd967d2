"""The real manual, searched by the real tool: what people ask is answered by the section that says it."""

import ast
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import antiphon
from antiphon.search.manual import Manual

_MANUAL = Manual()


def _search(arguments: dict[str, str]) -> str:
    found = _MANUAL.search(arguments["query"], 4)
    return "\n\n".join(f"## {section.title}\n{section.text}" for section in found) or "Nothing found."


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("what is antiphon?", "Getting started › What is Antiphon?"),
        ("how do I connect ollama", "Models › How do I connect Ollama?"),
        ("How can I use OpenAI?", "Models › How do I connect OpenAI?"),
        ("how do I connect a real model?", "Getting started › How do I connect a real model?"),
        ("which model answers?", "Models › Which model answers?"),
        ("what are the commands?", "Chatting › Which commands are there?"),
        ("how do I stop an answer?", "Chatting › How do I stop an answer?"),
        ("how do I write a tool", "Tools › How do I write a tool?"),
        ("how do I change the port?", "Getting started › How do I change the port or the address?"),
        ("where is my data stored?", "Databases › Where is my data stored, and how do I back it up?"),
        ("what happens when it crashes?", "Operations › What happens when the server crashes?"),
        ("how do I connect a phoenix client", "Real time › How do I connect a Phoenix client?"),
        ("explain how real time works", "Real time › How does real time work?"),
        ("what is a channel?", "Real time › What is a channel?"),
        ("is this free?", "Getting started › Is it free?"),
        ("how do I get an API key?", "Models › How do I get an API key?"),
        ("can I use it from python?", "Python › How do I use it from Python, with my own assistant?"),
        ("which topics are there?", "Real time › Which topics are there?"),
        ("what is the workspace?", "Python › What is the Workspace?"),
        ("which directives are there?", "Models › Which directives does the demo model know?"),
        ("which metrics deserve an alert?", "Monitoring › Which metrics and values deserve an alert?"),
        ("does it work with github models?", "Models › Does it work with GitHub Models?"),
    ],
)
def test_people_find_the_section(talk: Callable[..., Any], question: str, heading: str) -> None:
    assert f"— manual, *{heading}*" in talk(search_manual=_search).ask(question)


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "Who is Einstein?", "why is the sky blue?", "meaning of life?"]
)
def test_what_the_manual_does_not_say_is_not_found(talk: Callable[..., Any], question: str) -> None:
    assert "I found nothing about" in talk(search_manual=_search).ask(question)


def test_every_section_answers_in_its_first_sentence() -> None:
    for section in _MANUAL.sections:
        assert section.text[0].isupper() or section.text[0] in "0123456789`", section.title
        assert len(section.text) < 2_000, section.title


def test_the_python_of_the_manual_is_python_and_imports_what_there_is() -> None:
    blocks = [
        block for section in _MANUAL.sections for block in re.findall(r"```python\n(.*?)```", section.text, re.DOTALL)
    ]
    assert len(blocks) > 5
    for block in blocks:
        imports = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
        for node in imports:
            if node.module == "antiphon":
                assert {name.name for name in node.names} <= set(antiphon.__all__)
            elif (node.module or "").startswith("antiphon."):
                module = import_module(str(node.module))
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []

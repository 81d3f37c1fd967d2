"""The page of hooks is the code."""

import inspect
from typing import Any, get_args

from antiphon.plugins.hooks import HOOKS, Hooks

HOOKS_PAGE = "docs/reference/hooks.md"


def gives(hook: str) -> str:
    kinds = [
        kind for kind in get_args(inspect.signature(getattr(Hooks, hook)).return_annotation) if kind is not type(None)
    ]
    if not kinds:
        return "nothing"
    return f"`{kinds[0].__name__ if isinstance(kinds[0], type) else kinds[0]}`".replace("antiphon.providers.base.", "")


def test_every_hook_with_its_arguments_and_its_sentence(page: Any) -> None:
    expected = []
    for hook in HOOKS:
        function = getattr(Hooks, hook)
        arguments = ", ".join(list(inspect.signature(function).parameters)[1:])
        said = " ".join((inspect.getdoc(function) or "").split())
        expected.append([f"`{hook}`", f"`{arguments}`", gives(hook), said])
    assert [list(row) for row in page(HOOKS_PAGE).table("All hooks")] == expected


def test_every_hook_is_in_the_life_of_a_message(page: Any) -> None:
    told = set(page("docs/life-of-a-message.md").spans)
    assert set(HOOKS) <= told

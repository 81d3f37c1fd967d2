import pytest

from antiphon import ConfigError
from antiphon.assistants.assistant import AnyTool
from antiphon.assistants.directory import chosen
from antiphon.tools.calculator import calculator
from antiphon.tools.clock import clock
from antiphon.tools.web_fetch import web_fetch

OFFERED: list[AnyTool] = [calculator, clock, web_fetch]


def test_without_names_it_is_all_that_need_not_be_asked_for() -> None:
    assert chosen(None, OFFERED, unasked=[web_fetch]) == [calculator, clock]


def test_who_is_named_is_asked_for() -> None:
    assert chosen(["web_fetch", "clock"], OFFERED, unasked=[web_fetch]) == [web_fetch, clock]
    assert chosen([], OFFERED) == []


def test_a_name_of_none_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"assistants\.tools names 'clok', which is no tool\. Did you mean clock"):
        chosen(["clok"], OFFERED)

"""pytest fixtures: `pytest_plugins = ["antiphon.testing.fixtures"]` in a `conftest.py`."""

from collections.abc import Callable

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import Dialogue
from antiphon.runtime.base import Services
from antiphon.testing.models import ScriptedModel


@pytest.fixture
def scripted_model() -> ScriptedModel:
    """A model that says what the test tells it to."""
    return ScriptedModel()


@pytest.fixture
def talk(scripted_model: ScriptedModel) -> Callable[..., Dialogue]:
    """A conversation with an assistant, whose model is `scripted_model`."""

    def begin(assistant: Assistant, services: Services | None = None) -> Dialogue:
        return Dialogue(assistant, scripted_model, "scripted", services=services)

    return begin

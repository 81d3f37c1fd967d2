"""Trials with a model that says what a test tells it to."""

import pytest

from antiphon.assistants.trial import Trials
from antiphon.providers.registry import ProviderRegistry
from antiphon.providers.reliability import Reliable
from antiphon.testing.models import ScriptedModel


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
def trials(model: ScriptedModel) -> Trials:
    """Of `demo`, and of `scripted:one`, which is `model`."""
    providers = ProviderRegistry(environ={}, plugged=())
    providers._made["scripted"] = Reliable(model)
    return Trials(providers)

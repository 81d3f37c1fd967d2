from collections.abc import Callable
from typing import Any

import pytest

from antiphon.runtime.container import ServiceContainer
from antiphon.tools.base import ToolContext


@pytest.fixture
def make_context() -> Callable[..., ToolContext]:
    """A context with ids of its own for turn `number`, offering `services`."""

    def make(number: int = 0, services: dict[type[Any], Any] | None = None) -> ToolContext:
        container = ServiceContainer()
        for kind, service in (services or {}).items():
            container.register_singleton(kind, service)
        return ToolContext(
            person_id=f"person-{number}",
            conversation_id=f"conversation-{number}",
            turn_id=f"turn-{number}",
            message_id=f"message-{number}",
            assistant="guide",
            services=container,
        )

    return make


@pytest.fixture
def context(make_context: Callable[..., ToolContext]) -> ToolContext:
    return make_context()

"""The house in this process, and a model behind real HTTP that fails as it is told."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from antiphon.providers.demo.server import DemoServer
from antiphon.workspace import Workspace
from tests.serving import serving

Serving = Callable[..., AbstractAsyncContextManager[Workspace]]

KEY = "sk-demo-0123456789abcdef"


@pytest.fixture
def house(tmp_path: Path) -> Serving:
    """Starts a workspace that serves; called again it finds the same data."""
    return partial(serving, tmp_path)


@pytest.fixture
async def here(house: Serving) -> AsyncIterator[Workspace]:
    """A workspace with nothing configured: the demo model answers."""
    async with house() as workspace:
        yield workspace


@pytest.fixture
async def vendor() -> AsyncIterator[DemoServer]:
    """The demo model as a vendor that wants a key."""
    server = DemoServer(api_key=KEY)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def openai(house: Serving, vendor: DemoServer) -> AsyncIterator[Workspace]:
    """A workspace for which that vendor is `openai`. It loses patience quickly."""
    async with house(**over_http(vendor.url)) as workspace:
        yield workspace


def over_http(url: str, key: str = KEY, **more: Any) -> dict[str, Any]:
    """The sections that make the server at `url` answer."""
    patience = {"connect": 2.0, "first_byte": 1.0, "between": 1.0}
    return {
        "default_model": "openai:demo",
        "providers": {"openai": {"base_url": url, "api_key": key, "timeouts": patience}},
        **more,
    }

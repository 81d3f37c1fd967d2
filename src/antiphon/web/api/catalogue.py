"""`/api/v1/assistants` and `/api/v1/models`: what there is to talk to."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter

from antiphon.assistants.assistant import Assistant


def catalogue_routes(
    assistants: Callable[[], Sequence[Assistant]],
    default_model: Callable[[], str],
    models: Callable[[], Awaitable[Sequence[str]]],
) -> APIRouter:
    router = APIRouter(tags=["catalogue"])

    @router.get("/assistants")
    async def list_assistants() -> dict[str, Any]:
        """The assistants of this workspace, the default one first."""
        items = [
            {
                "name": assistant.name,
                "description": assistant.description,
                "model": assistant.model,
                "tools": [tool.name for tool in assistant.tools],
            }
            for assistant in assistants()
        ]
        return {"items": items}

    @router.get("/models")
    async def list_models() -> dict[str, Any]:
        """The models on offer, as `provider:model`, and the one that answers unless another is chosen."""
        names = sorted({default_model(), *await models()})
        return {"default": default_model(), "items": [_shown(name) for name in names]}

    return router


def _shown(name: str) -> dict[str, str]:
    provider, _, model = name.partition(":")
    # A provider with one model goes by its own name.
    return {"id": name, "provider": provider, "model": model or provider}

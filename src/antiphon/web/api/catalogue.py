"""`/api/v1/assistants` and `/api/v1/models`: what there is to talk to."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter

from antiphon.assistants.base import Agent
from antiphon.providers.catalogue import Catalogue
from antiphon.web.api.shapes import AssistantList, AssistantShape, ModelList, ModelShape
from antiphon.web.openapi import failures


def catalogue_routes(
    assistants: Callable[[], Sequence[Agent]],
    default_model: Callable[[], str],
    models: Catalogue,
) -> APIRouter:
    router = APIRouter(tags=["catalogue"], responses=failures(403))

    @router.get("/assistants")
    async def list_assistants() -> AssistantList:
        """The assistants of this workspace, the default one first."""
        items = [
            AssistantShape(
                name=assistant.name,
                description=assistant.description,
                model=assistant.model,
                tools=[tool.name for tool in assistant.tools],
                capabilities=list(assistant.capabilities),
            )
            for assistant in assistants()
        ]
        return AssistantList(items=items)

    @router.get("/models")
    async def list_models() -> ModelList:
        """The models on offer, as `provider:model`, and the one that answers unless another is chosen."""
        names = sorted({default_model(), *await models.names()})
        return ModelList(default=default_model(), items=[_shown(name, models) for name in names])

    return router


def _shown(name: str, models: Catalogue) -> ModelShape:
    provider, _, model = name.partition(":")
    # A provider with one model goes by its own name.
    return ModelShape(
        id=name,
        provider=provider,
        model=model or provider,
        resting=models.resting(provider),
        exhausted=models.exhausted(name),
    )

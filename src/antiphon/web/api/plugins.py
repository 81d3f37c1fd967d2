"""`/api/v1/plugins`: what the house is made of besides itself, and how it is."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Depends
from pydantic import Field

from antiphon.plugins.house import PluginState
from antiphon.plugins.registry import PluginStatus
from antiphon.web.api.shapes import Shape
from antiphon.web.auth import CurrentPerson, operators_only
from antiphon.web.openapi import failures


class PluginShape(Shape):
    """A plugin."""

    name: str = Field(examples=["voice"])
    version: str = Field(examples=["1.0.0"])
    author: str
    description: str
    capabilities: list[str] = Field(description="What it can do, in its own words.", examples=[["transcription"]])
    hooks: list[str] = Field(
        description="What it listens to, in the order of the flow.", examples=[["message_arrived", "answer_ready"]]
    )
    required: list[str] = Field(description="Hooks without which a turn is refused.")
    priority: int = Field(description="Those with the greatest are asked first.")
    status: PluginStatus
    detail: str = Field(description="Why it failed, else empty.")


class PluginList(Shape):
    items: list[PluginShape]


def plugin_routes(states: Callable[[], Sequence[PluginState]], current: CurrentPerson) -> APIRouter:
    """The route over `states`, for operators."""
    only = [Depends(operators_only(current))]
    routes = APIRouter(tags=["plugins"], responses=failures(403, 503), dependencies=only)

    @routes.get("/plugins")
    async def list_plugins() -> PluginList:
        """The plugins of this house, in the order in which they are asked."""
        return PluginList(items=[PluginShape.model_validate(state, from_attributes=True) for state in states()])

    return routes

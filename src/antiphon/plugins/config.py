"""The configuration section `plugins`: which are switched on, where they are found, and a section for each."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class PluginsSettings(BaseModel):
    """`plugins.<name>` is the section of the plugin of that name, in the form that it wants."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, dict[str, Any]] = Field(init=False)

    enabled: tuple[str, ...] = Field((), description="The plugins of this house, by name.")
    folders: tuple[str, ...] = Field((), description="Folders in which every file, or package, is a plugin.")
    hook_seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        5.0, description="For one call of a hook that has no time of its own."
    )

    def of(self, name: str) -> dict[str, Any]:
        """The section of one plugin."""
        return (self.__pydantic_extra__ or {}).get(name, {})

    def sections(self) -> tuple[str, ...]:
        """The names under which there is a section."""
        return tuple(self.__pydantic_extra__ or {})

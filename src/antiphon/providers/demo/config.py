"""The settings of the demo model."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class DemoSettings(BaseModel):
    """Section `providers.demo`. `rate` is in words a second; 0 streams as fast as the reader reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: Annotated[float, Field(ge=0, le=1_000_000)] = 60.0

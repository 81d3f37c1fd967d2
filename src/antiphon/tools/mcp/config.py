"""The section `mcp` of the settings."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,30}$")]


def _http(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must be an address such as https://tools.example/mcp")
    return text


class McpServerSettings(BaseModel):
    """One server: a program that is started (`command`), or one that is reached (`url`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = {}
    url: Annotated[str, AfterValidator(_http)] | None = None
    headers: dict[str, SecretStr] = {}
    assistants: tuple[str, ...] = ()
    timeout: float = Field(60.0, gt=0, le=3_600)
    start_seconds: float = Field(30.0, gt=0, le=600)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("must have either command or url")
        if (self.url is not None and (self.args or self.env)) or (self.command is not None and self.headers):
            raise ValueError("args and env belong to command, headers to url")
        return self


class McpSettings(BaseModel):
    """The servers whose tools assistants may use, and what is served to others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    servers: dict[_Name, McpServerSettings] = Field({}, description="Servers by name, whose tools assistants may use.")
    serve: bool = Field(False, description="Serve the assistants at `/mcp`, each as a tool that is asked.")
    serve_tools: tuple[str, ...] = Field((), description="Tools that are served there too, by name.")

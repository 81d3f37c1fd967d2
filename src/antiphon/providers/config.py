"""The configuration section `providers`: a name, and how its vendor is reached.

`providers: {openai: {api_key: …}, mygateway: {base_url: …}}`: a name that is not built in is any server that speaks
the OpenAI protocol at `base_url`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from antiphon.providers.demo.config import DemoSettings

_Seconds = Annotated[float, Field(gt=0, le=86_400)]


def _http_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError("must be an address such as https://models.example/v1")
    if "@" in url.netloc or url.query or url.fragment:
        raise ValueError("must hold no user, password, query or fragment; the key belongs into api_key")
    return text.rstrip("/")


def _header_value(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value().strip()  # files of secrets end with a line feed
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be printable ASCII on one line")
    return SecretStr(value)


_Secret = Annotated[SecretStr, AfterValidator(_header_value)]


class Timeouts(BaseModel):
    """Seconds. `first_byte` runs from the request to the first byte of the answer, `between` from byte to byte."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connect: _Seconds = 10.0
    first_byte: _Seconds = 120.0
    between: _Seconds = 60.0
    total: _Seconds = 1800.0


class ProviderSettings(BaseModel):
    """One vendor. What is None is the vendor's own default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: Annotated[str, AfterValidator(_http_url)] | None = None
    api_key: _Secret | None = None
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], _Secret] = {}
    api: Literal["chat", "responses"] | None = None
    api_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")] | None = None
    body: dict[str, Any] = Field(default={}, description="further fields of every request, in the vendor's words")
    timeouts: Timeouts = Timeouts()
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000, description="of this process")
    tokens_per_minute: int | None = Field(default=None, ge=1, description="of this process, prompts and answers")
    concurrency: int | None = Field(default=None, ge=1, description="answers under way at once")
    longest_wait: float = Field(default=10.0, ge=0, le=600, description="seconds for which a limit is waited for")
    connections: int = Field(default=256, ge=1, le=10_000, description="at once, to one host")


class ProvidersSettings(BaseModel):
    """Every configured vendor by name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, ProviderSettings] = Field(init=False)

    demo: DemoSettings = DemoSettings()

    def named(self, name: str) -> ProviderSettings | None:
        """The section of one vendor, None when there is none."""
        return self.__pydantic_extra__.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self.__pydantic_extra__)


class _Variables(Struct, frozen=True):
    """The environment variables a vendor's own tools read; the first `key` that is set counts."""

    keys: tuple[str, ...]
    base_url: str | None = None
    only_configured: bool = False


# A GITHUB_TOKEN lies in many environments for other reasons, so it is sent nowhere unless providers.github exists.
_VENDOR_VARIABLES = {
    "openai": _Variables(("OPENAI_API_KEY",), "OPENAI_BASE_URL"),
    "anthropic": _Variables(("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL"),
    "google": _Variables(("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "openrouter": _Variables(("OPENROUTER_API_KEY",)),
    "azure": _Variables(("AZURE_OPENAI_API_KEY",), "AZURE_OPENAI_ENDPOINT"),
    "groq": _Variables(("GROQ_API_KEY",)),
    "mistral": _Variables(("MISTRAL_API_KEY",)),
    "deepseek": _Variables(("DEEPSEEK_API_KEY",)),
    "xai": _Variables(("XAI_API_KEY",)),
    "together": _Variables(("TOGETHER_API_KEY",)),
    "fireworks": _Variables(("FIREWORKS_API_KEY",)),
    "github": _Variables(("GITHUB_TOKEN",), only_configured=True),
}


def key_variables(name: str) -> tuple[str, ...]:
    """The environment variables in which this vendor's users keep their key, the usual one first."""
    return _VENDOR_VARIABLES[name].keys if name in _VENDOR_VARIABLES else ()


def with_environment(name: str, section: ProviderSettings | None, environ: Mapping[str, str]) -> ProviderSettings:
    """The section, completed by the vendor's usual variables where it says nothing itself."""
    settings = section or ProviderSettings()
    variables = _VENDOR_VARIABLES.get(name)
    if variables is None or (variables.only_configured and section is None):
        return settings
    found: dict[str, object] = {}
    keys = (environ.get(variable, "").strip() for variable in variables.keys)
    if settings.api_key is None and (key := next(filter(None, keys), None)):
        found["api_key"] = SecretStr(key)
    if settings.base_url is None and variables.base_url and (url := environ.get(variables.base_url, "").strip()):
        found["base_url"] = url
    return ProviderSettings.model_validate({**dict(settings), **found})

"""The configuration of a workspace: one tree, composed of the sections that packages declare.

Sources, weakest first: defaults, a YAML file, `.env`, the environment (`ANTIPHON_<SECTION>__<FIELD>`), arguments.
A key that does not exist is refused by name, with the nearest one that does.
"""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, Field, PrivateAttr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from antiphon.assistants.config import AssistantSettings
from antiphon.errors import ConfigError
from antiphon.providers.config import ProvidersSettings
from antiphon.realtime.config import PhoenixConfig
from antiphon.storage.config import DatabaseSettings
from antiphon.web.config import ServerSettings

PREFIX = "ANTIPHON_"
CONFIG_FILE = "antiphon.yaml"

ELSEWHERE = ("ANTIPHON_TEST_", "ANTIPHON_SKIP_UI", "ANTIPHON_CONFIG")
"""Variables with our prefix that are not settings: of the test suite, of the build, and the path of the file."""


class Config(BaseSettings):
    """Everything that can be set. `Config(...)` is defaults and arguments; `Config.load()` asks all sources."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__")

    environment: Literal["development", "staging", "production", "testing"] = "development"
    debug: bool = Field(False, description="Tracebacks for people at the terminal, and debug lines in the log.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: str = Field("auto", description="auto, console, json, or a template in the manner of logging.")
    default_model: str | None = Field(
        None, description="Which model answers, as provider:model; detected when not set."
    )
    detect_local_models: bool = Field(True, description="Look for model servers on loopback at the start (200 ms).")
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    realtime: PhoenixConfig = PhoenixConfig()
    providers: ProvidersSettings = ProvidersSettings()
    assistants: AssistantSettings = AssistantSettings()

    _environ: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def logs_as(self) -> str:
        """The format of the log: in production one JSON object a line, unless another was chosen."""
        return "json" if self.log_format == "auto" and self.environment == "production" else self.log_format

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables this configuration was loaded with (`.env` below the environment), for the vendors' keys."""
        return self._environ

    @classmethod
    def load(
        cls, path: str | Path | None = None, *, environ: Mapping[str, str] | None = None, **arguments: Any
    ) -> "Config":
        """Reads all sources. `path` must exist when given; `arguments` are sections as nested mappings.

        Raises `ConfigError` with one sentence for each thing that is wrong.
        """
        variables = dict(os.environ if environ is None else environ)
        folder = Path.cwd()
        found = _read_variables(folder / ".env")
        variables = found | variables
        file = Path(path or variables.get("ANTIPHON_CONFIG") or folder / CONFIG_FILE)
        if not file.is_file() and (path or "ANTIPHON_CONFIG" in variables):
            raise ConfigError(f"The configuration file {file} does not exist.")
        _refuse_unknown_variables(variables)
        try:
            config = cls(**_merge(_read(file), _Variables(cls, variables)(), arguments))
        except SettingsError as error:
            raise ConfigError(f"A section or list in one variable must be JSON: {error}.") from None
        except ValidationError as error:
            raise ConfigError(" ".join(_explain(error))) from None
        config._environ = variables
        return config

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: `load` has merged the others, and code that says `Config(…)` means what it says."""
        return (init_settings,)


class _Variables(EnvSettingsSource):
    """Reads the given variables instead of the process's."""

    def __init__(self, settings: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items() if name.upper().startswith(PREFIX)}


def _read_variables(file: Path) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(file).items() if value is not None}
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text.") from error


def _read(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigError(f"{file}{line} is not valid YAML.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{file} must hold settings as `name: value`.")
    return values


def _merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers win, section by section."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            known = merged.get(key)
            merged[key] = _merge(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged


def _refuse_unknown_variables(variables: Mapping[str, str]) -> None:
    names = {name.upper() for name in Config.model_fields}
    for variable in variables:
        first = variable.upper().removeprefix(PREFIX).partition("__")[0]
        if not variable.upper().startswith(PREFIX) or variable.upper().startswith(ELSEWHERE) or first in names:
            continue
        raise ConfigError(f"{variable} is no setting.{_nearest(first, names, PREFIX)}")


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        path = [str(step) for step in problem["loc"]]
        name = ".".join(path)
        if problem["type"] == "extra_forbidden":
            prefix = "".join(f"{step}." for step in path[:-1])
            yield f"{name} is no setting.{_nearest(path[-1], _fields(path[:-1]), prefix)}"
        else:
            yield f"{name}: {problem['msg'][:1].lower()}{problem['msg'][1:]}."


def _fields(path: list[str]) -> set[str]:
    model: type[BaseModel] | None = Config
    for step in path:
        field = model.model_fields.get(step) if model else None
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return set(model.model_fields) if model else set()


def _nearest(name: str, known: set[str], prefix: str) -> str:
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean {prefix}{near[0]}?" if near else ""

"""The configuration of a workspace: one tree, composed of the sections that packages declare.

Sources, weakest first: defaults and those of the environment, `antiphon.yaml` or the files of `config/`, the same
with the name of the environment, `.env`, secrets, the environment (`ANTIPHON_<SECTION>__<FIELD>`), arguments. A key
that does not exist is refused by name, with the nearest one that does.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, create_model, model_validator
from pydantic.config import JsonDict

from antiphon.assistants.config import AssistantSettings, BudgetSettings
from antiphon.assistants.memory.config import MemorySettings
from antiphon.cache.config import CacheSettings, RedisSettings
from antiphon.conversation.config import SessionSettings
from antiphon.errors import ConfigError
from antiphon.files.config import FileSettings
from antiphon.plugins.config import PluginsSettings
from antiphon.providers.config import ProvidersSettings
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.runtime.config import PerformanceSettings, ServiceSettings
from antiphon.runtime.installed import entry_points
from antiphon.runtime.spelling import did_you_mean
from antiphon.settings import schema
from antiphon.settings.explain import explain
from antiphon.settings.features import Features
from antiphon.settings.rules import Problem, check, loaded, sentence
from antiphon.settings.sources import Found, Sources
from antiphon.settings.vendors import set_by_variables
from antiphon.storage.config import DatabaseSettings
from antiphon.telemetry.config import LoggingSettings, MonitoringSettings
from antiphon.tools.config import ToolSettings
from antiphon.tools.mcp.config import McpSettings
from antiphon.web.config import LiveSettings, ServerSettings
from antiphon.web.openai.config import OpenAISettings

SECTIONS = "antiphon.sections"
"""Entry points of this group add sections: `name = "package.module:Model"`, a pydantic model with defaults. A model is
imported only when its name occurs in the configuration; `Config.section` gives it."""

ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "development": {},
        "testing": {"detect_local_models": False, "log_level": "WARNING", "database": {"url": "sqlite:///:memory:"}},
        "staging": {"detect_local_models": False},
        "production": {"detect_local_models": False},
    }
)
"""What is otherwise by default in each environment: nothing in production depends on what happens to listen there, and
a test leaves nothing behind."""

_LIVE: JsonDict = {"live": True}


class Config(BaseModel):
    """Everything that can be set. `Config(...)` is defaults and arguments; `Config.load()` asks all sources."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: Literal["development", "staging", "production", "testing"] = "development"
    debug: bool = Field(
        False, description="Tracebacks for people at the terminal, and debug lines in the log.", json_schema_extra=_LIVE
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field("INFO", json_schema_extra=_LIVE)
    log_format: str = Field(
        "auto",
        description="auto, console, json, or a template in the manner of logging.",
        json_schema_extra=_LIVE,
    )
    default_model: str | None = Field(
        None,
        description="Which model answers, as provider:model; detected when not set.",
        json_schema_extra=_LIVE,
    )
    detect_local_models: bool = Field(True, description="Look for model servers on loopback at the start (200 ms).")
    secrets_dir: str | None = Field(
        None, description="A folder with a file for each secret, named as its setting: providers__openai__api_key."
    )
    watch_seconds: float | None = Field(
        None, ge=0.1, description="How often to look whether the files of settings changed; only SIGHUP when not set."
    )
    rules: tuple[str, ...] = Field((), description="Further rules for the whole, as module:function.")
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    cluster: ClusterSettings = ClusterSettings()
    cache: CacheSettings = CacheSettings()
    sessions: SessionSettings = SessionSettings()
    realtime: LiveSettings = LiveSettings()
    openai: OpenAISettings = OpenAISettings()
    providers: ProvidersSettings = ProvidersSettings()
    assistants: AssistantSettings = AssistantSettings()
    budgets: BudgetSettings = BudgetSettings()
    memory: MemorySettings = MemorySettings()
    tools: ToolSettings = ToolSettings()
    files: FileSettings = FileSettings()
    mcp: McpSettings = McpSettings()
    plugins: PluginsSettings = PluginsSettings()
    features: Features = Field(Features(), json_schema_extra=_LIVE)
    logging: LoggingSettings = Field(LoggingSettings(), json_schema_extra=_LIVE)
    monitoring: MonitoringSettings = MonitoringSettings()
    performance: PerformanceSettings = PerformanceSettings()
    services: ServiceSettings = ServiceSettings()

    _sources: Sources | None = PrivateAttr(default=None)
    _found: Found | None = PrivateAttr(default=None)

    @property
    def logs_as(self) -> str:
        """The format of the log: where people do not look on, one JSON object a line unless another was chosen."""
        watched = self.environment in {"development", "testing"}
        return "json" if self.log_format == "auto" and not watched else self.log_format

    @property
    def broker(self) -> ClusterSettings | None:
        """What is between the processes of this house, None when it has only one: the broker that is named, or the
        Redis of all, where several workers are wanted."""
        url = self.cluster.url or (self.redis.url if self.server.workers > 1 else None)
        if url is None or url.get_secret_value().startswith("memory:"):
            return None
        return self.cluster.model_copy(update={"url": url})

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables this configuration was loaded with (`.env` below the environment), for the vendors' keys."""
        return self._found.variables if self._found else {}

    @property
    def read_from(self) -> tuple[Path, ...]:
        """What it was read from, and what would have been read had it been there: a change of these changes it."""
        return self._found.files if self._found else ()

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """The files that set something in the secrets directory that was named. How the default one is protected is a
        matter of whoever mounts it: many containers show all of it to everybody inside."""
        return self._found.secrets if self._found and self.secrets_dir else ()

    @property
    def exposing_files(self) -> tuple[Path, ...]:
        """The files of settings, and `.env`, in which a key stands or a URL with a password."""
        return self._found.exposing if self._found else ()

    @property
    def unused_files(self) -> tuple[Path, ...]:
        """Files beside them that look like settings and are not read."""
        return self._found.unused if self._found else ()

    def section(self, name: str) -> BaseModel | None:
        """The section of an installed package, None when the configuration does not name it."""
        found = getattr(self, name, None)
        return found if isinstance(found, BaseModel) else None

    def source(self, name: str) -> str:
        """Where the value of `server.port`, for example, was found: a file with its line, a variable, a secret file,
        an argument, or a default. Raises `ConfigError` when there is no such setting."""
        path = tuple(name.split("."))
        if schema.at(type(self), path) is None:
            raise ConfigError(f"{schema.shown(name)} is no setting.{self._nearest(path)}")
        places = self._found.places if self._found else {}
        for length in range(len(path), 0, -1):
            if path[:length] in places:
                return places[path[:length]]
        inside = dict.fromkeys(place for known, place in places.items() if known[: len(path)] == path)
        if inside:
            return ", ".join(inside)
        changed = path in {leaf for leaf, _ in schema.leaves(ENVIRONMENTS[self.environment])}
        return f"default in {self.environment}" if changed else "default"

    def values(self) -> Iterator[tuple[str, Any, str]]:
        """Every setting with its value and its source, in order, and then what the variables of the vendors set;
        secrets are masked."""
        left = {name: (value, variable) for name, value, variable in set_by_variables(self.providers, self.environ)}
        for path, value in schema.leaves(self.model_dump(mode="json")):
            name = ".".join(path)
            if name not in left:
                yield name, value, self.source(name)
        for name, (value, variable) in left.items():
            yield name, value, self._variable_source(variable)

    def problems(self) -> list[Problem]:
        """What the rules say about it as a whole, as `load` asks them."""
        return check(self)

    def reload(self) -> "Config":
        """The configuration as its sources have it now; this one stays as it is. Raises as `load` does."""
        if self._sources is None:
            raise ConfigError("This configuration was made in code; there is no source to read again.")
        return _loaded(type(self), self._sources)

    @classmethod
    def load(
        cls, path: str | Path | None = None, *, environ: Mapping[str, str] | None = None, **arguments: Any
    ) -> "Config":
        """Reads all sources. `path` is a file or a folder and must exist when given; `arguments` are sections as
        nested mappings. Raises `ConfigError` with a line for each thing that is wrong."""
        variables = dict(os.environ if environ is None else environ)
        return _loaded(cls, Sources(Path.cwd(), Path(path) if path else None, variables, arguments))

    def found_in(self, sources: Sources, found: Found) -> Self:
        """Notes where it came from."""
        self._sources, self._found = sources, found
        return self

    @model_validator(mode="before")
    @classmethod
    def _set_defaults_of_the_environment(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        below = ENVIRONMENTS.get(str(values.get("environment")), {})
        return _above(below, values)

    def _variable_source(self, variable: str) -> str:
        place = self._found.variable_places[variable] if self._found else ""
        return place if variable in place else f"{place} ({variable})"

    def _nearest(self, path: schema.Path) -> str:
        prefix = "".join(f"{schema.shown(step)}." for step in path[:-1])
        return did_you_mean(path[-1], schema.names(schema.at(type(self), path[:-1])), prefix=prefix)


def _loaded(kind: type[Config], sources: Sources) -> Config:
    kind, found = _read(kind, sources)
    try:
        config = kind.model_validate(dict(found.values)).found_in(sources, found)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, kind, found.places))) from None
    if wrong := [sentence(config, problem) for problem in config.problems() if problem.severity == "error"]:
        raise ConfigError("\n".join(wrong))
    return config


def _read(kind: type[Config], sources: Sources) -> tuple[type[Config], Found]:
    """What the sources say, and `kind` with the sections of installed packages that occur there."""
    points = {point.name: point for point in entry_points(group=SECTIONS) if point.name not in kind.model_fields}
    if not points:
        return kind, sources.read(kind)
    found = sources.read(_extended(kind, dict.fromkeys(points, _AnySection)))
    occurring = {name: loaded("section", points[name].value) for name in points if name in found.values}
    kind = _extended(kind, occurring)
    return kind, sources.read(kind)


class _AnySection(BaseModel):
    """Stands for a section whose model has not been imported."""


def _extended(kind: type[Config], sections: Mapping[str, Any]) -> type[Config]:
    fields: dict[str, Any] = {name: (model, model()) for name, model in sections.items()}
    return create_model("Config", __base__=kind, **fields) if fields else kind


def _above(below: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, completed by what is below them; a section that was given as an object is complete."""
    merged = dict(values)
    for key, value in below.items():
        known = merged.setdefault(key, value)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            merged[key] = _above(value, known)
    return merged

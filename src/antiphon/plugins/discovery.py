"""Where plugins are found: files of this folder, entry points of installed packages, and folders of the operator."""

from collections.abc import Iterable, Iterator
from inspect import isclass
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from antiphon.errors import AntiphonError, ConfigError, PluginError
from antiphon.plugins.base import BasePlugin, PluginMetadata, fields_of
from antiphon.plugins.config import PluginsSettings
from antiphon.runtime.registry import Registry, open_to_all
from antiphon.runtime.spelling import did_you_mean

_OTHERS = frozenset({"config", "discovery", "hooks", "house", "listeners", "registry", "running"})

Found = BasePlugin | type[BasePlugin]


def known_plugins(settings: PluginsSettings) -> Registry[Found]:
    """All that could be switched on; none is imported. Raises `ConfigError` for a folder that cannot be trusted."""
    return Registry(
        "plugin",
        _only_plugin,
        package="antiphon.plugins",
        without=_OTHERS,
        group="antiphon.plugins",
        folders=tuple(_folder(Path(name).expanduser()) for name in settings.folders),
    )


def load_plugins(settings: PluginsSettings) -> Iterator[tuple[BasePlugin, object]]:
    """Those that are switched on, each with its section. Raises `ConfigError` for a name that nobody knows and for a
    section that is wrong, `PluginError` for code that cannot be loaded."""
    known = known_plugins(settings)
    _check(settings, known)
    for name in dict.fromkeys(settings.enabled):
        plugin = _loaded(name, known)
        yield plugin, _section(name, plugin, settings)


class PluginAbout(PluginMetadata, frozen=True, kw_only=True):
    """A plugin that is found; `problem` is why it cannot be loaded."""

    enabled: bool
    hooks: tuple[str, ...] = ()
    problem: str = ""


def survey(settings: PluginsSettings) -> list[PluginAbout]:
    """All that could be switched on, by name. Raises `ConfigError` as `load_plugins` does."""
    known = known_plugins(settings)
    _check(settings, known)
    return [_about(name, known, enabled=name in settings.enabled) for name in known.names()]


def _about(name: str, known: Registry[Found], *, enabled: bool) -> PluginAbout:
    try:
        plugin = _loaded(name, known)
    except PluginError as error:
        return PluginAbout(name=name, version="", enabled=enabled, problem=str(error))
    return PluginAbout(**fields_of(plugin.metadata), enabled=enabled, hooks=plugin.listens)


def _check(settings: PluginsSettings, known: Registry[Found]) -> None:
    for name in settings.enabled:
        if name not in known:
            raise ConfigError(f"plugins.enabled names {name!r}, which is no plugin.{_nearest(name, known)}")
    for name in settings.sections():
        if name not in known:
            raise ConfigError(f"plugins.{name} is no setting, and no plugin.{_nearest(name, known)}")


def _nearest(name: str, known: Registry[Found]) -> str:
    fields: Iterable[str] = PluginsSettings.model_fields
    return did_you_mean(name, [*known.names(), *fields], f"There is: {', '.join(known.names())}.")


def _loaded(name: str, known: Registry[Found]) -> BasePlugin:
    try:
        found = known.get(name)
        plugin = found() if isclass(found) else found
    except AntiphonError as error:
        raise PluginError(str(error)) from error
    except Exception as error:
        raise PluginError(f"The plugin {name!r} cannot be loaded: {type(error).__name__}: {error}.") from error
    if plugin.name != name:
        raise PluginError(
            f"The plugin {name!r} calls itself {plugin.name!r}; its metadata must have the name of its file."
        )
    return plugin


def _section(name: str, plugin: BasePlugin, settings: PluginsSettings) -> object:
    try:
        return plugin.configured(settings.of(name))
    except ValidationError as error:
        lines = [
            f"plugins.{'.'.join([name, *map(str, each['loc'])])}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from None


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ConfigError(f"plugins.folders names {path}, which is no folder.")
    if open_to_all(path):
        raise ConfigError(f"plugins.folders names {path}, into which everybody may write; take that right away.")
    return path


def _only_plugin(module: ModuleType) -> Found:
    made = [value for value in vars(module).values() if isinstance(value, BasePlugin)]
    classes = [
        value
        for value in vars(module).values()
        if isclass(value) and issubclass(value, BasePlugin) and value.__module__ == module.__name__
    ]
    found: list[Found] = [*made] or [*classes]
    if len(found) != 1:
        raise AttributeError(f"it must hold one plugin and holds {len(found)}")
    return found[0]

"""Extensions by name: files of folders, entry points of installed packages, and what a program adds.

Nothing is imported before it is asked for: a folder is listed by its files, an entry point by its metadata.
"""

import logging
import os
import stat
import sys
from collections.abc import Callable, Collection
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Generic, TypeVar

from antiphon.errors import ModuleError
from antiphon.runtime.installed import entry_points
from antiphon.runtime.spelling import did_you_mean

log = logging.getLogger(__name__)

T = TypeVar("T")


def open_to_all(path: Path) -> bool:
    """Whether everybody may write there, where the system has such rights: whoever may runs code in this house."""
    return os.name == "posix" and bool(path.stat().st_mode & stat.S_IWOTH)


class Registry(Generic[T]):
    """The extensions of one kind ("provider", "command").

    `package` is the folder whose files are extensions, all but `base` and those in `without`; `group` the entry
    points of other packages; `folders` are those of the operator; `pick` finds the extension in a loaded module. What
    was added by hand comes first, then our own files, then those of the operator: an installed package cannot take the
    name of one of them.
    """

    def __init__(
        self,
        kind: str,
        pick: Callable[[ModuleType], T],
        *,
        package: str | None = None,
        without: Collection[str] = (),
        group: str | None = None,
        folders: Collection[Path] = (),
    ) -> None:
        self._kind = kind
        self._pick = pick
        self._package = package
        self._without = frozenset(without)
        self._group = group
        self._folders = folders
        self._loaders: dict[str, Callable[[], T]] | None = None
        self._added: dict[str, T] = {}

    def add(self, name: str, extension: T) -> None:
        """Registers an extension under a name that is not added yet; it may replace one of a folder or package."""
        if name in self._added:
            raise ModuleError(f"A {self._kind} named {name!r} is registered already; choose another name.")
        self._added[name] = extension

    def remove(self, name: str) -> None:
        """Takes an extension back that was added."""
        del self._added[name]

    def names(self) -> list[str]:
        """Every known name, sorted. Imports none of them."""
        return sorted({*self._added, *self._found()})

    def __contains__(self, name: object) -> bool:
        return name in self._added or name in self._found()

    def get(self, name: str) -> T:
        """The extension of that name, loaded now. Raises `ModuleError` when it is unknown, with the nearest name, or
        cannot be loaded, with what is missing."""
        if name in self._added:
            return self._added[name]
        loader = self._found().get(name)
        if loader is None:
            names = self.names()
            hint = did_you_mean(name, names, f"Known are: {', '.join(names) or 'none'}.")
            raise ModuleError(f"There is no {self._kind} named {name!r}.{hint}")
        try:
            return loader()
        except ModuleNotFoundError as error:
            raise ModuleError(
                f"The {self._kind} {name!r} needs the package {error.name!r}; install it and start again."
            ) from error
        except (ImportError, AttributeError) as error:
            raise ModuleError(f"The {self._kind} {name!r} cannot be loaded: {error}.") from error

    def _found(self) -> dict[str, Callable[[], T]]:
        if self._loaders is None:
            ours = {name: self._from_folder(name) for name in self._files()}
            own = {**{name: self._from_file(name, path) for name, path in self._paths().items()}, **ours}
            foreign = {point.name: self._from_package(point) for point in entry_points(group=self._group or "")}
            for name in own.keys() & foreign.keys():
                log.warning(
                    "registry.shadowed: the %s %r of an installed package has the name of ours", self._kind, name
                )
            self._loaders = {**foreign, **own}
        return self._loaders

    def _files(self) -> list[str]:
        spec = find_spec(self._package) if self._package else None
        if spec is None or spec.submodule_search_locations is None:
            return []
        names = [module.name for module in iter_modules(spec.submodule_search_locations)]
        return [name for name in names if name != "base" and not name.startswith("_") and name not in self._without]

    def _from_folder(self, name: str) -> Callable[[], T]:
        return lambda: self._pick(import_module(f"{self._package}.{name}"))

    def _paths(self) -> dict[str, Path]:
        """The modules and packages in the operator's folders; of two with one name that of the first folder."""
        found: dict[str, Path] = {}
        for path in (path for folder in self._folders for path in sorted(folder.iterdir())):
            file = path / "__init__.py" if path.is_dir() else path
            if file.suffix == ".py" and file.is_file() and path.stem.isidentifier() and not path.stem.startswith("_"):
                found.setdefault(path.stem, file)
        return found

    def _from_file(self, name: str, path: Path) -> Callable[[], T]:
        """Under a name of its own among the modules, so that it hides none that is installed."""

        def load() -> T:
            for part in filter(open_to_all, _parts(path)):
                raise ModuleError(f"The {self._kind} {name!r} is not loaded: everybody may write to {part}; end that.")
            own_name = f"antiphon_{self._kind}_{name}"
            spec = spec_from_file_location(own_name, path)
            assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - as for every file that ends in .py
            module = sys.modules[own_name] = module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[own_name]
                raise
            return self._pick(module)

        return load

    def _from_package(self, point: Any) -> Callable[[], T]:
        def load() -> T:
            loaded = point.load()
            return self._pick(loaded) if isinstance(loaded, ModuleType) else loaded

        return load


def _parts(path: Path) -> list[Path]:
    """What is run when a file is: itself, the folder of a package with all in it, and what Python has compiled."""
    parts = (
        [path.parent, *path.parent.rglob("*")] if path.name == "__init__.py" else [path, path.parent / "__pycache__"]
    )
    return [part for part in parts if part.exists()]

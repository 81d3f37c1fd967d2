"""Where settings come from, weakest first: files, those of the environment, `.env`, secrets, variables, arguments."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

from antiphon.errors import ConfigError
from antiphon.runtime.spelling import did_you_mean
from antiphon.settings import schema
from antiphon.settings.files import DEEPEST, Leaf, read_secrets, read_variables, read_yaml
from antiphon.settings.secret import hold_secrets
from antiphon.settings.vendors import KEYS

PREFIX = "ANTIPHON_"
CONFIG_FILE = "antiphon.yaml"
CONFIG_FOLDER = "config"
SECRETS = Path("/run/secrets")
"""Where containers find theirs. What others put there is left alone."""

ELSEWHERE = ("ANTIPHON_TEST_", "ANTIPHON_SKIP_UI", "ANTIPHON_CONFIG")
"""Variables with our prefix that are not settings: of the test suite, of the build, and the path of the file."""

_ALIASES = {"service": "services"}


class Found(Struct, frozen=True):
    """What all sources said together. `places` tells where each value was found; `variables` are those of the
    environment with `.env` below them, and `variable_places` where they stand; `files` and folders were read or would
    have been had they been there; `secrets` are files of the secrets directory that set something, `exposing` other
    files in which a secret stands; `unused` are files that look like settings and are not read."""

    values: Mapping[str, Any]
    places: Mapping[schema.Path, str]
    variables: Mapping[str, str]
    variable_places: Mapping[str, str]
    files: tuple[Path, ...]
    secrets: tuple[Path, ...]
    exposing: tuple[Path, ...]
    unused: tuple[Path, ...]


class Sources(Struct, frozen=True):
    """Where one configuration is read from, so that it can be read again. `folder` holds `.env` and the files that
    are found without being named."""

    folder: Path
    path: Path | None
    environ: Mapping[str, str]
    arguments: Mapping[str, Any]

    def read(self, kind: type[BaseModel]) -> Found:
        """Raises `ConfigError` with one sentence for what cannot be read."""
        dotenv_file = self.folder / ".env"
        dotenv = list(read_variables(dotenv_file))
        given = [(name, value, f"the variable {schema.shown(name)}") for name, value in self.environ.items()]
        variables = {name: value for name, value, _ in [*dotenv, *given]}
        variable_places = {name: place for name, _, place in [*dotenv, *given]}
        from_dotenv, from_environ = list(_set_by(kind, dotenv)), list(_set_by(kind, given))
        arguments = [(path, value, "an argument") for path, value in schema.leaves(self.arguments)]
        files, unused = self._files(kind, variables)
        read = self._read(files)
        from_files = [*chain.from_iterable(read.values())]
        secrets = self._secrets(_last("secrets_dir", [*from_files, *from_dotenv, *from_environ, *arguments]))
        from_secrets, used = _set_by_secrets(kind, secrets)
        named = _last("environment", [*from_files, *from_dotenv, *from_secrets, *from_environ, *arguments])
        environment = str(named or "development")
        overlay = _for_environment(files, environment)
        read_overlay = self._read(overlay)
        from_overlay = [*chain.from_iterable(read_overlay.values())]
        if any(path == ("environment",) for path, _, _ in from_overlay):
            raise ConfigError(f"{_names(overlay)} cannot set environment: it is read because of it.")
        values, places = _composed(
            kind, [*from_files, *from_overlay, *from_dotenv, *from_secrets, *from_environ, *arguments]
        )
        watched = self._watched(files, environment, secrets)
        exposing = [path for path, leaves in (read | read_overlay).items() if hold_secrets(kind, leaves)]
        if hold_secrets(kind, from_dotenv) or any(value for name, value, _ in dotenv if name in KEYS):
            exposing.append(dotenv_file)
        return Found(values, places, variables, variable_places, watched, used, tuple(exposing), unused)

    def _watched(
        self, files: list[tuple[Path, schema.Path]], environment: str, secrets: list[tuple[str, str, Path]]
    ) -> tuple[Path, ...]:
        named = [path for path, _ in files]
        beside = [path for path, _ in _beside(files, environment)]
        folders = {path.parent for _, _, path in secrets} | ({self.folder / CONFIG_FOLDER} if not self.path else set())
        unnamed = [] if self.path else [self.folder / CONFIG_FILE]
        return (self.folder / ".env", *unnamed, *named, *beside, *sorted(folders), *(path for _, _, path in secrets))

    def _files(
        self, kind: type[BaseModel], variables: Mapping[str, str]
    ) -> tuple[list[tuple[Path, schema.Path]], tuple[Path, ...]]:
        """The files to read, each with the section it holds, and files beside them that nobody reads."""
        named = self.path or (Path(variables["ANTIPHON_CONFIG"]) if variables.get("ANTIPHON_CONFIG") else None)
        if named is not None:
            place = self.folder / named
            if place.is_dir():
                if not (files := _in_folder(kind, place, every=True)):
                    raise ConfigError(
                        f"The folder {named} holds no settings: no antiphon.yaml and no file of a section."
                    )
                return files, ()
            if not place.exists():
                raise ConfigError(f"The configuration file {named} does not exist.")
            return [(place, ())], ()
        place = self.folder / CONFIG_FILE
        unused = tuple(path for path in [place.with_suffix(".yml"), place.with_suffix(".json")] if path.is_file())
        if os.path.lexists(place):
            return [(place, ())], unused
        folder = self.folder / CONFIG_FOLDER
        return _in_folder(kind, folder, every=False) if folder.is_dir() else [], unused

    def _read(self, files: Iterable[tuple[Path, schema.Path]]) -> dict[Path, list[Leaf]]:
        found: dict[Path, list[Leaf]] = {}
        for path, section in files:
            shown = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
            leaves = read_yaml(path, str(shown))
            # A file `performance.yaml` may say `performance:` again on its first line.
            again = bool(section) and {leaf[:1] for leaf, _, _ in leaves} == {section}
            below = () if again else section
            found[path] = [((*below, *leaf), value, place) for leaf, value, place in leaves]
        return found

    def _secrets(self, named: Any) -> list[tuple[str, str, Path]]:
        folder = self.folder / str(named) if named else SECRETS
        if not folder.is_dir():
            if named:
                raise ConfigError(f"The secrets directory {folder} does not exist.")
            return []
        return list(read_secrets(folder))


def is_setting(variable: str) -> bool:
    """Whether a variable has our prefix and is not one of `ELSEWHERE`."""
    return variable.upper().startswith(PREFIX) and not variable.upper().startswith(ELSEWHERE)


def _in_folder(kind: type[BaseModel], folder: Path, *, every: bool) -> list[tuple[Path, schema.Path]]:
    """The files of a folder, one for each section. With `every`, one that is called like no section is refused."""
    sections = {name for name in kind.model_fields if schema.section(schema.child(kind, name))}
    found: dict[schema.Path, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        stem = path.stem.partition(".")[0].removesuffix("_config")
        name = _ALIASES.get(stem, stem)
        if path.stem.partition(".")[2]:
            continue  # of an environment
        section = () if name == Path(CONFIG_FILE).stem else (name,)
        if section and name not in sections:
            if every:
                raise ConfigError(f"{path} is called like no section.{did_you_mean(name, sections)}")
            continue
        if section in found:
            raise ConfigError(f"{found[section]} and {path} both hold the section {name}; keep one.")
        found[section] = path
    return [(path, section) for section, path in sorted(found.items())]


def _for_environment(files: Iterable[tuple[Path, schema.Path]], environment: str) -> list[tuple[Path, schema.Path]]:
    """`antiphon.production.yaml` beside `antiphon.yaml`, and likewise for every file."""
    return [(path, section) for path, section in _beside(files, environment) if os.path.lexists(path)]


def _beside(files: Iterable[tuple[Path, schema.Path]], environment: str) -> list[tuple[Path, schema.Path]]:
    if not environment.isalpha():
        return []  # no environment is called so, and it is about to be refused
    return [(path.with_name(f"{path.stem}.{environment}{path.suffix}"), section) for path, section in files]


def _set_by(kind: type[BaseModel], variables: Iterable[tuple[str, str, str]]) -> Iterator[Leaf]:
    """What variables set, those of whole sections first. Raises `ConfigError` for all names that are no setting."""
    ours = [(_path_of(name), name, value, place) for name, value, place in variables if is_setting(name)]
    if unknown := [_no_setting(kind, name, place) for path, name, _, place in ours if path[0] not in kind.model_fields]:
        raise ConfigError("\n".join(unknown))
    for path, _, value, place in sorted(ours, key=lambda found: len(found[0])):
        yield from _of_text(kind, path, value, place)


def _path_of(name: str) -> schema.Path:
    return tuple(name[len(PREFIX) :].lower().split("__"))


def _no_setting(kind: type[BaseModel], name: str, place: str) -> str:
    known = [section.upper() for section in kind.model_fields]
    return f"{schema.shown(name)} is no setting ({place}).{did_you_mean(_path_of(name)[0], known, prefix=PREFIX)}"


def _set_by_secrets(
    kind: type[BaseModel], secrets: Iterable[tuple[str, str, Path]]
) -> tuple[list[Leaf], tuple[Path, ...]]:
    """What secrets set, and their files. Names that are none of ours belong to somebody else."""
    leaves: list[Leaf] = []
    used = []
    for name, text, file in secrets:
        path = tuple(name.lower().removeprefix(PREFIX.lower()).split("__"))
        if path[0] in kind.model_fields:
            leaves += _of_text(kind, path, text, f"the secret file {file}")
            used.append(file)
    return leaves, tuple(used)


def _of_text(kind: type[BaseModel], path: schema.Path, text: str, place: str) -> Iterator[Leaf]:
    """The values behind a text: JSON where a section, list or mapping belongs."""
    expected = schema.at(kind, path)
    name = schema.shown(".".join(path))
    if expected is None or not schema.is_json(expected):
        yield path, text, place
        return
    if schema.takes_text(expected) and text.strip()[:1] not in {"[", "{"}:
        yield path, text, place
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        example = '{"name": "value"}' if schema.names(expected) or schema.child(expected, "x") else '["one", "two"]'
        raise ConfigError(f"{name} ({place}) must be JSON here, such as {example}.") from None
    if _depth(value) > DEEPEST:
        raise ConfigError(f"{name} ({place}) is nested deeper than {DEEPEST} levels.")
    if isinstance(value, dict) and value:
        yield from (((*path, *leaf), inner, place) for leaf, inner in schema.leaves(value))
    else:
        yield path, value, place


def _depth(value: Any) -> int:
    """How deep a value is nested, counted without recursion and only as far as it matters."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        inside = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inside for item in items]
        depth += 1
    return depth


def _composed(kind: type[BaseModel], leaves: Iterable[Leaf]) -> tuple[dict[str, Any], dict[schema.Path, str]]:
    """One tree of all values, later ones winning, and where each was found."""
    values: dict[str, Any] = {}
    places: dict[schema.Path, str] = {}
    for path, value, place in leaves:
        if not _is_text(value):
            name = schema.shown(".".join(path))
            raise ConfigError(f"{name} ({place}) is no text: it holds a NUL or half of a character.")
        node = values
        for step in path[:-1]:
            if not isinstance(node.get(step), dict):
                node[step] = {}
            node = node[step]
        # A section whose lines are all commented out is an empty one.
        empty = value == {} or (value is None and schema.section(schema.at(kind, path)) is not None)
        if not empty:
            node[path[-1]] = value
        elif not isinstance(node.get(path[-1]), dict):
            node[path[-1]] = {}
        places[path] = place
    return values, places


def _is_text(value: Any) -> bool:
    """Whether every text in a value is one: what is none would fail later, in a file name or on the way to a vendor."""
    if isinstance(value, list | dict):
        return all(_is_text(item) for item in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, str) or not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value)


def _last(name: str, leaves: Iterable[Leaf]) -> Any:
    return next((value for path, value, _ in reversed(list(leaves)) if path == (name,)), None)


def _names(files: Iterable[tuple[Path, schema.Path]]) -> str:
    return " and ".join(path.name for path, _ in files)

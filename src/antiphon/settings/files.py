"""Files of settings as values, each with the line it stands on. YAML is read with a bound on everything it can grow by.

Anchors and `<<` work. A name that is written twice is refused: one of the two would silently not count.
"""

import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from dotenv.parser import parse_stream
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from antiphon.errors import ConfigError
from antiphon.settings import schema

MOST_BYTES = 1024 * 1024
MOST_VALUES = 20_000
DEEPEST = 40

_MERGE = "tag:yaml.org,2002:merge"

Leaf = tuple[schema.Path, Any, str]
"""Where a value belongs, the value, and where it was found, for people."""


def read_text(path: Path) -> str:
    """Raises `ConfigError` when it is no file, cannot be read, is too large or holds no text."""
    try:
        # Before it is opened: to open a pipe is to wait for whoever writes into it.
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "a pipe or a device"
            raise ConfigError(f"{path} is {what} and not a file: put the settings into a file of this name.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check its permissions.") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path} is larger than 1 MiB, which no file of settings needs to be.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text.") from None


def read_yaml(path: Path, shown: str) -> list[Leaf]:
    """The values of a file whose name for people is `shown`. Raises `ConfigError` naming the line that is wrong."""
    try:
        node = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line} is not valid YAML.") from None
    if node is None or (isinstance(node, ScalarNode) and node.tag.endswith(":null")):
        return []
    if not isinstance(node, MappingNode):
        raise ConfigError(f"{path} must hold settings as `name: value`.")
    walk = _Walk(path)
    return [(leaf, value, f"{shown}:{walk.lines[leaf]}") for leaf, value in schema.leaves(walk.mapping(node, (), 0))]


class _Walk:
    """Turns nodes into values. Each counts as often as it is reached, so that aliases of aliases come to an end."""

    def __init__(self, path: Path) -> None:
        self.lines: dict[schema.Path, int] = {}
        self._path = path
        self._left = MOST_VALUES
        self._constructor = SafeConstructor()

    def mapping(self, node: MappingNode, path: schema.Path, depth: int) -> dict[str, Any]:
        values = self._merged(node, path, depth)
        written = set[str]()
        for key, value in node.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, ScalarNode):
                raise self._error(key, "a name must be a single word")
            here = (*path, key.value)
            if key.value in written:
                raise self._error(key, f"{schema.shown('.'.join(here))} is written twice; keep one")
            written.add(key.value)
            self.lines[here] = key.start_mark.line + 1
            values[key.value] = self._value(value, here, depth + 1)
        return values

    def _merged(self, node: MappingNode, path: schema.Path, depth: int) -> dict[str, Any]:
        """What `<<` brings in; of several the first one wins."""
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            for source in reversed(value.value) if isinstance(value, SequenceNode) else [value]:
                self._spend(source, depth + 1)
                if not isinstance(source, MappingNode):
                    raise self._error(key, "`<<` takes a mapping")
                merged |= self.mapping(source, path, depth + 1)
        return merged

    def _value(self, node: Node, path: schema.Path, depth: int) -> Any:
        self._spend(node, depth)
        if isinstance(node, MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self._value(item, (*path, str(number)), depth + 1) for number, item in enumerate(node.value)]
        try:
            return self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError, TypeError, OverflowError):
            raise self._error(node, "a value is not what its form promises; put it into quotes") from None

    def _spend(self, node: Node, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._error(node, f"there are more than {MOST_VALUES} values, aliases counted each time")
        if depth > DEEPEST:
            raise self._error(node, f"values are nested deeper than {DEEPEST} levels")

    def _error(self, node: Node, what: str) -> ConfigError:
        return ConfigError(f"{self._path}, line {node.start_mark.line + 1}: {what}.")


def read_variables(path: Path) -> Iterator[tuple[str, str, str]]:
    """The variables of a `.env` file: name, value, place. What stands there is what is meant: `${…}` is not replaced.
    Raises `ConfigError` naming the line that is no `NAME=value`."""
    if not path.is_file():
        return
    for found in parse_stream(io.StringIO(read_text(path))):
        text = found.original.string
        line = found.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        if found.error:
            raise ConfigError(f"{path}, line {line}: write NAME=value, or put a # before it.")
        if found.key is not None and found.value is not None:
            yield found.key, found.value, f"{path.name}:{line}"


def read_secrets(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """The files of a secrets directory: name, text without the line feed at its end, path."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        raise ConfigError(f"The secrets directory {folder} cannot be read ({error.strerror}).") from None
    for path in paths:
        text = read_text(path)
        yield path.name, text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text, path

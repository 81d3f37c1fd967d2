"""Addresses with variables in them, such as `/socket/:room_id/websocket` (TR-1)."""

import re

from antiphon.errors import ConfigError
from antiphon.realtime.admission.admission import Admission
from antiphon.realtime.admission.connect import Refused
from antiphon.realtime.admission.query import unquoted

_NAME = re.compile(r":([a-z_][a-z0-9_]*)", re.ASCII)


class MountPath:
    """A path in which `:name` stands for one segment, whatever it is. `ConfigError` for one that cannot be read."""

    def __init__(self, path: str) -> None:
        segments = path.split("/")
        variables = [segment for segment in segments if segment.startswith(":")]
        if len(set(variables)) < len(variables):
            raise ConfigError(f"the path {path} uses a name twice: give each :variable its own")
        self._pattern = re.compile("/".join(_segment(segment, path) for segment in segments))

    def match(self, path: str) -> dict[str, str] | None:
        """The variables in a path of the wire, None when it is another path; `ValueError` when they are malformed."""
        found = self._pattern.fullmatch(path)
        return found and {name: unquoted(text) for name, text in found.groupdict().items()}


class Mounts:
    """The addresses of the sockets of one application, each with its door."""

    def __init__(self) -> None:
        self._mounts: dict[str, tuple[MountPath, Admission]] = {}

    def add(self, path: str, admission: Admission) -> None:
        """Raises `ConfigError` for a path that is taken, or cannot be read."""
        if path in self._mounts:
            raise ConfigError(f"two mounts have the path {path}: give each its own")
        self._mounts[path] = MountPath(path), admission

    def find(self, path: str) -> tuple[Admission, dict[str, str]]:
        """The door at a path of the wire, and what stands for the variables in it; `Refused` when there is none."""
        for mount, admission in self._mounts.values():
            try:
                variables = mount.match(path)
            except ValueError as error:
                raise Refused(400) from error
            if variables is not None:
                return admission, variables
        raise Refused(404)

    @property
    def doors(self) -> list[Admission]:
        return [admission for _, admission in self._mounts.values()]


def _segment(text: str, path: str) -> str:
    if not text.startswith(":"):
        return re.escape(text)
    name = _NAME.fullmatch(text)
    if name is None:
        raise ConfigError(f"{text} in the path {path} is no variable: write it like :room_id")
    return f"(?P<{name[1]}>[^/]+)"

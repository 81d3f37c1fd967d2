"""Addresses with variables."""

import pytest

from antiphon.errors import ConfigError
from antiphon.realtime.admission.mount import MountPath
from tests.rules import rule


@rule("TR-1")
@pytest.mark.parametrize(
    ("pattern", "path", "variables"),
    [
        ("/socket/websocket", "/socket/websocket", {}),
        ("/socket/websocket", "/socket/websocket/", None),
        ("/socket/websocket", "/socketXwebsocket", None),
        ("/so.ket", "/socket", None),
        ("/:room_id/ws", "/7/ws", {"room_id": "7"}),
        ("/:room_id/ws", "//ws", None),
        ("/:room_id/ws", "/a/b/ws", None),
        ("/:room_id/ws", "/a%2Fb%20c+d/ws", {"room_id": "a/b c+d"}),
        ("/:room_id/ws", "/%C3%A9/ws", {"room_id": "é"}),
        ("/:a/x/:b", "/1/x/2", {"a": "1", "b": "2"}),
        ("/a:b", "/a:b", {}),
        ("/socket", "/socket\n", None),
    ],
)
def test_paths(pattern: str, path: str, variables: dict[str, str] | None) -> None:
    assert MountPath(pattern).match(path) == variables


@rule("TR-1", "TR-13")
@pytest.mark.parametrize("path", ["/%/ws", "/%zz/ws", "/%ff/ws", "/\xff/ws"])
def test_malformed_variables(path: str) -> None:
    with pytest.raises(ValueError):
        MountPath("/:room_id/ws").match(path)


@pytest.mark.parametrize("pattern", ["/:/ws", "/:1/ws", "/:Room/ws", "/:a-b/ws", "/:a/:a/ws"])
def test_what_is_no_pattern_is_a_start_up_error(pattern: str) -> None:
    with pytest.raises(ConfigError):
        MountPath(pattern)

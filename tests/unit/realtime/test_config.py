"""Settings of the real-time part: from code, a dictionary and the environment, and what the next application takes."""

from collections.abc import Iterator
from typing import Any

import pytest

from antiphon.errors import ConfigError
from antiphon.realtime.config import PhoenixConfig, get_config, set_config
from antiphon.realtime.phoenix import Phoenix
from antiphon.telemetry.metrics import Metrics


@pytest.fixture
def usual() -> Iterator[None]:
    yield
    set_config(PhoenixConfig())


def test_a_dictionary_and_code_say_the_same() -> None:
    config = PhoenixConfig(host="0.0.0.0", port=1)  # noqa: S104 - nothing listens
    config.transport.max_channels = 7
    assert config == PhoenixConfig.model_validate({"host": "0.0.0.0", "port": 1, "transport": {"max_channels": 7}})  # noqa: S104


def test_the_environment_says_it_with_sections() -> None:
    environ = {
        "PHOENIX_PORT": "4001",
        "PHOENIX_SECURITY__ORIGINS": '["https://a.example"]',
        "PHOENIX_TRANSPORT__COMPRESSION": "true",
        "OTHER_PORT": "1",
    }
    config = PhoenixConfig.from_env(environ=environ)
    assert (config.port, config.security.origins, config.transport.compression) == (4001, ("https://a.example",), True)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PHOENIX_PROT", "1"),
        ("PHOENIX_PORT", "sesame"),
        ("PHOENIX_SECURITY__ORIGIN", "any"),
        ("PHOENIX_SECURITY__CONNECT_INFO", "[sesame"),
        ("PHOENIX_SECURITY", "sesame"),
    ],
)
def test_a_variable_that_is_wrong_is_named_and_not_quoted(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=variable) as caught:
        PhoenixConfig.from_env(environ={variable: value})
    assert "sesame" not in str(caught.value)


def test_a_section_may_be_given_as_a_whole_and_in_parts_in_any_order() -> None:
    parts = [
        ("PHOENIX_SECURITY", '{"origins": "same-host", "public_host": "a.example"}'),
        ("PHOENIX_SECURITY__ORIGINS", "any"),
    ]
    for order in (parts, parts[::-1]):
        security = PhoenixConfig.from_env(environ=dict(order)).security
        assert (security.origins, security.public_host) == ("any", "a.example")


def test_a_section_that_is_no_section_is_named() -> None:
    with pytest.raises(ConfigError, match="PHOENIX_SECURITY__ORIGINS") as refused:
        PhoenixConfig.from_env(environ={"PHOENIX_SECURITY": "hush", "PHOENIX_SECURITY__ORIGINS": "any"})
    assert "hush" not in str(refused.value)


def test_what_is_assigned_is_checked() -> None:
    config = PhoenixConfig()
    with pytest.raises(ValueError, match="max_channels"):
        config.transport.max_channels = 0
    with pytest.raises(ValueError, match="surprise"):
        config.security.surprise = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"mount": "socket"}, "mount.*must be a path such as /socket"),
        ({"supabase_mount": "/realtime/"}, "supabase_mount.*must be a path such as /socket"),
        ({"transport": {"websocket_path": "/ws"}}, "websocket_path.*must be the rest of a path"),
        ({"transport": {"longpoll_path": "x?y"}}, "longpoll_path.*must be the rest of a path"),
        ({"supabase_mount": "/socket"}, "supabase_mount and mount lead to the same path, /socket/websocket"),
        (
            {"transport": {"longpoll": True, "longpoll_path": "websocket"}},
            "transport.longpoll_path and mount lead to the same path",
        ),
        (
            {"transport": {"longpoll": True, "longpoll_path": "a/websocket"}, "supabase_mount": "/socket/a"},
            "supabase_mount and transport.longpoll_path lead to the same path",
        ),
    ],
)
def test_a_path_that_is_none_or_taken_is_told_with_its_setting(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){told}") as refused:
        PhoenixConfig.model_validate(settings)
    assert "[^" not in str(refused.value)


def test_paths_of_the_environment_are_told_as_it_says_them() -> None:
    with pytest.raises(ConfigError, match=r"^PHOENIX_MOUNT: must be a path such as /socket"):
        PhoenixConfig.from_env(environ={"PHOENIX_MOUNT": "socket"})
    with pytest.raises(ConfigError, match=r"^supabase_mount and mount lead to the same path"):
        PhoenixConfig.from_env(environ={"PHOENIX_SUPABASE_MOUNT": "/socket"})


@pytest.mark.parametrize(
    "settings",
    [{"supabase_mount": "/socket", "supabase": False}, {"transport": {"longpoll_path": "websocket"}}, {"mount": "/:a"}],
)
def test_what_is_not_served_takes_no_path(settings: dict[str, Any]) -> None:
    PhoenixConfig.model_validate(settings)


def test_an_application_takes_what_is_set_and_keeps_it(usual: None) -> None:
    config = PhoenixConfig()
    config.transport.max_channels = 7
    set_config(config)
    app = Phoenix(metrics=Metrics())
    assert get_config() is config
    config.transport.max_channels = 8
    assert (app.limits.max_channels, Phoenix(metrics=Metrics()).limits.max_channels) == (7, 8)
    assert Phoenix(PhoenixConfig(), metrics=Metrics()).limits.max_channels == 100


async def test_it_listens_where_the_settings_say(usual: None) -> None:
    set_config(PhoenixConfig(port=0))
    app = Phoenix(metrics=Metrics())
    await app.listen()
    assert app.port > 0
    await app.stop()


async def test_while_developing_a_client_is_told_what_went_wrong(serve: Any) -> None:
    live = await serve(debug=True)
    wire = await live.wire()
    reply = await wire.join("room:1", {"crash": True})
    assert reply[4]["response"] == {"reason": "join crashed", "error": "RuntimeError: the secret of the join"}
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "crash", {}])
    await wire.receive()
    crash = {"reason": "channel_crash", "error": "RuntimeError: the secret of the handler"}
    await wire.expect(["1", "1", "room:1", "phx_error", crash])

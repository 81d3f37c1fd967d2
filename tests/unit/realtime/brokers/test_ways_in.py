"""What lets a broker in and what does not: logins, rights, and certificates."""

from collections.abc import AsyncIterator, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import ConfigError
from antiphon.realtime.brokers.base import open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from tests.certificates import Authority
from tests.nats_server import NatsServer
from tests.nodes import Nodes, broker_at, refusal, talk, until
from tests.redis_server import RedisServer

Logged = list[MutableMapping[str, Any]]
Server = RedisServer | NatsServer


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with Nodes() as made:
        yield made


@pytest.fixture(params=["redis", "nats"])
def server(request: pytest.FixtureRequest) -> Server:
    """Runs, and may be configured and started again."""
    server: Server = request.getfixturevalue(request.param)
    return server


def at(server: Server, login: str = "") -> str:
    return f"{'nats' if isinstance(server, NatsServer) else 'redis'}://{login}127.0.0.1:{server.port}"


# --- logins -------------------------------------------------------------------------------------------------------

REDIS_USER = ("--user", "ann", "on", ">hunter2@/", "&*", "+@all", "--user", "default", "off")
NATS_TOKEN = ('authorization { token: "hunter2/@" }',)
NATS_USER = ('authorization { user: "ann", password: "hunter2" }',)


def locked(server: Server, password: str) -> tuple[str, ...]:
    """The words with which it takes nobody else."""
    if isinstance(server, RedisServer):
        return "--requirepass", password
    return (f'authorization {{ user: "default", password: "{password}" }}',)


@pytest.mark.parametrize(
    ("kind", "words", "login"),
    [
        ("redis", ("--requirepass", "hunter2"), ":hunter2@"),
        ("redis", REDIS_USER, "ann:hunter2%40%2F@"),
        ("nats", NATS_TOKEN, "hunter2%2F%40@"),
        ("nats", NATS_USER, "ann:hunter2@"),
    ],
)
async def test_logins(
    nodes: Nodes, kind: str, words: tuple[str, ...], login: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(kind)
    server.words = words
    server.restart()
    await talk(nodes, at(server, login))


@pytest.mark.parametrize("login", ["", "default:hunter2-wrong@", "nobody:hunter2@"])
async def test_a_wrong_login_is_told_once_and_without_it(
    nodes: Nodes, server: Server, login: str, logged: Logged
) -> None:
    server.words = locked(server, "hunter2")
    server.restart()
    one = await nodes("one", broker_at(at(server, login)))
    assert refusal(logged).startswith(
        ("Redis refuses AUTH: WRONGPASS", "Redis refuses SUBSCRIBE: NOAUTH", "NATS cannot be used: it says 'Auth")
    )
    assert one.told == []


async def test_a_password_that_is_changed_is_told_and_tried_until_it_is_right(
    nodes: Nodes, server: Server, logged: Logged
) -> None:
    right, wrong = locked(server, "hunter2"), locked(server, "another")
    server.words = wrong
    server.restart()
    one = await nodes("one", broker_at(at(server, "default:hunter2@")))
    assert "hunter2" not in refusal(logged)
    for words, told in ((right, ["gap"]), (wrong, ["gap", "down"]), (right, ["gap", "down", "gap"])):
        server.words = words
        server.restart()
        await until(lambda: len(one.told) == len(told))  # noqa: B023 - waited for at once
        assert one.told == told
    two = await nodes("two", broker_at(at(server, "default:hunter2@")))
    two.broker.publish(b"hello")
    await one.has(b"hello")


# --- TLS ----------------------------------------------------------------------------------------------------------

Secured = Callable[..., str]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secured(server: Server, authority: Authority, free_port: int) -> Secured:
    """Starts a server that answers at `name`, and returns its URL without a query."""

    def start(name: str = "127.0.0.1", *, clients: bool = False) -> str:
        shown, key = authority.sign(name)
        if isinstance(server, RedisServer):
            files = ("--tls-cert-file", str(shown), "--tls-key-file", str(key))
            trust = ("--tls-ca-cert-file", str(authority.shown), "--tls-auth-clients", "yes" if clients else "no")
            server.words = ("--tls-port", str(free_port), *files, *trust)
        else:
            verify = f'ca_file: "{authority.shown}", verify: true' if clients else ""
            server.words = (f'tls {{ cert_file: "{shown}", key_file: "{key}", {verify} }}',)
        server.restart()
        return (
            f"rediss://127.0.0.1:{free_port}" if isinstance(server, RedisServer) else f"tls://127.0.0.1:{server.port}"
        )

    return start


@pytest.mark.parametrize("anyio_backend", ["asyncio", "uvloop"], indirect=True)
async def test_tls_with_an_authority_of_ones_own(nodes: Nodes, secured: Secured, authority: Authority) -> None:
    await talk(nodes, f"{secured()}?ssl_ca_certs={authority.shown}")


async def test_a_server_whose_authority_is_not_trusted_is_refused(
    nodes: Nodes, secured: Secured, logged: Logged
) -> None:
    url = secured()
    one = await nodes("one", broker_at(url))
    assert "CERTIFICATE_VERIFY_FAILED" in refusal(logged)
    assert one.told == []
    await talk(nodes, f"{url}?ssl_cert_reqs=none")


async def test_a_server_with_a_certificate_of_another_is_refused(
    nodes: Nodes, secured: Secured, authority: Authority, logged: Logged
) -> None:
    url = secured("elsewhere.test")
    one = await nodes("one", broker_at(f"{url}?ssl_ca_certs={authority.shown}"))
    assert "not valid for '127.0.0.1'" in refusal(logged)
    assert one.told == []


async def test_a_server_that_wants_certificates_is_shown_one(
    nodes: Nodes, secured: Secured, authority: Authority, logged: Logged
) -> None:
    url = f"{secured(clients=True)}?ssl_ca_certs={authority.shown}"
    shown, key = authority.sign("house.test", "hunter2")
    await talk(nodes, f"{url}&ssl_certfile={shown}&ssl_keyfile={key}&ssl_password=hunter2")
    stranger = await nodes("stranger", broker_at(url))
    assert refusal(logged)
    assert stranger.told == []


@pytest.mark.parametrize("url", ["rediss://127.0.0.1", "tls://127.0.0.1"])
@pytest.mark.parametrize("password", ["", "&ssl_password=wrong-hunter2"])
def test_a_key_that_cannot_be_opened_is_told_and_nobody_is_asked(url: str, password: str, authority: Authority) -> None:
    shown, key = authority.sign("house.test", "hunter2")
    with pytest.raises(ConfigError, match="certificates") as refused:
        open_broker(ClusterSettings(url=f"{url}?ssl_certfile={shown}&ssl_keyfile={key}{password}"))
    assert "hunter2" not in str(refused.value)


async def test_tls_survives_a_restart_and_carries_large_messages(
    nodes: Nodes, server: Server, secured: Secured, authority: Authority
) -> None:
    url = f"{secured()}?ssl_ca_certs={authority.shown}"
    one, two = await nodes("one", broker_at(url)), await nodes("two", broker_at(url))
    server.restart()
    for node in (one, two):
        await until(lambda: node.told == ["up", "down", "gap"])  # noqa: B023 - waited for at once
    body = bytes(5_000_000) + b"!"
    one.broker.publish(body)
    await two.has(body)

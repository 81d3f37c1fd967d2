"""A client of redis-py at the URLs that a broker takes."""

from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from antiphon.errors import ConfigError
from antiphon.realtime.brokers._address import parse_address

SENTINEL_PORT = 26379

_SENTINEL = "+sentinel"


def redis_at(url: str, timeout: float) -> Any:
    """Not connected yet; `close` ends it. `timeout`, in seconds, is for each step, and nothing is tried twice: what is
    appended a second time would be there twice. Behind Sentinel every new connection is one to whoever is the master
    then.

    Raises `ConfigError` for a URL that is none, without quoting it.
    """
    patience: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    once = {**patience, "retry": Retry(NoBackoff(), 0)}
    try:
        if not url.partition("://")[0].endswith(_SENTINEL):
            return Redis.from_url(url, **once)
        return _behind_sentinel(url, patience, once)
    except ValueError as error:
        raise ConfigError(
            "The URL of the logs is none of redis://, rediss://, unix:// and redis+sentinel://hosts/service."
        ) from error


async def close(redis: Any) -> None:
    """Ends its connections, those to the Sentinels included."""
    await redis.aclose()
    pool = redis.connection_pool
    for sentinel in pool.sentinel_manager.sentinels if isinstance(pool, SentinelConnectionPool) else ():
        await sentinel.aclose()


def _behind_sentinel(url: str, patience: dict[str, Any], once: dict[str, Any]) -> Any:
    address = parse_address(url, SENTINEL_PORT)
    service, _, database = address.path.partition("/")
    if not address.hosts or not service:
        raise ValueError("no Sentinel, or no service")
    words: dict[str, Any] = dict(address.options)
    secure = {name: each for name, each in words.items() if name.startswith("ssl_")}
    if address.scheme.startswith("rediss"):
        secure["ssl"] = True
    guard = {"username": words.get("sentinel_username"), "password": words.get("sentinel_password")}
    login = {"username": address.user, "password": address.password, "db": int(database or 0)}
    sentinels = cast("Any", Sentinel)(address.hosts, sentinel_kwargs={**patience, **guard, **secure})
    return sentinels.master_for(service, **once, **login, **secure)

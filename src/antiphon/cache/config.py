"""The sections `cache` and `redis` of the settings."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class RedisSettings(BaseModel):
    """A Redis that everything uses which several processes share and which may be lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr | None = Field(
        None,
        description="`redis://[user:password@]host:port/number`, `rediss://…` with TLS, or `unix:///path/of/socket`.",
    )


class CacheSettings(BaseModel):
    """Where what may be lost is kept at hand. For how long and how much: `performance.cache_ttl`, `.cache_max_size`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr | None = Field(
        None,
        description="`memory://` for this process alone, or a Redis as in `redis.url`. When not set it is `redis.url`, "
        "and without that `memory://`.",
    )
    prefix: str = Field(
        "antiphon", min_length=1, max_length=100, description="Begins every key in Redis, so that houses can share one."
    )
    timeout: float = Field(
        0.5, gt=0, le=60, description="Seconds for one exchange with Redis; a slower answer counts as no answer."
    )
    near_seconds: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="In a cluster a process keeps what it has read from Redis at hand for so long, unless somebody "
        "changes it; 0 for not at all.",
    )
    connections: int = Field(
        16, ge=1, le=1_000, description="Connections to Redis at most; who finds none free waits within the time above."
    )

"""Rules that look at a configuration as a whole: what is right by itself may be wrong together.

A rule is any callable that takes the configuration and yields problems. Others than these come from the entry points
of the group `antiphon.rules` and from the setting `rules`, which names them as `module:function`.
"""

import importlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from antiphon.cache.cache import open_cache
from antiphon.errors import AntiphonError, ConfigError
from antiphon.providers.registry import ProviderRegistry
from antiphon.realtime.admission.origin import is_loopback
from antiphon.realtime.brokers.base import open_broker
from antiphon.runtime.installed import entry_points
from antiphon.settings import schema
from antiphon.storage.open import open_claim
from antiphon.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from antiphon.settings.config import Config

GROUP = "antiphon.rules"

_NETWORK_FILE_SYSTEMS = frozenset(["9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3"])


class Problem(Struct, frozen=True):
    """What a rule found: the setting, and one sentence that says what is wrong and what to do. An `error` keeps the
    house from starting, a `warning` does not."""

    key: str
    text: str
    severity: Literal["error", "warning"] = "error"


Rule = Callable[["Config"], Iterable[Problem]]


def check(config: "Config") -> list[Problem]:
    """What all rules say. Raises `ConfigError` for a rule that cannot be loaded or that fails."""
    named = (*(point.value for point in entry_points(group=GROUP)), *config.rules)
    return [
        *(problem for rule in BUILT_IN for problem in rule(config)),
        *(problem for name in named for problem in _asked(name, config)),
    ]


def _asked(name: str, config: "Config") -> list[Problem]:
    rule: Rule = loaded("rule", name)
    try:
        problems = [*rule(config)]
        wrong = (
            "" if all(isinstance(problem, Problem) for problem in problems) else "gives something else than problems"
        )
    except Exception as error:  # noqa: BLE001 - the code of others, in whose errors a setting may be quoted
        wrong = f"fails ({type(error).__name__})"
    if wrong:
        raise ConfigError(f"The rule {schema.shown(name)} {wrong}; mend it, or take it out of rules.")
    return problems


def sentence(config: "Config", problem: Problem) -> str:
    """A problem with its setting and where that was set."""
    known = schema.at(type(config), tuple(problem.key.split("."))) is not None
    return f"{problem.key} ({config.source(problem.key)}): {problem.text}" if known else problem.text


def loaded(what: str, name: str) -> Any:
    """What is called `module:name`. Raises `ConfigError` when it cannot be loaded."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"The {what} {schema.shown(name)} cannot be loaded ({type(error).__name__}); name it as module:name."
        ) from error


# --- the rules of the house ---------------------------------------------------------------------------------------


def no_debugging_in_production(config: "Config") -> Iterator[Problem]:
    if config.environment == "production" and config.debug:
        yield Problem("debug", "Tracebacks and debug lines are written in production; set debug to false.", "warning")


def something_is_kept_in_production(config: "Config") -> Iterator[Problem]:
    if config.environment == "production" and config.database.url.endswith(":memory:"):
        yield Problem("database.url", "Nothing would be kept in production; name a file or a PostgreSQL database.")


def the_database_can_be_one(config: "Config") -> Iterator[Problem]:
    yield from _refusal("database.url", lambda: open_claim(config.database))


def several_processes_share_what_they_must(config: "Config") -> Iterator[Problem]:
    broker = config.broker
    if broker is None:
        if config.server.workers > 1:
            yield Problem("server.workers", "Several workers hear of each other through Redis: set redis.url.")
        return
    yield from _refusal(
        "redis.url" if config.cluster.url is None else "cluster.url", lambda: open_broker(broker, metrics=Metrics())
    )
    yield from _refusal("database.url", lambda: open_claim(config.database, node="one of several"))
    cache = config.cache.url or config.redis.url
    if cache is None or cache.get_secret_value().startswith("memory:"):
        yield Problem("cache.url", "Several processes must share what they keep at hand: set redis.url.")


def the_cache_can_be_one(config: "Config") -> Iterator[Problem]:
    yield from _refusal(
        "redis.url" if config.cache.url is None else "cache.url",
        lambda: open_cache(config.cache, config.redis, config.performance, config.services, metrics=Metrics()),
    )


def the_models_have_a_vendor(config: "Config") -> Iterator[Problem]:
    try:
        registry = ProviderRegistry(config.providers, environ=config.environ, services=config.services)
    except ConfigError as error:
        yield Problem("providers", error.public)
        return
    named = {f"assistants.platform_models.{name}": model for name, model in config.assistants.platform_models.items()}
    if config.default_model:
        named = {"default_model": config.default_model} | named
    else:
        for name in registry.names():  # where no model is named, their keys and addresses decide which one answers
            yield from _refusal(f"the variables of {name}", partial(registry.section, name))
    for key, model in named.items():
        yield from _refusal(key, partial(registry.resolve, model))


def nobody_comes_in_unseen(config: "Config") -> Iterator[Problem]:
    if refusal := config.server.refusal:
        yield Problem("server.host", refusal)


def pages_of_others_stay_out(config: "Config") -> Iterator[Problem]:
    if config.realtime.security.origins == "any":
        yield Problem(
            "realtime.security.origins",
            "Any web page that somebody here opens may talk to the house; list the pages that may.",
            "warning",
        )


def sockets_leave_the_api_its_paths(config: "Config") -> Iterator[Problem]:
    for name in ("mount", "supabase_mount"):
        if getattr(config.realtime, name).startswith("/api/"):
            yield Problem(f"realtime.{name}", "Below /api stands the API of the house; choose a path beside it.")


def the_database_is_on_a_disk_of_this_machine(config: "Config") -> Iterator[Problem]:
    path = config.database.url.removeprefix("sqlite:///")
    if path in {config.database.url, ":memory:"}:
        return
    if (kind := _file_system(Path(path).absolute())) in _NETWORK_FILE_SYSTEMS:
        yield Problem(
            "database.url",
            f"SQLite's locks do not hold on a network file system ({kind}); name a local disk, or use PostgreSQL.",
            "warning",
        )


def keys_travel_encrypted(config: "Config") -> Iterator[Problem]:
    for name in config.providers.names():
        section = config.providers.named(name)
        url = urlsplit(section.base_url or "") if section else urlsplit("")
        has_key = section is not None and (section.api_key is not None or bool(section.headers))
        if has_key and url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield Problem(
                f"providers.{name}.base_url", "The key would cross the network unencrypted; use https.", "warning"
            )


def secrets_are_readable_by_their_owner_only(config: "Config") -> Iterator[Problem]:
    if sys.platform == "win32":
        return
    secrets = [("secrets_dir", file) for file in config.secret_files]
    for key, file in [*secrets, *((file.name, file) for file in config.exposing_files)]:
        # A folder that nobody else may enter hides its files, whatever their own permissions.
        if _others_may(file, stat.S_IROTH) and all(_others_may(folder, stat.S_IXOTH) for folder in file.parents):
            yield Problem(
                key, f"{file} holds a secret, and everybody on this machine may read it; chmod 600 it.", "warning"
            )


BUILT_IN: tuple[Rule, ...] = (
    no_debugging_in_production,
    something_is_kept_in_production,
    the_database_can_be_one,
    several_processes_share_what_they_must,
    the_cache_can_be_one,
    the_models_have_a_vendor,
    nobody_comes_in_unseen,
    pages_of_others_stay_out,
    sockets_leave_the_api_its_paths,
    the_database_is_on_a_disk_of_this_machine,
    keys_travel_encrypted,
    secrets_are_readable_by_their_owner_only,
)


def _refusal(key: str, build: Callable[[], object]) -> Iterator[Problem]:
    """What the start would say: it builds the same, and nothing is connected by that."""
    try:
        build()
    except AntiphonError as error:
        yield Problem(key, error.public.removeprefix(f"{key} "))


def _others_may(path: Path, bit: int) -> bool:
    try:
        return bool(path.stat().st_mode & bit)
    except OSError:
        return False


def _file_system(path: Path) -> str | None:
    """The kind of file system that holds `path`; None where the system does not say."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    best, kind = "", None
    for line in mounts.splitlines():
        _, place, found, *_ = line.split()
        place = place.replace("\\040", " ")
        if len(place) >= len(best) and os.path.commonpath([place, str(path)]) == place:
            best, kind = place, found
    return kind

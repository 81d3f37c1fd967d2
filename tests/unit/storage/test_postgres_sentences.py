"""What people are told about PostgreSQL, and what they are never told: passwords, and what somebody wrote."""

import asyncpg
import pytest

from antiphon.errors import ConfigError, ServiceError, ValidationError
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_claim, open_store
from antiphon.storage.postgres.faults import kind_of, translated


@pytest.mark.parametrize(
    "url",
    ["postgresql://", "postgresql://me:secret@host", "postgresql://me:secret@host/", "postgres://me:secret@host:x/y"],
)
def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    for make in (open_store, open_claim):
        with pytest.raises(ConfigError, match="postgresql://user:password@host:port/database") as refused:
            make(DatabaseSettings(url=url))
        assert "secret" not in str(refused.value)


def test_the_place_of_a_database_holds_no_name_and_no_password() -> None:
    settings = DatabaseSettings(url="postgresql://me:hush%40hush@db.example:5433/house?sslmode=require")
    assert settings.place == "postgresql://db.example:5433/house"
    assert "hush" not in repr(settings)
    assert DatabaseSettings(url="sqlite:///a/b.db").place == "a/b.db"
    assert DatabaseSettings(url="postgresql://me:secret@[broken/x").place == "postgresql"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (asyncpg.DiskFullError, "has no room left"),
        (asyncpg.OutOfMemoryError, "has no memory left"),
        (asyncpg.TooManyConnectionsError, "takes no more connections"),
        (asyncpg.ReadOnlySQLTransactionError, "takes no changes now"),
        (asyncpg.AdminShutdownError, "is stopping or starting"),
        (asyncpg.CannotConnectNowError, "is stopping or starting"),
        (asyncpg.QueryCanceledError, "was too slow"),
        (asyncpg.LockNotAvailableError, "was too slow"),
        (asyncpg.InsufficientPrivilegeError, "does not let this user do it"),
        (asyncpg.UndefinedTableError, "lacks a table"),
        (asyncpg.DataCorruptedError, "is damaged"),
        (asyncpg.ConnectionDoesNotExistError, "does not answer"),
        (asyncpg.InterfaceError, "does not answer"),
        (ConnectionResetError, "does not answer"),
        (TimeoutError, "was too slow"),
        (asyncpg.DivisionByZeroError, "cannot be stored"),
        (asyncpg.SyntaxOrAccessError, "reports an error (42000)"),
    ],
)
def test_each_error_is_one_sentence_without_its_own_words(error: type[Exception], sentence: str) -> None:
    found = translated(error("what somebody wrote"), "db:1/x")
    assert isinstance(found, ServiceError | ValidationError)
    assert sentence in str(found)
    assert "somebody" not in f"{found}{found.public}"
    assert "db:1" not in found.public


def test_an_error_that_is_not_the_databases_stays_as_it_is() -> None:
    mistake = KeyError("x")
    assert translated(mistake, "db") is mistake
    assert kind_of(mistake, closed=False) == "other"

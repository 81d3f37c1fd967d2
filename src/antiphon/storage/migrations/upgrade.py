"""Runs Alembic without a configuration file, on a connection that is given."""

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our history; `env.py` works on `connection`."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def run_migrations(connection: sqlite3.Connection, *, to: str = "head") -> None:
    """Upgrades a SQLite database, or downgrades it when `to` is a revision behind its own (or "base").

    All of it is one transaction, SQLite's DDL included; a process that waited for it finds nothing left to do.
    """
    move = command.upgrade if to == "head" else command.downgrade
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as wrapped, wrapped.begin():
        wrapped.exec_driver_sql("BEGIN IMMEDIATE")  # sqlite3 itself would begin only at the first INSERT
        move(config(wrapped), to)

"""What a new project needs to know, asked of a person or found out."""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

import typer
from msgspec import Struct

from antiphon.errors import AntiphonError, ValidationError
from antiphon.providers.base import DEMO
from antiphon.providers.config import key_variables
from antiphon.providers.detect import Detected, detect
from antiphon.providers.registry import ProviderRegistry
from antiphon.settings.config import Config
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import is_server

DATABASE = "sqlite:///data/antiphon.db"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class Answers(Struct, frozen=True, kw_only=True):
    """`model` is None where detection decides at every start; `key` is a variable with its value, to be kept secret."""

    name: str
    model: str | None
    database: str
    key: tuple[str, str] | None = None


def ask(folder: Path, *, name: str | None, model: str | None, database: str | None, yes: bool) -> Answers:
    """Asks for what was not given; without a terminal, or with `yes`, takes what is found instead."""
    talks = not yes and sys.stdin.isatty()
    found = _detected()
    name = None if name is None else _name(name)
    model = None if model is None else _model(model)
    database = None if database is None else _database(database)
    if talks:
        name = name or _asked("What is the assistant called", _suggested(folder), _name)
        typer.echo(f"  {found.model}: {found.how}", err=True)
        model = model or _asked("Which model answers (provider:model)", found.model, _model)
        database = database or _asked("Where are conversations kept", DATABASE, _database)
    model = None if model in {None, DEMO, found.model} else model
    return Answers(
        name=name or _suggested(folder),
        model=model,
        database=database or DATABASE,
        key=_key(model) if talks else None,
    )


def _asked(question: str, default: str, check: Callable[[str], str]) -> str:
    """Asks until the answer is a good one."""

    def checked(value: str) -> str:
        try:
            return check(value.strip())
        except AntiphonError as error:
            raise typer.BadParameter(error.public) from error

    return str(typer.prompt(question, default=default, value_proc=checked, err=True))


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValidationError(f"“{name[:80]}” is no name: use up to 63 of a-z, 0-9, _ and -, a letter first.")
    return name


def _model(model: str) -> str:
    if model != DEMO and not all(model.partition(":")):
        raise ValidationError(f"“{model[:80]}” names no model. Write provider:model, for example openai:gpt-5.")
    return model


def _database(url: str) -> str:
    is_server(DatabaseSettings(url=url))  # refuses what no store serves
    return url


def _suggested(folder: Path) -> str:
    letters = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_").lstrip("-_0123456789")
    return letters[:63] or "guide"


def _detected() -> Detected:
    async def find() -> Detected:
        config = Config()
        registry = ProviderRegistry(config.providers)
        try:
            return await detect(registry)
        finally:
            await registry.stop()

    return asyncio.run(find())


def _key(model: str | None) -> tuple[str, str] | None:
    variable = next(iter(key_variables((model or "").partition(":")[0])), None)
    if variable is None:
        return None
    value = typer.prompt(
        f"{variable} (not shown; empty: later)", default="", hide_input=True, show_default=False, err=True
    )
    return (variable, value.strip()) if value.strip() else None

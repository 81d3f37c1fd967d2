"""What a new project needs to know, asked of a person or found out."""

import asyncio
import re
import sys
from pathlib import Path

import typer
from msgspec import Struct

from antiphon.errors import ValidationError
from antiphon.providers.base import DEMO
from antiphon.providers.config import key_variable
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
    name = name or _suggested(folder)
    if talks:
        name = typer.prompt("What is the assistant called", default=name, err=True)
        typer.echo(f"  {found.model}: {found.how}", err=True)
        model = model or typer.prompt("Which model answers (provider:model)", default=found.model, err=True)
        database = database or typer.prompt("Where are conversations kept", default=DATABASE, err=True)
    if not _NAME.fullmatch(str(name)):
        raise ValidationError(f"“{str(name)[:80]}” is no name: use up to 63 of a-z, 0-9, _ and -, a letter first.")
    if model is not None and model != DEMO and not all(model.partition(":")):
        raise ValidationError(f"“{model[:80]}” names no model. Write provider:model, for example openai:gpt-5.")
    model = None if model in {None, DEMO, found.model} else model
    database = database or DATABASE
    is_server(DatabaseSettings(url=database))  # refuses what no store serves
    return Answers(name=str(name), model=model, database=database, key=_key(model) if talks else None)


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
    variable = key_variable((model or "").partition(":")[0])
    if variable is None:
        return None
    value = typer.prompt(
        f"{variable} (not shown; empty: later)", default="", hide_input=True, show_default=False, err=True
    )
    return (variable, value.strip()) if value.strip() else None

"""Plugins for tests, written into a folder as people write them."""

from pathlib import Path
from textwrap import dedent

BEGIN = """
import asyncio
from msgspec import structs
from antiphon import (
    Assistant, BasePlugin, Moment, NotAllowedError, PluginHouse, PluginMetadata, Said, ToolContext, tool
)
from antiphon.commands.base import Command, CommandOutcome
from antiphon.domain import NoticePart
from antiphon.providers.base import ChatMessage
"""


def plugin(folder: Path, name: str, body: str, *, about: str = "") -> None:
    """A file with one plugin of that name."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    head = f'class Plugin(BasePlugin):\n    metadata = PluginMetadata(name="{name}", version="1.2.3"{about})\n'
    inside = "".join(f"    {line}\n" if line else "\n" for line in dedent(body).strip().splitlines())
    (folder / f"{name}.py").write_text(f"{BEGIN}\n{head}{inside}", encoding="utf-8")

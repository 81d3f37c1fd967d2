"""The JavaScript that pages show, run by Node with the npm package it names, against a server with the demo model."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.realtime.client.phoenix import PhoenixClient

WIRE = Path(__file__).parents[1] / "wire" / "node"
SOCKETS_FOR_OLD_NODE = 'import WebSocket from "ws"\nglobalThis.WebSocket = WebSocket\n'
"""Node has a WebSocket of its own since version 22."""


@pytest.fixture
def run(node: str, npm_ci: Callable[[Path], Path], tmp_path: Path) -> Callable[[str, str], str]:
    """Runs a script until it has written `until`, and returns what it wrote."""
    (tmp_path / "node_modules").symlink_to(npm_ci(WIRE) / "node_modules")
    (tmp_path / "socket.mjs").write_text(SOCKETS_FOR_OLD_NODE)

    def run(script: str, until: str) -> str:
        (tmp_path / "page.mjs").write_text('import "./socket.mjs"\n' + script)
        command = [node, "page.mjs"]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            written = ""
            try:
                while until not in written:
                    piece = os.read(process.stdout.fileno(), 4096)
                    assert piece, f"it ended without {until!r}:\n{written}"
                    written += piece.decode()
            finally:
                process.kill()
        return written

    return run


def blocks(page: Any) -> list[str]:
    return [block.text for block in page.blocks if block.language == "js"]


async def new_conversation(server: str) -> str:
    async with PhoenixClient(f"{server}/socket") as client:
        reply = await client.channel("conversation:new", {"client_id": "javascript"}).join()
    identity: str = reply["conversation"]["id"]
    return identity


def test_the_lines_of_the_readme(page: Any, server: str, fetch: Any, run: Callable[[str, str], str]) -> None:
    (script,) = blocks(page("README.md"))
    assert len(script.splitlines()) == 5
    identity = asyncio.run(new_conversation(server))
    script = script.replace("01M7YTFAF3A5C20VBDC381VVAW", identity)
    run(script.replace("127.0.0.1:4000", server.removeprefix("http://")), "Tokyo")
    first = fetch(f"api/v1/conversations/{identity}/messages").json()["items"][0]
    assert (first["role"], first["text"]) == ("user", "What time is it in Tokyo?")


def test_the_examples_of_the_guide(page: Any, server: str, run: Callable[[str, str], str]) -> None:
    phoenix, supabase = (
        script.replace("127.0.0.1:4000", server.removeprefix("http://"))
        for script in blocks(page("docs/guides/real-time.md"))
    )
    assert "Tokyo" in run(phoenix, "answered")
    assert "text: 'hello'" in run(supabase, "}")

"""Programs in other languages that are run against a server of a test."""

import asyncio
import json
from asyncio.subprocess import PIPE
from typing import Any

LONGEST = 30.0


async def printed(*command: str, **options: Any) -> list[Any]:
    """The JSON values that a program has printed by its end, one a line; a test in which it fails, fails."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, **options)
    try:
        async with asyncio.timeout(LONGEST):
            out, problems = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, problems.decode()
    return [json.loads(line) for line in out.splitlines()]

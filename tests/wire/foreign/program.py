"""A program of another language or another Python, run as it would be by hand."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.programs import LONGEST, printed


class Program:
    """Prints JSON arrays, one a line, and must end well."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._folder = folder
        self._command = command

    async def observed(self) -> dict[str, list[Any]]:
        """All it printed: the rest of each line by its first item."""
        return {name: values for name, *values in await printed(*self._command, cwd=self._folder)}

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[AsyncIterator[list[Any]]]:
        """Its lines as they come."""
        process = await asyncio.create_subprocess_exec(*self._command, cwd=self._folder, stdout=PIPE, stderr=PIPE)
        try:
            async with asyncio.timeout(LONGEST):
                yield self._lines(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def _lines(self, process: asyncio.subprocess.Process) -> AsyncIterator[list[Any]]:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            yield json.loads(line)
        _, problems = await process.communicate()
        assert process.returncode == 0, problems.decode()

"""Files that go along with a message from the terminal: named by `/attach`, or pasted as a path.

Only a person at a terminal attaches files. Through a pipe the same words are words: what is piped may be anybody's.
"""

import shlex
from io import StringIO
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import aiohttp

from antiphon.errors import ServiceError, ValidationError

COMMAND = "/attach"
SECONDS = 300.0
"""How long one file may take."""


def attached(text: str) -> tuple[str, list[Path]]:
    """The text of a message and its files.

    `/attach plan.png What is this?` is a question with a file; `/attach` may be said several times, and a path with
    spaces is quoted. A line that is nothing but the path of a file, as terminals paste what is dropped on them, is
    that file.
    """
    files: list[Path] = []
    rest = text.strip()
    while rest == COMMAND or rest.startswith(f"{COMMAND} "):
        name, rest = _first_word(rest[len(COMMAND) :].lstrip())
        files.append(Path(name).expanduser())
    if files:
        return rest, files
    pasted = _pasted(rest)
    return ("", [pasted]) if pasted else (text, [])


async def upload(url: str, path: Path) -> dict[str, Any]:
    """Sends a file to the server at `url`; what a message names it by. Raises `ValidationError` when it cannot be read
    or is refused, `ServiceError` when the server cannot be reached."""
    where = f"{url}/api/v1/files"
    kind = guess_type(path.name)[0] or "application/octet-stream"
    try:
        with path.open("rb") as file:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session,
                session.post(where, params={"name": path.name}, data=file, headers={"content-type": kind}) as answer,
            ):
                body = await answer.json(content_type=None)
    except OSError as error:
        if isinstance(error, aiohttp.ClientError):
            raise ServiceError(f"{path.name} did not reach the server. Try again.") from error
        raise ValidationError(f"{path} cannot be read: {error.strerror}.") from error
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ServiceError(f"{path.name} did not reach the server. Try again.") from error
    if answer.status != 201:
        raise ValidationError(str(body.get("detail", f"The server answered {answer.status}.")))
    return {"id": body["id"], "name": body["name"]}


def _first_word(text: str) -> tuple[str, str]:
    """The first word as a shell reads it, with what follows as it stands."""
    stream = StringIO(text)
    words = shlex.shlex(stream, posix=True, punctuation_chars=False)
    words.whitespace_split, words.commenters = True, ""
    try:
        word = words.get_token() or ""
    except ValueError:  # a quotation mark that is never closed
        return text, ""
    return word, stream.read().strip()


def _pasted(text: str) -> Path | None:
    """The file of which the whole text is the absolute path."""
    if "\n" in text or not text.strip("'\"").startswith(("/", "~/")):
        return None
    try:
        path = Path(_first_word(text)[0]).expanduser()
        whole = not _first_word(text)[1] and path.is_absolute() and path.is_file()
    except (OSError, RuntimeError, ValueError):
        return None
    return path if whole else None

"""The files of a new project."""

import json
import re
from collections.abc import Iterator
from string import Template

from antiphon.cli.init.answers import DATABASE, Answers

PRIVATE = ".env"
IGNORED = (".env", "data/")

_SETTINGS = Template("""\
# The settings of $name. Everything else is as it comes: `antiphon config --all` shows it,
# `antiphon config check` looks at it, and keys belong into .env.

$model

server:
  port: 4000

$database
""")

_PROGRAM = Template('''\
"""$title: an assistant with a tool of its own. `python app.py` starts it."""

from datetime import date

from antiphon import Assistant, Workspace, tool


@tool
async def days_until(day: str) -> str:
    """How many days it is from today to a day, written as 2030-12-31."""
    days = (date.fromisoformat(day) - date.today()).days
    return f"{days} days"


workspace = Workspace()
workspace.assistants.add(
    Assistant(
        "$name",
        description="Answers questions and counts days.",
        instructions="You are $title. Answer in a few sentences, and use your tools where they help.",
        tools=[days_until],
    )
)

if __name__ == "__main__":
    workspace.run()
''')

_README = Template("""\
# $title

An assistant made with Antiphon.

| Type | Does |
| --- | --- |
| `python app.py` | starts it: the page, the API and the sockets on http://127.0.0.1:4000 |
| `antiphon chat` | talks to it in the terminal |
| `antiphon doctor` | looks at everything it needs, and says what to do |
| `antiphon config` | shows what is set, and where |

The assistant and its tools are in `app.py`, settings in `antiphon.yaml`, keys in `.env`, which git does not see.
""")


def files(answers: Answers) -> Iterator[tuple[str, str]]:
    """Name and text of each file."""
    words = {
        "name": answers.name,
        "title": answers.name.replace("-", " ").replace("_", " ").capitalize(),
        "model": f"default_model: {_yaml(answers.model)}"
        if answers.model
        else "# Which model answers; as long as it is not set, the best that is found.\n"
        "# default_model: openai:gpt-5-mini",
        "database": f"database:\n  url: {_yaml(answers.database)}"
        if answers.database != DATABASE and not _has_password(answers.database)
        else f"# database:\n#   url: {DATABASE}",
    }
    yield "antiphon.yaml", _SETTINGS.substitute(words)
    yield "app.py", _PROGRAM.substitute(words)
    yield "README.md", _README.substitute(words)
    yield ".env.example", "# Copy what you need into .env, which git does not see.\nOPENAI_API_KEY=\n"
    kept = [answers.key] if answers.key else []
    if _has_password(answers.database):
        kept.append(("ANTIPHON_DATABASE__URL", answers.database))
    yield PRIVATE, "".join(f"{name}={_quoted(value)}\n" for name, value in kept) or "# OPENAI_API_KEY=\n"


def _has_password(url: str) -> bool:
    return "@" in url.partition("://")[2] or "password=" in url.lower()


def _yaml(value: str) -> str:
    return value if re.fullmatch(r"[A-Za-z][\w:/.+-]*[\w/]", value) else json.dumps(value)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

"""The API against its own description: what the schema allows is answered as it says, what it forbids is refused."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import schemathesis

from tests.hostile.effort import EFFORT, SECONDS
from tests.serving import Served, Visitors

EXAMPLES = 50
SEED = 20261121
CONVERSATIONS = 60
"""Enough that some are left when others have been deleted."""

SETTINGS = """
[dictionaries]
known = {{ values = {known} }}
people = {{ values = ["local"] }}
answers = {{ values = {answers} }}

[parameters]
"path.conversation_id" = {{ dictionary = "known", probability = 0.6 }}
"path.message_id" = {{ dictionary = "answers", probability = 0.6 }}
"path.person_id" = {{ dictionary = "people", probability = 0.6 }}

[warnings]
fail-on = true

# Nobody's own channel runs here, no socket is known by name, no call waits for a person, nothing is compared, and what
# is remembered one of the operations forgets: there is nothing for these to find.
[[operations]]
include-path = [
  "/api/v1/publish", "/api/v1/realtime/sockets/{{socket}}/disconnect", "/api/v1/approvals/{{approval_id}}",
  "/api/v1/people/{{person_id}}/memory/{{fact_id}}", "/api/v1/experiments/{{name}}",
]
warnings = false
"""


@pytest.mark.timeout(SECONDS)
async def test_the_api_is_what_its_schema_says(served: Served, visitors: Visitors) -> None:
    served.start()
    settings = served.folder / "schemathesis.toml"
    known, answers = await furnish(served.url, visitors)
    settings.write_text(SETTINGS.format(known=json.dumps(known), answers=json.dumps(answers)), encoding="utf-8")
    done = await asyncio.to_thread(judge, served, settings)
    assert done.returncode == 0, done.stdout.decode()
    assert b"32 selected / 32 total" in done.stdout
    assert '"level":"error"' not in served.log
    assert served.stop() == 0


def judge(served: Served, settings: Path) -> subprocess.CompletedProcess[bytes]:
    """All checks in all phases: examples, the edges of every parameter, random values, sequences of calls."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings)),
        *("run", f"{served.url}/openapi.json", "--checks", "all", "--no-color"),
        # A list that was emptied is there, and empty; that a deleted conversation is gone the flows of the API ask.
        *("--exclude-checks", "use_after_free"),
        *("-n", str(EXAMPLES * EFFORT), "--seed", str(SEED)),
        *(() if EFFORT > 1 else ("--generation-deterministic",)),
    ]
    return subprocess.run(command, cwd=served.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


async def furnish(url: str, visitors: Visitors) -> tuple[list[str], list[str]]:
    """Ids of conversations, some with messages of every kind in them, and of answers."""
    client = await visitors.connect(url)
    known = [await visitors.new_conversation(client, f"c{number}") for number in range(CONVERSATIONS)]
    answers: list[str] = []
    for conversation in known[:5]:
        visitor = await visitors.join(client, conversation)
        for text in ("!echo hello", "What is 17*23?", "/status", "/nonsense", "!error 500"):
            ended = await visitor.until("turn_end", turn_id=(await visitor.say(text))["turn_id"])
            answers += [ended["message_id"]] if text.startswith("!echo") else []
    return known, answers


# --- the description ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = Served(tmp_path_factory.mktemp("schema"))
    try:
        with urllib.request.urlopen(f"{server.start().url}/openapi.json") as answer:
            return json.load(answer)
    finally:
        server.end()


def test_it_is_valid(schema: Any) -> None:
    schemathesis.openapi.from_dict(schema).validate()
    assert schema["openapi"].startswith("3.1")


def test_every_operation_and_every_field_is_described(schema: Any) -> None:
    tags = {tag["name"] for tag in schema["tags"] if tag["description"]}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            assert set(operation["tags"]) <= tags
            success = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
            content = success.get("content", {})
            described = content.get("application/json", {}).get("schema", {}).get("$ref")
            assert "204" in operation["responses"] or described or "*/*" in content, (method, path)


def test_every_error_is_a_problem(schema: Any) -> None:
    operations = [operation for methods in schema["paths"].values() for operation in methods.values()]
    for operation in operations:
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"403"} <= set(errors)
        for answer in errors.values():
            problem = {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
            assert answer["content"] == {"application/problem+json": problem}
    assert "HTTPValidationError" not in schema["components"]["schemas"]

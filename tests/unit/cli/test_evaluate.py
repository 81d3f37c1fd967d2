"""`antiphon eval`: the table, the exit code, Ctrl-C and going on, and cases out of a conversation."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from antiphon.assistants.evals.cases import read_cases
from antiphon.cli import evaluate as command
from antiphon.cli.options import EvalOptions
from antiphon.errors import AntiphonError, NotFoundError, ValidationError
from tests.plugins import plugin
from tests.serving import Visitors, environment, serving

CASES: list[dict[str, Any]] = [
    {"id": "percent", "input": "What is 17% of 2340?", "expected": "397.8"},
    {
        "id": "sum",
        "input": "!echo 7",
        "checks": [{"type": "regex", "value": r"\b7\b"}, {"type": "max_tokens", "value": 50}],
    },
    {"id": "wrong", "input": "!echo no", "expected": "yes", "tags": ["hard"]},
]
QUICK = {"detect_local_models": False, "providers": {"demo": {"rate": 0}}}


def written(folder: Path, *cases: dict[str, Any]) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    return path


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Of every run in this process."""
    settings = tmp_path / "a.yaml"
    settings.write_text(json.dumps(QUICK))
    return {"config": settings, "file": written(tmp_path, *CASES)}


def evaluated(capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, str]:
    """The exit code and what was printed."""
    try:
        command.evaluate(EvalOptions(**options))
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, capsys.readouterr().out


def test_a_table_for_people_names_what_went_wrong(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, said = evaluated(capsys, **options, models=["demo"])
    assert code == 0
    for words in ("2/3 67%", "21%–94%", "contains 1/2, regex 1/1, max_tokens 1/1", "$0.000000", "✗ wrong, demo"):
        assert words in said
    assert "'yes' is not in 'no'" in said


@pytest.mark.parametrize(("bound", "code"), [(None, 0), (0.6, 0), (0.7, 1), (0.0, 0)])
def test_a_bound_decides_the_exit_code(
    bound: float | None, code: int, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(capsys, **options, fail_under=bound)[0] == code


def test_programs_read_json(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, said = evaluated(capsys, **options, as_json=True, repeat=2, concurrency=1)
    data = json.loads(said)
    assert code == 0
    assert (data["models"][0]["answers"], data["models"][0]["passed"]) == (6, 4)
    assert [(each["id"], each["run"]) for each in data["results"][:3]] == [("percent", 1), ("percent", 2), ("sum", 1)]
    assert data["results"][4]["tags"] == ["hard"]


def test_what_plugins_bring_is_there_and_runs(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plugin(
        tmp_path / "plugins",
        "kitchen",
        """
        def register(self, house):
            from antiphon.assistants.prompts import Prompt
            from antiphon.providers.demo.provider import DemoProvider

            @tool
            def eggs() -> str:
                "Boil eggs."
                return self.water

            house.add_provider("stove", DemoProvider())
            house.add_prompt("cook", "You cook.")
            house.add_assistant(Assistant("cook", instructions=Prompt("cook"), model="stove:demo", tools=[eggs]))

        async def initialize(self):
            await super().initialize()
            self.water = "boiled"
        """,
    )
    kept = {"plugins": {"folders": [str(tmp_path / "plugins")], "enabled": ["kitchen"]}}
    options["config"].write_text(json.dumps(QUICK | kept))
    file = written(tmp_path, {"id": "eggs", "input": "!tool eggs {}", "expected": "boiled"})
    code, said = evaluated(capsys, **options | {"file": file}, assistant="cook", as_json=True)
    (result,) = json.loads(said)["results"]
    assert (code, result["model"], result["tools"], result["passed"]) == (0, "stove:demo", ["eggs"], True), result


def test_results_that_are_there_are_not_asked_again(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    assert evaluated(capsys, **options, out=out, as_json=True)[0] == 0
    before = out.read_bytes()
    assert len(before.splitlines()) == 3
    _, said = evaluated(capsys, **options, out=out, as_json=True)
    assert out.read_bytes() == before
    assert json.loads(said)["models"][0]["answers"] == 3
    written(tmp_path, *CASES[:2], {**CASES[2], "expected": "no"})
    code, said = evaluated(capsys, **options, out=out, as_json=True, fail_under=1)
    assert (code, len(out.read_bytes().splitlines())) == (0, 4)


def test_what_is_wrong_is_said_before_anything_is_asked(options: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    for wish, error in (
        ({"models": ["demo", "nobody:new"]}, AntiphonError),
        ({"assistant": "nobody"}, AntiphonError),
        ({"assistant": "json:dumps"}, AntiphonError),
        ({"file": tmp_path / "missing"}, ValidationError),
        ({"out": tmp_path / "cases.jsonl"}, ValidationError),
    ):
        with pytest.raises(error):
            command.evaluate(EvalOptions(**{**options, "out": out, **wish}))
    assert not out.exists() or out.read_bytes() == b""
    judged = {"input": "a", "checks": [{"type": "judge", "value": "b", "model": "nobody:new"}]}
    with pytest.raises(AntiphonError, match="nobody"):
        command.evaluate(EvalOptions(**{**options, "file": written(tmp_path, judged)}))


@pytest.mark.parametrize("data", [b"the only copy", b'{"model": "mine"}', b"[" * 100_000 + b"\n", b"\xff\n"])
def test_a_file_that_holds_something_else_stays_as_it_is(data: bytes, options: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "notes"
    out.write_bytes(data)
    with pytest.raises(ValidationError, match="holds something else than results"):
        command.evaluate(EvalOptions(**options, out=out))
    assert out.read_bytes() == data


def test_ctrl_c_keeps_what_is_done_and_another_run_goes_on(tmp_path: Path) -> None:
    """Also with an assistant and a check of the folder itself."""
    (tmp_path / "app.py").write_text(
        "from antiphon import Assistant\n\nguide = Assistant('mine', instructions='Be brief.')\n\n"
        "def short(text, _):\n    return len(text) < 100\n"
    )
    short = {"type": "python", "value": "app:short"}
    cases = [{"input": f"!echo {number}", "checks": [short]} for number in range(3)]
    path = written(tmp_path, *cases, *({"input": f"!hang {number}"} for number in range(3)))
    arguments = [
        sys.executable,
        "-P",
        "-m",
        "antiphon",
        "eval",
        str(path),
        "--assistant",
        "app:guide",
        "--out",
        "out.jsonl",
    ]
    process = subprocess.Popen(
        arguments,
        cwd=tmp_path,
        env=environment(tmp_path, COLUMNS="200"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, give_up = tmp_path / "out.jsonl", time.monotonic() + 20
    while not out.exists() or len(out.read_bytes().splitlines()) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=20)
    assert (process.returncode, "3/3 100%" in printed) == (130, True), (printed, said)
    assert said == "antiphon: stopped with 3 results. Ask the rest with the same --out.\n"
    path.write_text(path.read_text().replace("!hang", "!echo"))
    done = subprocess.run(
        [*arguments, "--fail-under", "1"],
        cwd=tmp_path,
        env=environment(tmp_path, COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, "6/6 100%" in done.stdout) == (0, True), done
    assert len(out.read_bytes().splitlines()) == 6


async def test_turns_of_a_conversation_become_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    visitors, settings, file = Visitors(), tmp_path / "a.yaml", tmp_path / "new.jsonl"
    async with serving(tmp_path) as house:
        settings.write_text(json.dumps(QUICK | {"database": {"url": house.config.database.url}}))
        visitor = await visitors.enter(house.url)
        for text in ("Say hello", "/help", "What is 3+4?"):
            await visitor.ask(text)
        wish = EvalOptions(file=file, config=settings, from_conversation=visitor.conversation_id)
        await asyncio.to_thread(command.evaluate, wish)
        assert capsys.readouterr().out == f"2 cases written to {file}.\n"
        first, second = read_cases(file)
        assert [message.role for message in second.messages] == ["user", "assistant", "user"]
        assert (first.question, second.question, second.checks[0].kind) == ("Say hello", "What is 3+4?", "judge")
        assert second.expected is not None
        assert "7" in second.expected
        with pytest.raises(ValidationError, match="cannot be written"):
            await asyncio.to_thread(command.evaluate, wish)
        strange = EvalOptions(file=tmp_path / "other", config=settings, from_conversation="nothing")
        with pytest.raises(NotFoundError, match="'nothing'"):
            await asyncio.to_thread(command.evaluate, strange)
    await visitors.close()

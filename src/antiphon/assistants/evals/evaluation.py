"""Asks every case of every model, and keeps each result as soon as it is there."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2s
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import instructions_of
from antiphon.assistants.evals.cases import EvalCase
from antiphon.assistants.evals.checks import AnyCheck, Looked
from antiphon.assistants.state import StatesInMemory
from antiphon.assistants.trial import Trial, Trials
from antiphon.domain import FORMAT, Outcome, new_id, now
from antiphon.errors import AntiphonError, ValidationError
from antiphon.runtime.files import lock_now
from antiphon.runtime.tasks import gather_with_concurrency

Key = tuple[str, str, int, str]

_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)
"""On which instructions are compared: those that name the date are the same tomorrow."""
_BEGINS = b'{"model":'
"""How the line of a result begins."""


class Checked(Struct, frozen=True, kw_only=True):
    type: str
    passed: bool
    reason: str | None = None


class EvalResult(Struct, frozen=True, kw_only=True):
    """One answer to one case. `digest` changes when the case or the assistant does. `error` says why it cannot be
    judged; one with an error is asked again when a run is taken up."""

    model: str
    id: str
    run: int
    digest: str
    passed: bool
    status: Outcome
    text: str
    checks: tuple[Checked, ...] = ()
    error: str | None = None
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    elapsed_ms: float = 0.0

    @property
    def key(self) -> Key:
        return self.model, self.id, self.run, self.digest


class Evaluation:
    """Evaluates `assistant`. Cases without a judge's model of their own are judged by `judge`.

    Tools are carried out; a call that a person must allow is not.
    """

    def __init__(self, trials: Trials, assistant: Assistant, *, judge: str) -> None:
        self._trials = trials
        self._assistant = assistant
        self._judge = judge
        self._instructions = instructions_of(assistant, "", now(), trials.prompts)
        self._who = self._described(assistant)

    async def run(
        self,
        cases: Sequence[EvalCase],
        models: Sequence[str],
        *,
        repeat: int = 1,
        concurrency: int = 4,
        done: Collection[Key] = (),
        keep: Callable[[EvalResult], object] = lambda _: None,
    ) -> list[EvalResult]:
        """The results of everything but what is `done`; `keep` is called with each at once, so that who cancels it has
        what there is. Raises `ModuleError` or `ValidationError` for a model that cannot be asked."""

        by_id = {case.id: case for case in cases}

        async def one(key: Key) -> EvalResult:
            result = await self._ask(by_id[key[1]], key)
            keep(result)
            return result

        wanted = (key for key in self.keys(cases, models, repeat=repeat) if key not in done)
        return await gather_with_concurrency(concurrency, (one(key) for key in wanted))

    def keys(self, cases: Sequence[EvalCase], models: Sequence[str], *, repeat: int = 1) -> Iterator[Key]:
        """Of all results that a run has, in their order."""
        for case in cases:
            digest = self._digest(case)
            for model in models:
                for number in range(1, repeat + 1):
                    yield model, case.id, number, digest

    async def _ask(self, case: EvalCase, key: Key) -> EvalResult:
        model, _, number, digest = key
        states, conversation = StatesInMemory(), new_id()
        for name, fields in case.state.items():
            kept = msgspec.json.encode({"format": FORMAT, "fields": fields}).decode()
            await states.put(conversation, name, kept)
        prompt = case.prompt(self._instructions)
        trial = await self._trials.answer(self._assistant, model, prompt, states=states, conversation_id=conversation)
        answered = trial.ended.status == "answered"
        checks, error = await self._check(case, trial) if answered else ((), trial.ended.reason or "no answer")
        usage = trial.ended.usage
        return EvalResult(
            model=model,
            id=case.id,
            run=number,
            digest=digest,
            passed=error is None and all(check.passed for check in checks),
            status=trial.ended.status,
            text=trial.ended.text,
            checks=checks,
            error=error,
            tools=tuple(call.name for call in trial.calls),
            tags=case.tags,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=usage.cost,
            elapsed_ms=trial.elapsed_ms,
        )

    async def _check(self, case: EvalCase, trial: Trial) -> tuple[tuple[Checked, ...], str | None]:
        looked = Looked(
            question=case.question, expected=case.expected, trial=trial, trials=self._trials, judge=self._judge
        )
        results: list[Checked] = []
        for check in case.all_checks:
            try:
                problem = await _problem(check, looked)
            except AntiphonError as error:
                return tuple(results), f"{check.kind}: {error.public}"
            results.append(Checked(type=check.kind, passed=problem is None, reason=problem))
        return tuple(results), None

    def _digest(self, case: EvalCase) -> str:
        return blake2s(msgspec.json.encode([case, self._who]), digest_size=8).hexdigest()

    def _described(self, assistant: Assistant) -> list[Any]:
        """What makes its answers, as far as it can be written down: of code of its own there is the name."""
        return [
            assistant.name,
            instructions_of(assistant, "", _SOME_DAY, self._trials.prompts),
            assistant.specs,
            (assistant.temperature, assistant.max_tokens, assistant.max_steps),
            assistant.output and assistant.output.schema,
            assistant.strategy and type(assistant.strategy).__qualname__,
            [(guardrail.name, guardrail.action, guardrail.on) for guardrail in assistant.guardrails],
            [self._described(member) for member in assistant.team],
        ]


async def _problem(check: AnyCheck, looked: Looked) -> str | None:
    try:
        return await check.problem(looked)
    except AntiphonError:
        raise
    except Exception as error:  # noqa: BLE001 - a stranger's check: it fails, the evaluation goes on
        return f"{check.kind} failed itself: {type(error).__name__}: {error}"


def _was_cut(line: bytes) -> bool:
    """Whether this may be the beginning of a result; it is nobody's whole text then."""
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line[: len(_BEGINS)] == _BEGINS[: len(line)]
    except RecursionError:
        pass
    return False


class ResultFile:
    """Results as JSONL, to which each is added when it is there; what an earlier run has left is `known`.

    Raises `ValidationError` for a file that holds something else, and for one to which another run adds. Whoever makes
    it closes it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a+b")
            ours = lock_now(self._file)
            self._file.seek(0)
            data = self._file.read()
        except OSError as error:
            raise ValidationError(f"{path} cannot be written: {error.strerror}.") from None
        if not ours:
            self._file.close()
            raise ValidationError(f"Another run adds its results to {path}. Wait for its end, or name another --out.")
        whole = data[: data.rfind(b"\n") + 1]
        cut = data[len(whole) :]
        try:
            found = [msgspec.json.decode(line, type=EvalResult) for line in whole.splitlines()]
        except (msgspec.DecodeError, RecursionError):
            found = None
        if found is None or not _was_cut(cut):
            self._file.close()
            raise ValidationError(f"{path} holds something else than results. Name another file for --out.")
        self._file.truncate(len(whole))  # a line that a crash has cut is asked again
        self.known = {result.key: result for result in found}

    def add(self, result: EvalResult) -> None:
        self._file.write(msgspec.json.encode(result) + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

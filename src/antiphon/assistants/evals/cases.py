"""Sets of questions: JSONL, a case a line, read whole before anything is asked."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from antiphon.assistants.evals.checks import KINDS, AnyCheck, Contains
from antiphon.errors import ValidationError
from antiphon.providers.base import ChatMessage
from antiphon.runtime.files import whole_file

_SHOWN = 5
"""Lines that are named when some are wrong."""


class EvalMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was said before the question, or the question."""

    role: Literal["system", "user", "assistant"]
    content: str


class EvalCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A question with what its answer must keep.

    It is `input`, or the last of `messages`, which may begin with other instructions. `expected` alone means that it is
    to be contained in the answer. `state` is what tools find, by the names of classes.
    """

    id: str = ""
    input: str | None = None
    messages: tuple[EvalMessage, ...] = ()
    expected: str | None = None
    checks: tuple[AnyCheck, ...] = ()
    tags: tuple[str, ...] = ()
    state: dict[str, dict[str, Any]] = {}

    def __post_init__(self) -> None:
        if (self.input is None) == (not self.messages):
            raise ValueError("a case has either `input` or `messages`")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last of `messages` is the question, with the role user")
        if not self.question.strip():
            raise ValueError("the question is empty")

    @property
    def question(self) -> str:
        return self.input if self.input is not None else self.messages[-1].content

    @property
    def all_checks(self) -> tuple[AnyCheck, ...]:
        return self.checks or (() if self.expected is None else (Contains(value=self.expected),))

    def prompt(self, instructions: ChatMessage) -> tuple[ChatMessage, ...]:
        """What a model is asked; `instructions` where the case has none of its own."""
        if self.input is not None:
            return (instructions, ChatMessage(role="user", text=self.input))
        said = tuple(ChatMessage(role=each.role, text=each.content) for each in self.messages)
        return said if said[0].role == "system" else (instructions, *said)


_decoder = msgspec.json.Decoder(EvalCase)


def read_cases(path: Path) -> list[EvalCase]:
    """The cases of a file; one without an id is called by its line. Raises `ValidationError` naming the lines that are
    wrong."""
    try:
        lines = path.read_text("utf-8").split("\n")  # a text may hold what else ends lines
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"{path} cannot be read: {error}.") from None
    cases: dict[str, EvalCase] = {}
    wrong: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = _decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            wrong.append(f"line {number}: {_reason(error)}")
            continue
        case = case if case.id else structs.replace(case, id=f"line {number}")
        if case.id in cases:
            wrong.append(f"line {number}: the id {case.id!r} is there already")
        cases[case.id] = case
    if wrong:
        more = f"\nand {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ValidationError(f"{path} cannot be used.\n" + "\n".join(wrong[:_SHOWN]) + more)
    if not cases:
        raise ValidationError(f"{path} holds no case. Write one JSON object a line, with `input` and `expected`.")
    return list(cases.values())


def write_cases(path: Path, cases: Iterable[EvalCase]) -> int:
    """How many were written. Raises `ValidationError` when the file is there already or cannot be made."""
    written: Sequence[bytes] = [msgspec.json.encode(case) + b"\n" for case in cases]
    try:
        with whole_file(path) as file:
            file.writelines(written)
    except OSError as error:
        raise ValidationError(f"{path} cannot be written: {error.strerror}.") from None
    return len(written)


def _reason(error: Exception) -> str:
    said = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return f"this is not JSON ({said})"
    if "$.checks[" in said and said.startswith("Invalid value"):
        return f"{said}; a check has the type {', '.join(KINDS)}"
    return said

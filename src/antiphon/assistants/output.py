"""An answer for programs: JSON of a form, checked, and asked for again where it is not."""

import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from importlib import import_module
from itertools import islice
from typing import Any

import msgspec
import pydantic
from msgspec import structs
from pydantic import TypeAdapter

from antiphon.assistants.answer import ANSWER_LIMIT
from antiphon.domain import Usage
from antiphon.errors import ConfigError, ValidationError
from antiphon.providers.around import Around
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelRequest,
    OutputSchema,
    Provider,
    TextDelta,
    ToolCallEnd,
    UsageReport,
)

PROBLEMS = 5
"""What is wrong with one answer, at most, that is named."""

REPAIRS = 2
"""How often a model is told what is wrong with its answer before that is given up."""

_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class AnswerForm:
    """The form of an answer: a pydantic model, any type pydantic knows, or a JSON Schema of any draft, whose references
    stay inside of it. Raises `ConfigError` for what has no JSON form."""

    def __init__(self, wish: Any) -> None:
        self._adapter: TypeAdapter[Any] | None = None
        if isinstance(wish, Mapping):
            self._validator = _validator(wish)
            self.schema = OutputSchema(name=_named(wish.get("title", "answer")), schema=wish)
            return
        try:
            self._adapter = TypeAdapter(wish)
            schema = self._adapter.json_schema()
        except (pydantic.errors.PydanticUserError, TypeError) as error:
            raise ConfigError(f"output={wish!r} has no JSON form; give a pydantic model or a JSON Schema.") from error
        self.schema = OutputSchema(name=_named(getattr(wish, "__name__", "answer")), schema=schema)

    def read(self, text: str) -> Any:
        """The data: an instance of the model, or what JSON has. Raises `ValidationError` saying what is wrong."""
        bare = _unfenced(text)
        try:
            if self._adapter is not None:
                return self._adapter.validate_json(bare)
            data = msgspec.json.decode(bare)
            wrong = [_problem(error) for error in islice(self._validator.iter_errors(data), PROBLEMS)]
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            wrong = [_said(each["loc"], each["msg"]) for each in found[:PROBLEMS]]
        except (msgspec.DecodeError, RecursionError, ValueError) as error:  # the last: nested too deeply
            raise ValidationError(f"The answer is not JSON that can be read: {error}.") from None
        if wrong:
            raise ValidationError(f"The answer does not have the form that is wanted: {'; '.join(wrong)}.")
        return data


class Formed(Around):
    """Asks for answers of a form. Nothing of one is let out before all of it has that form; an answer that calls tools
    may say what it likes, and one that its vendor cut short ends as such."""

    def __init__(self, inner: Provider, output: AnswerForm) -> None:
        super().__init__(inner)
        self._output = output

    def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        return self._formed(structs.replace(request, output=request.output or self._output.schema))

    async def _formed(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        spent: Usage | None = None
        for left in range(REPAIRS, -1, -1):
            tried = _Attempt()
            async with aclosing(self._attempt(request, tried)) as events:
                async for event in events:
                    yield event
            spent = tried.usage if spent is None else spent + (tried.usage or Usage())
            if tried.finish is None:
                return
            if isinstance(tried.finish, Error):
                if spent is not None:
                    yield UsageReport(spent)
                yield tried.finish
                return
            problem = None if tried.calls or tried.finish.reason != "stop" else self._problem(tried.text)
            if problem is None:
                if spent is not None:
                    yield UsageReport(spent)
                if tried.text:
                    yield TextDelta(tried.text)
                yield tried.finish
                return
            request = _told(request, tried.text, problem)
            if not left:
                if spent is not None:
                    yield UsageReport(spent)
                yield Error("protocol", problem, "The model did not answer in the form that is wanted. Ask again.")

    async def _attempt(self, request: ModelRequest, tried: "_Attempt") -> AsyncGenerator[Event, None]:
        """One answer: what is not kept back."""
        async with aclosing(self._provider.stream(request)) as events:
            async for event in events:
                if not tried.take(event):
                    yield event
                if tried.length > ANSWER_LIMIT:  # nobody behind this counts what is kept back
                    tried.finish = Finish("length")
                    return

    def _problem(self, text: str) -> str | None:
        try:
            self._output.read(text)
        except ValidationError as error:
            return str(error)
        return None


class _Attempt:
    """One answer of the model, as far as it is kept back."""

    def __init__(self) -> None:
        self.finish: Finish | Error | None = None
        self.usage: Usage | None = None
        self.calls = False
        self.length = 0
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self, event: Event) -> bool:
        """Whether it is kept back."""
        match event:
            case TextDelta(text=text):
                self._pieces.append(text)
                self.length += len(text)
            case UsageReport(usage=usage):
                self.usage = usage
            case Finish() | Error():
                self.finish = event
            case _:
                self.calls = self.calls or isinstance(event, ToolCallEnd)
                return False
        return True


def _told(request: ModelRequest, text: str, problem: str) -> ModelRequest:
    """The request again, behind what the model said and what is wrong with it."""
    said = (ChatMessage(role="assistant", text=text),) if text.strip() else ()
    again = ChatMessage(role="user", text=f"{problem} Answer again, with nothing but the corrected JSON.")
    return structs.replace(request, messages=(*request.messages, *said, again))


def _unfenced(text: str) -> str:
    """Without the fence that models like to put around code. No expression, which would try every way to share a long
    run of line feeds between its parts: minutes for an answer of some thousand."""
    first, _, rest = text.strip().partition("\n")
    return rest.removesuffix("```") if first.startswith("```") and rest.endswith("```") else text


def _named(name: str) -> str:
    return _NAME.sub("_", name)[:64] or "answer"


def _validator(schema: Mapping[str, Any]) -> Any:
    """Loaded when there is a schema to check, and never out for one that is elsewhere. Its sentences do not quote."""
    try:
        return import_module("jsonschema_rs").validator_for(dict(schema), mask="the value", offline=True)
    except (TypeError, ValueError) as error:
        why = getattr(error, "message", error)
        raise ConfigError(f"A JSON Schema that is wanted of an answer cannot be used: {why}.") from None


def _problem(error: Any) -> str:
    """Where none of several forms fits, what is wrong with the part that was looked at furthest inside."""
    inner = [each for form in getattr(error.kind, "context", ()) for each in form]
    deepest = max(inner, key=lambda each: len(each.instance_path), default=error)
    if len(deepest.instance_path) > len(error.instance_path):
        return _problem(deepest)
    return _said(error.instance_path, " and ".join(each.message for each in inner[:PROBLEMS] or [error]))


def _said(path: Iterable[object], message: str) -> str:
    return f"{'.'.join(map(str, path)) or 'it'}: {message}"

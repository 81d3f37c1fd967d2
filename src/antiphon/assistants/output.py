"""An answer for programs: JSON of a form, checked, and asked for again where it is not."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

import msgspec
import pydantic
from msgspec import structs
from pydantic import TypeAdapter

from antiphon.assistants.answer import ANSWER_LIMIT
from antiphon.assistants.around import Around
from antiphon.domain import Usage
from antiphon.errors import ConfigError, ValidationError
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

REPAIRS = 2
"""How often a model is told what is wrong with its answer before that is given up."""

_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class AnswerForm:
    """The form of an answer: a pydantic model, any type pydantic knows, or a JSON Schema. Raises `ConfigError` for what
    has no JSON form."""

    def __init__(self, wish: Any) -> None:
        self._adapter: TypeAdapter[Any] | None = None
        if isinstance(wish, Mapping):
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
        except pydantic.ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False, include_context=False)
            named = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in wrong[:5])
            raise ValidationError(f"The answer does not have the form that is wanted: {named}.") from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"The answer is not JSON: {error}.") from None
        if problem := next(_problems(data, self.schema.schema, "it"), None):
            raise ValidationError(f"The answer does not have the form that is wanted: {problem}.")
        return data


class Formed(Around):
    """Asks for answers of a form. Nothing of one is let out before all of it has that form; an answer that calls tools
    may say what it likes, and one that its vendor cut short ends as such."""

    def __init__(self, inner: Provider, output: AnswerForm) -> None:
        super().__init__(inner)
        self._output = output

    def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
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
        async with aclosing(self._ask(request)) as events:
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


_KINDS: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "number": (int, float),
        "null": (type(None),),
    }
)


def _problems(data: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong by the part of JSON Schema that vendors hold answers to: types, fields, items, choices."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(data, kind) for kind in kinds):
        yield f"{where} is to be of type {' or '.join(kinds)}"
        return
    if "enum" in schema and data not in schema["enum"]:
        yield f"{where} is to be one of {', '.join(map(str, schema['enum']))}"
    if isinstance(data, dict):
        fields = schema.get("properties", {})
        yield from (f"{where} lacks {name}" for name in schema.get("required", ()) if name not in data)
        if schema.get("additionalProperties") is False:
            yield from (f"{where} must not have {name}" for name in data if name not in fields)
        for name, part in fields.items():
            if name in data:
                yield from _problems(data[name], part, name if where == "it" else f"{where}.{name}")
    elif isinstance(data, list) and isinstance(schema.get("items"), Mapping):
        for at, item in enumerate(data):
            yield from _problems(item, schema["items"], f"{where}[{at}]")


def _is(data: Any, kind: str) -> bool:
    return isinstance(data, _KINDS.get(kind, (object,))) and (kind == "boolean" or not isinstance(data, bool))

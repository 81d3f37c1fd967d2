"""Typed state: what an assistant keeps of a conversation from one turn to the next, also over a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self, TypeVar

import msgspec
import pydantic
from pydantic import BaseModel, ConfigDict, PrivateAttr, TypeAdapter
from pydantic.fields import FieldInfo

from antiphon.domain import FORMAT
from antiphon.errors import ConfigError, ServiceError, ValidationError
from antiphon.runtime.base import TurnValue
from antiphon.storage.base import StateStore

S = TypeVar("S", bound="State")

_NOTHING_YET: tuple[Any, ...] = (None, "", 0, 0.0, False, [], {})
"""What a field without a default begins with: the first of these that its type takes as it is."""


class State(BaseModel, TurnValue):
    """Fields of a conversation, each with a type:

        class Basket(State):
            items: list[str]
            currency: str = "EUR"

    A tool with a parameter of the type `Basket` is given the one of its conversation, and what it changes is kept. A
    field without a default begins empty. Fields that a newer version of the program has added are kept unread; a value
    of a wrong type raises `ValidationError` naming the field. It is kept under the name of the class.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    _unread: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, **values: Any) -> None:
        with _Told(type(self)):
            super().__init__(**values)

    def __setattr__(self, name: str, value: Any) -> None:
        with _Told(type(self)):
            super().__setattr__(name, value)

    @classmethod
    def fresh(cls) -> Self:
        """As a conversation begins with it. Raises `ConfigError` for a field that can neither be empty nor has a
        default."""
        missing = {name: field for name, field in cls.model_fields.items() if field.is_required()}
        return cls(**{field.alias or name: _empty(cls, name, field) for name, field in missing.items()})

    @classmethod
    def read(cls, data: str) -> Self:
        """From what `written` gave. Raises `ServiceError` when this version cannot read it."""
        stored = msgspec.json.decode(data)
        if stored["format"] > FORMAT:
            raise ServiceError(f"The state {cls.__name__} was kept by a newer version of Antiphon: update this one.")
        fields: dict[str, Any] = stored["fields"]
        names = {field.alias or name for name, field in cls.model_fields.items()}
        unread = {name: value for name, value in fields.items() if name not in names}
        begun = {name: value for name, value in cls.fresh().fields().items() if name in names}
        made = cls(**begun | {name: value for name, value in fields.items() if name in names})
        made._unread = unread
        return made

    def written(self) -> str:
        """As text to keep. Raises `ValidationError` when something of a wrong type was put into a field."""
        fields = self.fields()
        type(self)(**fields)
        return msgspec.json.encode({"format": FORMAT, "fields": self._unread | fields}).decode()

    def fields(self) -> dict[str, Any]:
        """The values as JSON has them."""
        return self.model_dump(mode="json", by_alias=True, warnings=False)


class StatesInMemory:
    """A `StateStore` that keeps things as long as it lives."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], str] = {}

    async def get(self, conversation_id: str, name: str) -> str | None:
        return self._kept.get((conversation_id, name))

    async def put(self, conversation_id: str, name: str, data: str) -> None:
        self._kept[conversation_id, name] = data


class TurnStates:
    """The states of one conversation as one turn has them: all who ask for one are given the same."""

    def __init__(self, store: StateStore, conversation_id: str) -> None:
        self._store = store
        self._conversation_id = conversation_id
        self._held: dict[type[State], State] = {}
        self._kept: dict[type[State], str] = {}
        self._loading = asyncio.Lock()

    @asynccontextmanager
    async def lend(self, kind: type[S]) -> AsyncIterator[S]:
        """The state, for as long as somebody reads or changes it; behind that it is kept as it is by then."""
        state = await self._load(kind)
        try:
            yield state
        finally:
            await self._keep(state)

    async def _load(self, kind: type[S]) -> S:
        async with self._loading:
            held = self._held.get(kind)
            if not isinstance(held, kind):
                data = await self._store.get(self._conversation_id, kind.__name__)
                held = kind.fresh() if data is None else kind.read(data)
                self._held[kind], self._kept[kind] = held, held.written()
        return held

    async def _keep(self, state: State) -> None:
        kind, data = type(state), state.written()
        if data != self._kept[kind]:
            await self._store.put(self._conversation_id, kind.__name__, data)
            self._kept[kind] = data


class _Told:
    """Says what pydantic found wrong in one sentence of ours."""

    def __init__(self, kind: type[State]) -> None:
        self._kind = kind

    def __enter__(self) -> None: ...

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: object) -> None:
        if isinstance(error, pydantic.ValidationError):
            wrong = error.errors(include_url=False, include_input=False, include_context=False)
            named = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong)
            raise ValidationError(f"{self._kind.__name__} does not take these values. {named}.") from None


def _empty(kind: type[State], name: str, field: FieldInfo) -> Any:
    typed: Any = Annotated[field.annotation, name, *field.metadata]
    takes = TypeAdapter(typed)
    for value in _NOTHING_YET:
        try:
            return takes.validate_python(value, strict=True)
        except pydantic.ValidationError:
            continue
    raise ConfigError(f"State {kind.__name__}: {name} has no default and cannot be empty; give it a default.")

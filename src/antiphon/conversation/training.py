"""Examples for training, made of stored conversations: a row is a conversation, in the format of OpenAI's chat."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from hashlib import blake2s
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from antiphon.assistants.answer import replay
from antiphon.assistants.dialogue import instructions_of
from antiphon.assistants.directory import Directory
from antiphon.assistants.estimate import tokens
from antiphon.assistants.prompts import PromptManager
from antiphon.domain import Message
from antiphon.errors import ValidationError
from antiphon.providers.base import ChatMessage, ModelRequest
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.storage.base import Store
from antiphon.storage.turns import PastTurn

LONGEST_ROW = 64_000
"""Tokens (estimated) of an example: longer ones are cut by vendors, so that they teach half an answer."""

_PAGE = 500


class Wanted(Struct, frozen=True, kw_only=True):
    """Which turns are examples: those that a model answered whole, by one assistant only, since then, and only `liked`
    answers. `masked` is what each text becomes before it leaves the house."""

    assistant: str | None = None
    since: datetime | None = None
    liked: bool = False
    masked: Callable[[str], str] = lambda text: text


class TrainingReport(Struct, frozen=True, kw_only=True):
    """What was found: `tokens` is an estimate. Conversations that say the same are one row, and those that are too long
    are none."""

    rows: int = 0
    turns: int = 0
    tokens: int = 0
    doubled: int = 0
    too_long: int = 0


class TrainingData:
    """Reads the examples of a store."""

    def __init__(self, store: Store, assistants: Directory, prompts: PromptManager, wanted: Wanted) -> None:
        self._store = store
        self._prompts = prompts
        self._assistants = assistants
        self._wanted = wanted
        self._seen: set[bytes] = set()
        self._found: Counter[str] = Counter()

    @property
    def report(self) -> TrainingReport:
        """What was found by now."""
        return TrainingReport(**self._found)

    async def rows(self) -> AsyncIterator[bytes]:
        """Lines of JSONL, the oldest conversation first; the `report` is whole at the end."""
        by_conversation: dict[str, list[PastTurn]] = {}
        async for past in self._turns():
            by_conversation.setdefault(past.turn.conversation_id, []).append(past)
        for conversation_id, turns in by_conversation.items():
            messages = await self._messages(conversation_id, turns)
            if not messages:
                continue
            example = self._example(turns[-1], messages)
            row = msgspec.json.encode(example) + b"\n"
            said = msgspec.json.encode(example["messages"][1:])  # without the instructions, which name the day
            digest = blake2s(said).digest()
            if (size := tokens(len(row))) > LONGEST_ROW:
                self._found["too_long"] += 1
            elif digest in self._seen:
                self._found["doubled"] += 1
            else:
                self._seen.add(digest)
                self._found.update(rows=1, turns=len({message.turn_id for message in messages}), tokens=size)
                yield row

    async def _turns(self) -> AsyncIterator[PastTurn]:
        wanted, after = self._wanted, ""
        while page := await self._store.turns.page(since=wanted.since, after=after, limit=_PAGE):
            for past in page:
                record = past.record
                if record.outcome == "answered" and wanted.assistant in {None, record.assistant}:
                    yield past
            after = page[-1].turn.id

    async def _messages(self, conversation_id: str, turns: list[PastTurn]) -> list[Message]:
        """Those of the turns alone, in their order; none where nothing of it is wanted."""
        found, before = list[Message](), None
        ids = {past.turn.id for past in turns}
        while page := await self._store.conversations.messages(conversation_id, before=before, limit=_PAGE):
            found += [message for message in page if message.turn_id in ids and message.in_context]
            before = min(message.position for message in page)
        if self._wanted.liked:
            liked = {each.turn_id for each in found if each.feedback is not None and each.feedback.verdict == "up"}
            found = [message for message in found if message.turn_id in liked]
        return sorted(found, key=lambda message: (message.ticket, message.position))

    def _example(self, past: PastTurn, messages: list[Message]) -> dict[str, Any]:
        assistant = self._assistants.serving(past.record.assistant or "")
        instructions = instructions_of(assistant, "", past.turn.created_at, self._prompts)
        said = [instructions, *(each for message in messages for each in _said(message))]
        masked = tuple(self._masked(each) for each in said)
        encoded = OpenAIChat().encode(ModelRequest(model="", messages=masked, tools=assistant.specs))
        body = msgspec.json.decode(encoded)
        return {name: body[name] for name in ("messages", "tools") if name in body}

    def _masked(self, message: ChatMessage) -> ChatMessage:
        masked = self._wanted.masked
        calls = tuple(structs.replace(call, arguments=masked(call.arguments)) for call in message.calls)
        return structs.replace(message, text=masked(message.text), calls=calls, reasoning=None, opaque=None, keep=False)


def examined(data: bytes) -> TrainingReport:
    """What a file of examples holds. Raises `ValidationError` naming the first line that no vendor would take."""
    turns = 0
    rows = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    for number, line in rows:
        try:
            example = msgspec.json.decode(line, type=_Example)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"Line {number} is no example: {error}.") from None
        if not example.messages or example.messages[-1].role != "assistant":
            raise ValidationError(f"Line {number} is no example: its last message is not of the assistant.")
        turns += sum(each.role == "user" for each in example.messages)
    if not rows:
        raise ValidationError("The file holds no example.")
    return TrainingReport(
        rows=len(rows), turns=turns, tokens=tokens(len(data)), doubled=len(rows) - len({line for _, line in rows})
    )


class _Said(Struct, frozen=True):
    role: Literal["system", "developer", "user", "assistant", "tool"]


class _Example(Struct, frozen=True):
    messages: list[_Said]


def _said(message: Message) -> Iterator[ChatMessage]:
    if message.role == "user":
        yield ChatMessage(role="user", text=message.text)
    elif message.role == "assistant":
        yield from replay(message.parts) if message.parts else [ChatMessage(role="assistant", text=message.text)]

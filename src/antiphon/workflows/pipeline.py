"""A text goes through stages: it is cleaned, understood, answered, and the answer is given its form."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import msgspec
from msgspec import Struct

from antiphon.assistants.state import StatesInMemory, TurnStates
from antiphon.assistants.strategies import ResponseContext
from antiphon.domain import new_id
from antiphon.errors import AntiphonError, ConfigError, ProcessingError
from antiphon.providers.base import DEMO, ChatMessage, ModelRequest, OutputSchema, Provider
from antiphon.providers.demo.provider import DemoProvider
from antiphon.search.lexical import LexicalIndex
from antiphon.tools.base import ToolContext

INTENTS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "greeting": ("hello", "hi", "hey", "good morning", "good evening"),
        "thanks": ("thanks", "thank you very much", "that helped"),
        "farewell": ("bye", "goodbye", "see you later", "good night"),
        "help": ("help", "what can you do", "how does this work"),
        "complaint": ("this is wrong", "it does not work", "I am not satisfied", "that is a mistake"),
        "question": ("who is it", "when was that", "where can I find", "why is it so", "how many are there"),
    }
)
"""What people mean, each with a few ways to say it: enough to begin with."""

OTHER = "other"
"""The intent of a text that is like none of the examples."""


class Work(Struct, kw_only=True):
    """What goes through the stages, which change it. `text` is the person's, `answer` is None until there is one; a
    stage that sets `done` is the last. `data` is for what stages have to tell each other."""

    text: str
    context: ResponseContext
    intent: str | None = None
    confidence: float = 0.0
    answer: str | None = None
    done: bool = False
    data: dict[str, Any] = {}


@runtime_checkable
class Stage(Protocol):
    """One step of a pipeline."""

    async def process(self, work: Work) -> None:
        """Changes `work`. What it raises ends the pipeline."""
        ...


class Pipeline:
    """Takes texts through `stages`, in their order.

    `await pipeline.run("…")` alone, or as an assistant's way to answer: `Assistant("guide", strategy=pipeline)`. Alone,
    `provider` is asked for `model`; without one the built-in demo model.
    """

    def __init__(self, stages: Sequence[Stage], *, provider: Provider | None = None, model: str = DEMO) -> None:
        for stage in stages:
            if isinstance(stage, type) or not isinstance(stage, Stage):
                raise ConfigError(f"{stage!r} is no stage; give an object with `async def process(self, work)`.")
        if not stages:
            raise ConfigError("A pipeline has at least one stage.")
        self.stages = tuple(stages)
        self._provider = provider or DemoProvider()
        self._model = model

    async def run(self, text: str) -> str:
        """What comes out: the answer, or the text as the stages left it where none of them answered. Raises
        `ProcessingError` naming the stage that failed, and `ProviderError`."""
        asked = ModelRequest(model=self._model, messages=(ChatMessage(role="user", text=text),))
        turn = ToolContext(
            person_id="somebody", conversation_id=new_id(), turn_id=new_id(), message_id=new_id(), assistant="pipeline"
        )
        states = TurnStates(StatesInMemory(), turn.conversation_id)
        return await self._through(Work(text=text, context=ResponseContext(asked, self._provider, turn, states)))

    async def generate_response(self, context: ResponseContext) -> str:
        """As a `ResponseStrategy`."""
        return await self._through(Work(text=context.question, context=context))

    async def _through(self, work: Work) -> str:
        for stage in self.stages:
            try:
                await stage.process(work)
            except AntiphonError:
                raise
            except Exception as error:
                raise ProcessingError(
                    f"The stage {type(stage).__name__} failed with {type(error).__name__}."
                ) from error
            if work.done:
                break
        return work.text if work.answer is None else work.answer


class TextPreprocessor:
    """Brings a text into one form: no invisible characters, composed letters, single spaces, at most `limit`
    characters."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit

    async def process(self, work: Work) -> None:
        composed = unicodedata.normalize("NFC", work.text)
        seen = "".join(each for each in composed if each in "\n\t" or unicodedata.category(each) not in {"Cc", "Cf"})
        lines = (" ".join(line.split()) for line in seen.splitlines())
        work.text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()[: self._limit]


class IntentClassifier:
    """Finds what a person means, out of `intents`, each with ways to say it (BM25 over these examples).

    With `by_model` the turn's model decides, and the examples are what it is told; `least` is the confidence, 0 to 1,
    below which an intent counts as `other`.
    """

    def __init__(
        self, intents: Mapping[str, Sequence[str]] = INTENTS, *, by_model: bool = False, least: float = 0.3
    ) -> None:
        if not intents:
            raise ConfigError("IntentClassifier: name at least one intent, with examples.")
        self._intents = intents
        self._by_model = by_model
        self._least = least
        self._names = [name for name, examples in intents.items() for _ in examples]
        self._examples = [example for examples in intents.values() for example in examples]
        self._index = LexicalIndex(self._examples)
        # How well each example fits itself: that is what a text is measured against.
        self._own = [
            next((match.score for match in self._index.search(each, len(self._examples)) if match.position == at), 1.0)
            for at, each in enumerate(self._examples)
        ]

    async def process(self, work: Work) -> None:
        found, confidence = await self._asked(work) if self._by_model else self._likest(work.text)
        work.intent, work.confidence = (found, confidence) if confidence >= self._least else (OTHER, confidence)

    def _likest(self, text: str) -> tuple[str, float]:
        best, most = OTHER, 0.0
        for match in self._index.search(text, len(self._examples)):
            likeness = min(1.0, match.score / self._own[match.position])
            if likeness > most:
                best, most = self._names[match.position], likeness
        return best, most

    async def _asked(self, work: Work) -> tuple[str, float]:
        schema = {
            "type": "object",
            "properties": {"intent": {"type": "string", "enum": [*self._intents, OTHER]}},
            "required": ["intent"],
            "additionalProperties": False,
        }
        examples = "\n".join(f"{name}: {'; '.join(examples)}" for name, examples in self._intents.items())
        answer = await work.context.ask(
            work.text,
            instructions=f"Say what the person means, as one of these intents, or {OTHER}.\n{examples}",
            output=OutputSchema(name="intent", schema=schema),
        )
        try:
            intent = str(msgspec.json.decode(answer)["intent"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return OTHER, 0.0
        return (intent, 1.0) if intent in self._intents else (OTHER, 0.0)


class ResponseGenerator:
    """Answers: with the text in `replies` for the intent, else by the turn's model, which is told what was meant."""

    def __init__(self, replies: Mapping[str, str] | None = None, *, instructions: str = "") -> None:
        self._replies = replies or {}
        self._instructions = instructions

    async def process(self, work: Work) -> None:
        work.answer = self._replies.get(work.intent or OTHER)
        if work.answer is not None:
            return
        if self._instructions:
            work.context.instruct(self._instructions)
        work.answer = await work.context.generate(work.text)


class OutputFormatter:
    """Tidies an answer up: blank lines, a code block that was left open; at most `limit` characters, cut behind a
    sentence where there is one."""

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise ConfigError("OutputFormatter: limit must be greater than 0.")
        self._limit = limit

    async def process(self, work: Work) -> None:
        text = work.text if work.answer is None else work.answer
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.strip().splitlines()))
        if self._limit is not None and len(text) > self._limit:
            text = _cut(text, self._limit)
        if len(re.findall(r"^```", text, re.MULTILINE)) % 2:
            text += "\n```"
        work.answer = text


def _cut(text: str, limit: int) -> str:
    kept = text[:limit]
    ends = [found.end() for found in re.finditer(r"[.!?…](?=\s|$)", kept)]
    return kept[: ends[-1]] if ends and ends[-1] > limit // 2 else f"{kept[:-1].rstrip()}…"

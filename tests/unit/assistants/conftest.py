"""An answer with a tool in it, what a model sees of a conversation, and which model that is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.selector import Choice, ModelSelector
from antiphon.domain import AnyPart, Conversation, Person, TextPart, ToolPart, now
from antiphon.providers.base import ChatMessage

TODAY = datetime(2026, 11, 21, 12, tzinfo=UTC)
PROVIDERS = ("one", "two", "demo")


def looked_up(result: str) -> tuple[AnyPart, ...]:
    call = ToolPart(call_id="1", name="look", arguments="{}", status="done", result=result)
    return (TextPart(text="Looking."), call, TextPart(text="Found."))


def texts(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    return [(chat.role, chat.text) for chat in messages]


def choose(models: Mapping[str, str], providers: tuple[str, ...] = PROVIDERS) -> Choice:
    """What is chosen on Telegram where each step of `models` is set."""
    conversation = Conversation(
        id="c",
        title="",
        assistant="guide",
        created_at=now(),
        updated_at=now(),
        person_id="p",
        adapter="telegram",
        model=models.get("conversation"),
    )
    person = Person(id="p", name="Ada", created_at=now(), preferred_model=models.get("user"))
    platforms = {"discord": "one:other"} | ({"telegram": models["channel"]} if "channel" in models else {})
    selector = ModelSelector(lambda: models.get("system") or "", providers, platforms)
    return selector.choose(conversation, person, Assistant("guide", model=models.get("assistant")))

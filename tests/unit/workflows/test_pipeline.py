"""Stages: each alone, all together, a user's own among them; alone and as an assistant's way to answer."""

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import Dialogue
from antiphon.errors import ConfigError, ProcessingError, ProviderError
from antiphon.testing.models import ScriptedModel
from antiphon.workflows.pipeline import (
    IntentClassifier,
    OutputFormatter,
    Pipeline,
    ResponseGenerator,
    Stage,
    TextPreprocessor,
    Work,
)

ORDERS = {"order": ["I want to order a pizza", "bring me something"], "cancel": ["cancel my order", "never mind"]}


class Shout:
    async def process(self, work: Work) -> None:
        work.answer = (work.answer or work.text).upper()


class Note:
    def __init__(self) -> None:
        self.seen: list[tuple[str | None, bool]] = []

    async def process(self, work: Work) -> None:
        self.seen.append((work.intent, work.confidence > 0))


class Doorman:
    """Answers itself, and lets nobody further."""

    async def process(self, work: Work) -> None:
        work.answer, work.done = "We are closed.", True


class Breaks:
    async def process(self, work: Work) -> None:
        raise ValueError(work.text)


async def classified(classifier: IntentClassifier, text: str, model: ScriptedModel | None = None) -> str | None:
    note = Note()
    await Pipeline([classifier, note], provider=model).run(text)
    return note.seen[0][0]


async def test_the_four_together_answer_by_the_demo_model() -> None:
    pipeline = Pipeline([TextPreprocessor(), IntentClassifier(), ResponseGenerator(), OutputFormatter()])
    assert await pipeline.run("  Hello  ")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  a \t b  ", "a b"),
        ("a\u200bb\x00c", "abc"),
        ("e\u0301", "\u00e9"),
        ("one\r\n\r\n\r\n\r\ntwo", "one\n\ntwo"),
        ("x" * 30, "x" * 20),
        ("", ""),
    ],
)
async def test_a_text_is_brought_into_one_form(text: str, clean: str) -> None:
    assert await Pipeline([TextPreprocessor(limit=20)]).run(text) == clean


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("I'd like to order a pizza please", "order"),
        ("Cancel my order!", "cancel"),
        ("never mind", "cancel"),
        ("the weather is nice", "other"),
        ("", "other"),
    ],
)
async def test_an_intent_is_found_by_examples(text: str, intent: str) -> None:
    assert await classified(IntentClassifier(ORDERS), text) == intent


@pytest.mark.parametrize(
    ("text", "intent"),
    [("Hello!", "greeting"), ("thank you", "thanks"), ("How many are there?", "question"), ("Goodbye", "farewell")],
)
async def test_there_are_intents_to_begin_with(text: str, intent: str) -> None:
    assert await classified(IntentClassifier(), text) == intent


@pytest.mark.parametrize(
    ("said", "intent"),
    [('{"intent": "order"}', "order"), ('{"intent": "steal"}', "other"), ("order", "other"), ("[]", "other")],
)
async def test_an_intent_is_found_by_a_model(said: str, intent: str) -> None:
    model = ScriptedModel().says(said)
    assert await classified(IntentClassifier(ORDERS, by_model=True), "pizza", model) == intent
    (request,) = model.requests
    assert request.output is not None
    assert request.output.schema["properties"]["intent"]["enum"] == ["order", "cancel", "other"]
    assert "never mind" in request.messages[0].text


async def test_a_reply_that_is_laid_down_needs_no_model() -> None:
    model = ScriptedModel().says("I do not know.")
    stages: list[Stage] = [
        IntentClassifier(ORDERS),
        ResponseGenerator({"cancel": "It is cancelled."}, instructions="Be kind."),
    ]
    pipeline = Pipeline(stages, provider=model)
    assert await pipeline.run("cancel my order") == "It is cancelled."
    assert model.requests == []
    assert await pipeline.run("what?") == "I do not know."
    assert [message.text for message in model.requests[0].messages] == ["Be kind.", "what?"]


@pytest.mark.parametrize(
    ("text", "limit", "formed"),
    [
        ("a  \n\n\n\nb\n", None, "a\n\nb"),
        ("```python\nx = 1", None, "```python\nx = 1\n```"),
        ("One. Two is longer.", 12, "One. Two is…"),
        ("One and two. Three", 15, "One and two."),
    ],
)
async def test_an_answer_is_given_its_form(text: str, limit: int | None, formed: str) -> None:
    assert await Pipeline([OutputFormatter(limit)]).run(text) == formed


async def test_own_stages_stand_among_ours_and_may_end_it() -> None:
    note = Note()
    assert isinstance(note, Stage)
    assert await Pipeline([TextPreprocessor(), Shout(), OutputFormatter()]).run(" hi ") == "HI"
    assert await Pipeline([Doorman(), note]).run("Hello") == "We are closed."
    assert note.seen == []


async def test_what_fails_names_the_stage_and_not_the_text() -> None:
    with pytest.raises(ProcessingError, match=r"^The stage Breaks failed with ValueError\.$"):
        await Pipeline([Breaks()]).run("my diary")
    with pytest.raises(ProviderError):
        await Pipeline([ResponseGenerator()], provider=ScriptedModel().fails("quota")).run("Hello")


async def test_an_assistant_answers_by_it_and_knows_what_was_said_before() -> None:
    model = ScriptedModel().says("Aye").says("Sure")
    stages: list[Stage] = [
        TextPreprocessor(),
        IntentClassifier(ORDERS),
        ResponseGenerator({"cancel": "Done."}),
        Shout(),
    ]
    dialogue = Dialogue(Assistant("guide", instructions="Be kind.", strategy=Pipeline(stages)), model, "m")
    assert (await dialogue.process_message("a  pizza")).text == "AYE"
    assert (await dialogue.process_message("cancel my order")).text == "DONE."
    assert (await dialogue.process_message("and now?")).text == "SURE"
    texts = [message.text for message in model.requests[-1].messages]
    assert texts == ["Be kind.", "a  pizza", "AYE", "cancel my order", "DONE.", "and now?"]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Pipeline([]), "at least one stage"),
        (lambda: Pipeline([Shout]), "no stage"),  # type: ignore[list-item]
        (lambda: Pipeline([str.upper]), "no stage"),  # type: ignore[list-item]
        (lambda: IntentClassifier({}), "at least one intent"),
        (lambda: OutputFormatter(0), "greater than 0"),
    ],
)
def test_what_cannot_work_is_refused(make: object, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()  # type: ignore[operator]

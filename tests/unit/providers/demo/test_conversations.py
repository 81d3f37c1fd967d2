"""Golden conversations: what a newcomer types in the first minute, and what comes back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from antiphon.assistants.tools import forget
from antiphon.providers.base import Finish, ToolSpec

Begin = Callable[..., Any]

MANUAL = json.dumps(
    [
        {
            "title": "Chatting › How do I stop an answer?",
            "text": "Press the stop button. The text so far is kept.",
            "source": "docs/guides/chatting.md#stop",
        },
        {
            "title": "Models › How do I connect Ollama?",
            "text": "Start Ollama and restart: it is found by\nitself. No key is needed. Cats purr.\n\n"
            "```sh\nollama serve\n```\n\nThat was all.",
            "source": "docs/guides/models.md#ollama",
        },
    ]
)


def test_the_first_answer_says_what_it_is_and_the_second_does_not(talk: Begin) -> None:
    conversation = talk()
    first = conversation.ask("hi")
    assert first.startswith("*No model is configured. I am the built-in demo model: rules and search, no AI.")
    assert "OPENAI_API_KEY" in first
    assert "start Ollama" in first
    assert "What is 17% of 2340?" in first
    assert "No model is configured" not in conversation.ask("hello")


def test_the_first_answer_is_introduced_once_when_a_tool_is_called(talk: Begin) -> None:
    conversation = talk(calculator="4")
    assert conversation.ask("2+2").count("No model is configured") == 1
    assert conversation.messages[1].text == ""


@pytest.mark.parametrize("greeting", ["hi", "Hello!", "hey there", "Good morning", "HELLO", "你好", "привет", "¡Hola!"])
def test_a_greeting_is_answered_with_what_can_be_done(talk: Begin, greeting: str) -> None:
    assert "Work things out" in talk().ask(greeting)


@pytest.mark.parametrize("question", ["help", "What can you do?", "what can I ask?", "", "   ", "?", "surprise me"])
def test_what_can_be_done_names_only_tools_that_are_offered(
    talk: Begin, house: dict[str, ToolSpec], question: str
) -> None:
    answer = talk(tools={"clock": house["clock"]}).ask(question)
    assert "Tell the time" in answer
    assert "Work things out" not in answer


@pytest.mark.parametrize(
    ("question", "expression"),
    [
        ("2+2", "2+2"),
        ("What is 17% of 2340?", "17% of 2340"),
        ("what's 12 times 12", "12 * 12"),
        ("how much is 1,234.5 plus 10?", "1234.5 + 10"),
        ("calculate (3 + 4) * 5 please", "(3 + 4) * 5"),
        ("square root of 144", "sqrt(144)"),
        ("2 to the power of 10", "2 ** 10"),
        ("10 divided by 4 =", "10 / 4"),
        ("20% off 50", "50 - 20% of 50"),
        ("use the calculator to compute 5*5", "5*5"),
        ("15 km in miles", "15 km in miles"),
        ("convert 100 fahrenheit to celsius", "100 fahrenheit in celsius"),
        ("how many cm in an inch?", "1 inch in cm"),
        ("How many days are in 3 weeks?", "3 weeks in days"),
    ],
)
def test_sums_go_to_the_calculator(talk: Begin, question: str, expression: str) -> None:
    conversation = talk(calculator="42")
    assert "**42**" in conversation.ask(question)
    assert conversation.called == [("calculator", {"expression": expression})]


@pytest.mark.parametrize(
    "text",
    ["2026-11-21 was fine", "I am 42", "support 24/7", "room 3-4 is free", "version 2.0", "10 apples in 3 boxes", "5"],
)
def test_numbers_alone_are_no_sum(talk: Begin, text: str) -> None:
    conversation = talk()
    conversation.ask(text)
    assert "calculator" not in {name for name, _ in conversation.called}


def test_what_the_calculator_refuses_is_passed_on(talk: Begin) -> None:
    answer = talk(calculator="That divides by zero, which has no result.").ask("1/0")
    assert "has no number for `1/0`: That divides by zero" in answer


def test_measures_are_rounded_and_sums_are_not(talk: Begin) -> None:
    assert "**9.32057 miles**" in talk(calculator="9.32056788356001 miles").ask("15 km in miles")
    assert "**0.333333333333333**" in talk(calculator="0.333333333333333").ask("1/3")


@pytest.mark.parametrize(
    ("question", "zones"),
    [
        ("what time is it?", [{}]),
        ("What's the date today?", [{}]),
        ("what time is it in Tokyo", [{"timezone": "Tokyo"}]),
        ("What time is it in Tokyo and New York?", [{"timezone": "Tokyo"}, {"timezone": "New York"}]),
        ("what time is it in Rio de Janeiro, Oslo and Paris right now?", [
            {"timezone": "Rio de Janeiro"}, {"timezone": "Oslo"}, {"timezone": "Paris"}]),
        ("what time is it in Europe/Berlin", [{"timezone": "Europe/Berlin"}]),
        ("what time is it at the moment", [{}]),
        ("time", [{}]),
    ],
)  # fmt: skip
def test_the_time_comes_from_the_clock(talk: Begin, question: str, zones: list[dict[str, str]]) -> None:
    conversation = talk(clock=lambda arguments: f"noon {arguments.get('timezone', 'here')}")
    answer = conversation.ask(question)
    assert conversation.called == [("clock", zone) for zone in zones]
    assert all(f"noon {zone.get('timezone', 'here')}" in answer for zone in zones)


def test_and_in_another_place_goes_on_with_the_time(talk: Begin) -> None:
    conversation = talk(clock="noon")
    conversation.ask("what time is it in Tokyo?")
    conversation.ask("and in Paris?")
    assert conversation.called == [("clock", {"timezone": "Paris"})]


def test_another_day_is_said_to_be_beyond_the_clock(talk: Begin) -> None:
    assert "The clock knows only now." in talk(clock="Saturday").ask("what day is it tomorrow?")


def test_notes_are_kept_and_found(talk: Begin) -> None:
    kept: list[str] = []

    def remember(arguments: dict[str, str]) -> str:
        kept.append(arguments["text"])
        return f"Remembered: {arguments['text']}"

    def recall(_: object) -> str:
        return "\n".join(f"- {note} (noted 2026-11-21)" for note in kept) or "Nothing found."

    conversation = talk(remember=remember, recall=recall)
    assert "Your notes hold nothing" in conversation.ask("What do you know about me?")
    assert "Remembered: my favourite colour is green" in conversation.ask("Remember that my favourite colour is green.")
    conversation.ask("please remember: my dog is called Argos")
    assert kept == ["my favourite colour is green", "my dog is called Argos"]
    assert "my favourite colour is green" in conversation.ask("What is my favourite colour?")
    everything = conversation.ask("what do you know about me?")
    assert "Argos" in everything
    assert "green" in everything
    assert "green" not in conversation.ask("what do you remember about my dog?")


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [
        ("Forget that my dog is called Argos.", {"text": "my dog is called Argos"}),
        ("please forget about my dog", {"text": "my dog"}),
        ("can you forget my favourite colour?", {"text": "my favourite colour"}),
        ("delete the note about my dog", {"text": "my dog"}),
        ("remove the fact that I like tea", {"text": "I like tea"}),
        ("forget everything you know about me", {"everything": True}),
        ("Forget me.", {"everything": True}),
        ("erase all my notes", {"everything": True}),
    ],
)
def test_what_is_to_be_forgotten_is_deleted_by_the_tool(talk: Begin, wish: str, wanted: dict[str, Any]) -> None:
    spec = ToolSpec(name="forget", description=forget.description, parameters=forget.parameters)
    conversation = talk(tools={"forget": spec}, forget="Forgotten: it")
    assert "Forgotten: it" in conversation.ask(wish)
    assert conversation.called == [("forget", wanted)]


@pytest.mark.parametrize("wish", ["forget it", "forget about it", "delete the file report.txt", "don't forget to eat"])
def test_what_names_nothing_to_forget_deletes_nothing(talk: Begin, wish: str) -> None:
    conversation = talk(remember="Remembered.")
    conversation.ask(wish)
    assert "forget" not in [name for name, _ in conversation.called]


def test_a_name_is_not_kept_unless_it_is_asked_for(talk: Begin) -> None:
    conversation = talk()
    assert "Nice to meet you, Ana" in conversation.ask("Hi, my name is Ana")
    assert conversation.called == []


def test_earlier_conversations_are_searched_for_the_topic(talk: Begin) -> None:
    conversation = talk(search_conversations='- Lunch is at noon (the person, 2026-11-20, in "Plans")')
    assert "Lunch is at noon" in conversation.ask("What did I say about lunch?")
    assert conversation.called == [("search_conversations", {"query": "lunch"})]
    assert "found nothing about *dinner*" in conversation.ask("what did we say about dinner")


@pytest.mark.parametrize("question", ["Who is here?", "who else is online", "Who's in this chat?", "am I alone?"])
def test_who_is_here_is_asked_of_the_tool(talk: Begin, question: str) -> None:
    people = ToolSpec(name="people_present", description="Say who is here.", parameters={"type": "object"})
    conversation = talk(tools={"people_present": people}, people_present="- Ada: here since 2026-11-21 10:00 UTC")
    assert conversation.ask(question).endswith("In this conversation now:\n\n- Ada: here since 2026-11-21 10:00 UTC")
    assert conversation.called == [("people_present", {})]
    assert "no `people_present` tool" in talk().ask(question)
    empty = talk(tools={"people_present": people}, people_present="Nobody has this conversation open now.")
    assert empty.ask(question).endswith("Nobody has this conversation open now.")


@pytest.mark.parametrize("question", ["who are you?", "Who wrote Hamlet?", "is it here that I pay?"])
def test_other_people_are_not_looked_for(talk: Begin, question: str) -> None:
    people = ToolSpec(name="people_present", description="Say who is here.", parameters={"type": "object"})
    conversation = talk(tools={"people_present": people}, people_present="- Ada")
    conversation.ask(question)
    assert conversation.called == []


def test_this_conversation_is_read_back_from_the_request(talk: Begin) -> None:
    conversation = talk(calculator="4")
    conversation.ask("2+2")
    assert "> 2+2" in conversation.ask("What did I just say?")
    assert "> 2+2" in conversation.ask("what was my first question?")
    assert "1. 2+2" in conversation.ask("summarize our conversation")
    assert conversation.called == []


def test_a_question_is_answered_by_quoting_the_manual_with_its_source(talk: Begin) -> None:
    conversation = talk(search_manual=MANUAL, recall="- I like ollamas (noted 2026-11-21)")
    answer = conversation.ask("How do I connect Ollama?")
    assert {name for name, _ in conversation.called} == {"search_manual", "recall"}
    assert len(conversation.calls) == 2
    assert "> Start Ollama and restart: it is found by itself." in answer
    assert "```sh\nollama serve\n```" in answer
    assert "*Models › How do I connect Ollama?* (`docs/guides/models.md#ollama`)" in answer
    assert "I like ollamas" in answer
    assert "stop button" not in answer


def test_what_does_not_fit_is_not_quoted(talk: Begin) -> None:
    answer = talk(search_manual=MANUAL, recall="- my favourite colour is green").ask("What is the capital of France?")
    assert "I found nothing about *capital france* in the manual or your notes" in answer
    assert "green" not in answer
    assert "Ollama" not in answer.partition("restart.*")[2]


@pytest.mark.parametrize("wish", ["tell me a joke", "Write a poem about the sea", "translate hello to French", "joke"])
def test_what_takes_a_real_model_is_said_with_the_way_to_one(talk: Begin, wish: str) -> None:
    answer = talk(search_manual=MANUAL).ask(wish)
    assert "That takes a real model" in answer
    assert "```sh\nollama serve\n```" in answer


def test_without_a_search_tool_nothing_is_invented(talk: Begin) -> None:
    conversation = talk(tools={})
    for question in ("Who is Einstein?", "tell me a joke", "what time is it?", "2+2", "remember that I am tall"):
        conversation.ask(question)
        assert conversation.called == []
    assert "no `clock` tool is offered" in conversation.ask("what time is it?")
    assert "no `calculator` tool is offered" in conversation.ask("2+2")
    assert "no `remember` tool is offered" in conversation.ask("remember that I am tall")
    assert "no `recall` tool is offered" in conversation.ask("what do you know about me?")
    assert "no search tool is offered" in conversation.ask("Who is Einstein?")


def test_several_questions_are_answered_at_once(talk: Begin) -> None:
    conversation = talk(clock="noon", calculator="27")
    answer = conversation.ask("Hi! What time is it in Berlin, and what is 3 * (4 + 5)? Thanks!")
    assert conversation.called == [("clock", {"timezone": "Berlin"}), ("calculator", {"expression": "3 * (4 + 5)"})]
    assert "noon" in answer
    assert "**27**" in answer
    assert "welcome" not in answer


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("Who are you?", "no name and no opinions"),
        ("are you ChatGPT?", "no name and no opinions"),
        ("thanks!", "You are welcome"),
        ("how are you?", "all rules in place"),
        ("Hello, how are you?", "all rules in place"),
        ("test", "It works"),
        ("bye", "Goodbye"),
        ("count to 5", "1, 2, 3, 4, 5."),
        ("show me some markdown", "| --- |"),
        ("what tools do you have?", "`calculator`: Compute an expression."),
        ("stop", "stop button"),
        ("clear", "`/reset`"),
        ("why?", "other words"),
        ("I like pizza.", "*remember that I like pizza*"),
        ("how old are you?", "no name"),
        ("remind me to call mom", "I have no tool for that (*remind me*)"),
        ("👍", "👍 to you too"),
        ("how does it do that?", "did not understand"),
    ],
)
def test_small_talk(talk: Begin, question: str, part: str) -> None:
    conversation = talk()
    assert part in conversation.ask(question)
    assert {name for name, _ in conversation.called} <= {"search_manual"}


def test_it_thinks_visibly_before_it_calls(talk: Begin) -> None:
    conversation = talk()
    conversation.ask("How do I connect Ollama?")
    assert "I look in the manual and your notes" in conversation.thought


def test_a_tool_that_failed_is_reported(talk: Begin) -> None:
    assert "`clock` could not do it: broken" in talk(clock="Error: broken").ask("what time is it?")
    answer = talk(search_manual="error: index gone").ask("How do I connect Ollama?")
    assert "reported an error" in answer


# --- any other tool -----------------------------------------------------------------------------------------------

WEATHER = ToolSpec(
    name="weather_forecast",
    description="The weather of a city.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 1},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
LIGHTS = ToolSpec(
    name="set_light",
    description="Switches a lamp of the house.",
    parameters={
        "type": "object",
        "properties": {"state": {"$ref": "#/$defs/State"}, "room": {"type": "string", "enum": ["kitchen", "hall"]}},
        "required": ["state", "room"],
        "$defs": {"State": {"type": "string", "enum": ["on", "off"]}},
    },
)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the weather forecast for Lisbon?", ("weather_forecast", {"city": "Lisbon"})),
        ("weather of the city in New York for 3 days", ("weather_forecast", {"city": "New York", "days": 3})),
        ("use weather_forecast city=Oslo", ("weather_forecast", {"city": "Oslo"})),
        ("set the light in the kitchen on", ("set_light", {"state": "on", "room": "kitchen"})),
    ],
)
def test_a_tool_is_found_by_its_description(talk: Begin, question: str, expected: tuple[str, Any]) -> None:
    conversation = talk(
        tools={"weather_forecast": WEATHER, "set_light": LIGHTS}, weather_forecast="Sunny.", set_light='{"ok": true}'
    )
    conversation.ask(question)
    assert conversation.called == [expected]


def test_a_tool_whose_arguments_are_not_said_is_not_called(talk: Begin) -> None:
    conversation = talk(tools={"set_light": LIGHTS})
    answer = conversation.ask("set the light")
    assert conversation.called == []
    assert "`set_light state=… room=…`" in answer
    assert "did" not in conversation.ask("how do I set a light?") or conversation.called == []


def test_json_answers_of_tools_are_shown_as_code(talk: Begin) -> None:
    conversation = talk(tools={"set_light": LIGHTS}, set_light='{"ok": true}')
    assert '```json\n{"ok": true}\n```' in conversation.ask("set light off in the hall")
    assert conversation.ending == Finish("stop")

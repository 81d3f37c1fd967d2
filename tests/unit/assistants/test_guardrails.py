"""What must not pass does not: in any cutting of the stream, in both directions, told to the person."""

import asyncio
import itertools
import time
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import GuardrailSettings
from antiphon.assistants.dialogue import AssistantReply, Dialogue
from antiphon.assistants.guardrails import LONG, Guardrail, Sieve, check, judge, length, pattern
from antiphon.assistants.private import of_the_house, personal_data, secrets
from antiphon.domain import NoticePart, ReasoningPart, TextPart, ToolPart, Usage
from antiphon.errors import ConfigError
from antiphon.providers.base import (
    Event,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from antiphon.testing.models import ScriptedModel

KEY = "sk-" + "a1" * 20
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ" + "x" * 300 + ".sig"
CARD = "4111 1111 1111 1111"
IBAN = "DE89 3704 0044 0532 0130 00"


async def ask(text: str, model: ScriptedModel, *guardrails: Guardrail) -> AssistantReply:
    assistant = Assistant("guide", instructions="Be kind.", guardrails=guardrails)
    return await Dialogue(assistant, model, "m").process_message(text)


def notices(reply: AssistantReply) -> list[str]:
    return [part.code for part in reply.parts if isinstance(part, NoticePart)]


def sifted(pieces: Iterable[str], guardrails: Sequence[Guardrail]) -> str:
    sieve = Sieve(guardrails)
    return "".join([*(sieve.take(piece) for piece in pieces if sieve.refused is None), sieve.rest()])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("write to ann.lee+x@mail.example.com.", "write to [e-mail address]."),
        ("call +47 22 33 44 55 now", "call [phone number] now"),
        ("call 0171/555-0123", "call [phone number]"),
        (f"card {CARD}!", "card [card number]!"),
        ("card 4111 1111 1111 1112!", "card 4111 1111 1111 1112!"),
        (f"to {IBAN} please", "to [account number] please"),
        ("to GB82 WEST 1234 5698 7654 33 now", "to GB82 WEST 1234 5698 7654 33 now"),
        ("in 2026 there were 1234567 of 3.14159265", "in 2026 there were 1234567 of 3.14159265"),
        ("@ann at example", "@ann at example"),
    ],
)
def test_personal_data_is_told_from_what_only_looks_like_it(text: str, clean: str) -> None:
    assert judge(text, [personal_data()]).text == clean


@pytest.mark.parametrize("secret", [KEY, "ghp_" + "Ab1" * 12, "AKIAABCDEFGHIJKLMNOP", JWT, "xoxb-123456789-abc"])
def test_keys_are_known_and_words_are_not(secret: str) -> None:
    judged = judge(f"my key is {secret} ok", [secrets()])
    assert judged.refused is not None
    assert judge(f"my key is {secret} ok", [secrets(action="mask")]).text == "my key is [secret] ok"
    assert judge("a risk-taking sk-i lift, task-force-of-the-year", [secrets()]).found == ()


async def test_what_is_refused_on_the_way_in_reaches_no_model() -> None:
    model = ScriptedModel().says("Yes.")
    reply = await ask(f"Is {KEY} good?", model, secrets())
    assert (reply.status, model.requests) == ("refused", [])
    assert reply.reason is not None
    assert KEY not in reply.reason


async def test_what_was_refused_reaches_no_model_with_the_next_message_either() -> None:
    model = ScriptedModel().says("Hello.")
    dialogue = Dialogue(Assistant("guide", guardrails=[secrets(), length(200)]), model, "m")
    assert (await dialogue.process_message(f"It is {KEY}")).status == "refused"
    assert (await dialogue.process_message("x" * 250)).status == "refused"
    assert (await dialogue.process_message("Hello")).status == "answered"
    assert [message.text for message in model.requests[0].messages[1:]] == ["It is [secret]", "x" * 200 + "…", "Hello"]


@pytest.mark.parametrize("at", [16_384 * 2 + shift for shift in (-40, -20, -19, -18, -10, -1, 0, 1)])
def test_what_stands_at_the_border_of_a_step_is_found_as_anywhere(at: int) -> None:
    guardrails = [personal_data(), secrets(action="mask")]
    for found, mask in ((CARD, "[card number]"), (IBAN, "[account number]"), (KEY, "[secret]"), (JWT, "[secret]"),
                        ("ann@example.com", "[e-mail address]"), ("sk-" + "x1" * 20_000, "[secret]")):  # fmt: skip
        before, behind = ". " * (at // 2) + " " * (at % 2), " ." * 20_000
        assert judge(before + found + behind, guardrails).text == before + mask + behind
    assert judge("1" * 50_000, guardrails).found == ()


async def test_a_long_text_holds_up_nobody_else() -> None:
    async def beats() -> None:
        while True:
            times.append(time.process_time())
            await asyncio.sleep(0.001)

    times: list[float] = []
    beating = asyncio.create_task(beats())
    assert (
        await ask("x" * 1_000_000 + f" {CARD}", ScriptedModel().says("Ok."), personal_data(), secrets())
    ).text == "Ok."
    beating.cancel()
    assert max(later - now for now, later in itertools.pairwise(times)) < 0.2


async def test_a_long_text_is_looked_at_like_any_other() -> None:
    model = ScriptedModel().says("Hello.")
    reply = await ask("x " * LONG + KEY, model, secrets(action="mask"))
    assert reply.status == "answered"
    assert model.requests[0].messages[-1].text == "x " * LONG + "[secret]"
    assert (await ask("x " * LONG + KEY, ScriptedModel(), secrets())).status == "refused"


async def test_what_is_masked_on_the_way_in_is_masked_in_every_later_request() -> None:
    model = ScriptedModel().says("Fine.").says("Sure.")
    assistant = Assistant("guide", guardrails=[personal_data()])
    dialogue = Dialogue(assistant, model, "m")
    first = await dialogue.process_message("I am ann@example.com")
    second = await dialogue.process_message("Who am I?")
    assert first.text == "Fine."
    assert (notices(first), notices(second)) == (["guardrail"], [])
    for request in model.requests:
        assert request.messages[1].text == "I am [e-mail address]"


async def test_a_forbidden_word_ends_the_answer_before_it_is_out() -> None:
    model = ScriptedModel().says("We like ", "the ", "for", "bid", "den thing")
    reply = await ask("Hm?", model, pattern("words", r"\bforbidden\b", says="Not that word."))
    assert (reply.status, reply.text, reply.reason) == ("interrupted", "We like the ", "Not that word.")
    assert notices(reply) == ["filtered"]
    reply = await ask("Hm?", ScriptedModel().says("forbidden"), pattern("words", "forbidden"))
    assert (reply.status, notices(reply)) == ("refused", ["filtered"])


async def test_an_answer_is_masked_and_told() -> None:
    model = ScriptedModel().says("Write to ann@ex", "ample.com or call.")
    reply = await ask("Hm?", model, personal_data(on="out"))
    assert (reply.status, reply.text) == ("answered", "Write to [e-mail address] or call.")
    assert notices(reply) == ["guardrail"]


async def test_a_warning_changes_nothing_but_is_told_once() -> None:
    model = ScriptedModel().says("bad bad ", "bad")
    reply = await ask("bad", model, pattern("words", "bad", action="warn", says="Mind your words."))
    assert reply.text == "bad bad bad"
    assert notices(reply) == ["guardrail"]


async def test_functions_and_lengths_are_guardrails_too() -> None:
    shouting = check(str.isupper, says="Do not shout.", name="shouting")
    assert (await ask("HELLO", ScriptedModel(), shouting)).reason == "Do not shout."
    assert (await ask("Hello", ScriptedModel().says("Hi"), shouting)).text == "Hi"
    assert (await ask("Hello", ScriptedModel(), length(4))).reason == "At most 4 characters can be said at once."
    model = ScriptedModel().says("Hi")
    await ask("Hello", model, length(4, action="mask"))
    assert model.requests[0].messages[-1].text == "Hell…"


async def test_text_before_a_tool_goes_out_before_it() -> None:
    call = ToolCall(id="1", name="missing", arguments="{}")
    model = ScriptedModel().plays(TextDelta("A moment."), ToolCallStart(0, "1", "missing"), ToolCallEnd(0, call),
                                  Finish("tool_calls")).says("Done.")  # fmt: skip
    reply = await ask("Hm?", model, personal_data(on="out"))
    assert reply.text == "A moment.\n\nDone."
    assert [type(part) for part in reply.parts] == [TextPart, ToolPart, TextPart]
    assert reply.calls[0].status == "failed"


@pytest.mark.parametrize(
    "between", [ToolCallStart(0, "1", "x"), ReasoningDelta("", {"google": []}), UsageReport(Usage())]
)
async def test_what_comes_between_the_pieces_of_a_text_does_not_let_it_out(between: Event) -> None:
    model = ScriptedModel().plays(TextDelta(CARD[:9]), between, TextDelta(CARD[9:]), Finish("stop"))
    assert (await ask("Hm?", model, personal_data(on="out"))).text == "[card number]"
    model = ScriptedModel().plays(TextDelta(KEY[:9]), between, TextDelta(KEY[9:]), Finish("stop"))
    reply = await ask("Hm?", model, secrets(on="out"))
    assert KEY[9:] not in "".join(part.text for part in reply.parts if isinstance(part, TextPart))
    assert reply.status == "refused"


async def test_what_a_model_thinks_aloud_is_looked_at_too() -> None:
    signature = {"anthropic": [{"block": {"thinking": f"It is {CARD}."}}]}
    thought = (
        ReasoningDelta("It is 4111 1111"),
        ReasoningDelta(CARD[9:]),
        ReasoningDelta("."),
        ReasoningDelta("", signature),
    )
    model = ScriptedModel().plays(*thought, TextDelta("I know it."), Finish("stop"))
    reply = await ask("Hm?", model, personal_data(on="out"))
    assert reply.parts[0] == ReasoningPart(text="It is [card number].")
    assert (reply.text, notices(reply)) == ("I know it.", ["guardrail"])
    reply = await ask("Hm?", ScriptedModel().plays(*thought, TextDelta("No."), Finish("stop")), secrets(on="out"))
    assert reply.parts[0] == ReasoningPart(text=f"It is {CARD}.", opaque=signature)


async def test_a_thought_that_must_not_be_seen_ends_the_answer() -> None:
    model = ScriptedModel().plays(
        ReasoningDelta(f"{KEY[:9]}"), ReasoningDelta(KEY[9:]), TextDelta("Ok."), Finish("stop")
    )
    reply = await ask("Hm?", model, secrets(on="out"))
    assert (reply.status, [type(part) for part in reply.parts]) == ("refused", [NoticePart])


@pytest.mark.parametrize("secret", ["sk-proj-" + "Ab1_" * 39, "github_pat_" + "a1B" * 60, "xoxb-" + "12-ab" * 40])
def test_a_long_key_is_masked_to_its_end(secret: str) -> None:
    assert judge(f"It is {secret}.", [secrets(action="mask")]).text == "It is [secret]."
    assert sifted(list(f"It is {secret}."), [secrets(action="mask")]) == "It is [secret]."


@given(st.text("ab @.c1", max_size=300), st.lists(st.integers(1, 40), max_size=60), st.integers(0, 300))
def test_any_cutting_gives_the_same_as_the_whole(text: str, cuts: list[int], at: int) -> None:
    text = f"{text[:at]} ann@example.com {text[at:]} {KEY} "
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(text[start : start + cut])
        start += cut
    pieces.append(text[start:])
    guardrails = [personal_data(["email"], on="out"), secrets(action="mask")]
    out = sifted(pieces, guardrails)
    assert "ann@example.com" not in out
    assert KEY not in out
    assert out == judge(text, guardrails).text


@given(st.lists(st.sampled_from(["x", "harm", "less ", "ful", " "]), max_size=200), st.integers(0, 400))
def test_nothing_refused_is_ever_out(words: list[str], size: int) -> None:
    whole = "".join(words)
    rule = pattern("word", "harmful")
    out = sifted([whole[:size], *whole[size:]], [rule])
    assert "harmful" not in out
    assert out == whole.partition("harmful")[0]


LONG_ONES = {
    r"acme.*merger": "acme" + "." * 500 + "merger",
    r"acme.{0,300}merger": "acme" + "." * 300 + "merger",
    r"(?:ab|cd){200}": "abcd" * 100,
    r"x(?=.{200}y)": "x" + "." * 200 + "y",
    r"(?<=a{60})b": "a" * 60 + "b",
    r"^secret": "secret",
    r"secret$": "secret",
    r"(\w{100}) and \1": "ab" * 50 + " and " + "ab" * 50,
    r"key-\w{200,}": "key-" + "k" * 210,
    r"key-(?:\w\d)+;": "key-" + "k1" * 100 + ";",
}


@pytest.mark.parametrize("expression", LONG_ONES)
@settings(max_examples=20)
@given(before=st.text("x. ", max_size=400), behind=st.text("x. ", max_size=400), cuts=st.lists(st.integers(1, 300)))
def test_no_beginning_of_a_long_match_is_out(expression: str, before: str, behind: str, cuts: list[int]) -> None:
    found = LONG_ONES[expression]
    for text in (before + found + behind, found + behind, before + found, before + behind):
        edges = [0, *itertools.accumulate(cuts), len(text)]
        pieces = [text[start:end] for start, end in itertools.pairwise(sorted(edges))]
        masked, refused = pattern("long", expression, action="mask"), pattern("long", expression)
        assert sifted(pieces, [masked]) == judge(text, [masked]).text
        first = min((spot.start for spot in refused.find(text)), default=len(text))
        assert sifted(pieces, [refused]) == text[:first]


async def test_what_has_a_bound_still_streams() -> None:
    for expression, held in ((r"acme.{0,300}merger", 620), (r"key-\w{20,}", 256), (r"\bacme\b|rival(?:ry|s)?", 256)):
        out = Sieve([pattern("bounded", expression)])
        assert sum(len(out.take(". " * 10)) for _ in range(1_000)) >= 20_000 - held
    assert Sieve([pattern("endless", "acme.*merger")]).take(". " * 10_000) == ""


def test_a_long_token_is_not_let_out_by_its_end() -> None:
    assert sifted(list(f"Bearer {JWT} end"), [secrets(action="mask")]) == "Bearer [secret] end"


def test_the_house_has_its_own() -> None:
    assert of_the_house(GuardrailSettings()) == ()
    found = of_the_house(
        GuardrailSettings(secrets="refuse", personal_data="mask", forbidden=("a+",), input_characters=9)
    )
    assert [(each.name, each.action, each.on) for each in found] == [
        ("secrets", "refuse", "both"),
        ("personal data", "mask", "both"),
        ("forbidden", "refuse", "both"),
        ("length", "refuse", "in"),
    ]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: pattern("words", "("), "Guardrail words: .* is no regular expression"),
        (lambda: length(0), "greater than 0"),
        (lambda: personal_data(["shoe size"]), "no personal data called 'shoe size'"),
    ],
)
def test_what_cannot_work_is_refused(make: object, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()  # type: ignore[operator]

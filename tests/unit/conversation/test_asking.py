"""What people are asked in words."""

from antiphon.conversation.asking import SHOWN, question
from antiphon.domain import Approval, new_id, now


def asked(arguments: str) -> str:
    """The line about one call, without its code."""
    approval = Approval(
        id=new_id(), turn_id="t", conversation_id="c", person_id="p", call_id="1", name="pay", arguments=arguments,
        asked_at=now(), expires_at=now(),
    )  # fmt: skip
    (line,) = (line for line in question([approval]).splitlines() if line.startswith("- "))
    return line.removeprefix("- `pay` ").removesuffix(f" (`{approval.code}`)")


def test_what_is_to_be_allowed_is_what_the_tool_will_read() -> None:
    assert asked('{"amount": 500,\n "to": "Ann"}') == '{"amount": 500, "to": "Ann"}'
    assert asked('{"to": "Ann", "to": "Eve"}') == '{"to": "Eve"}'
    assert asked('{"to": "\\u0045ve", "t\\u006f": "Mallory"}') == '{"to": "Mallory"}'
    assert asked("{}") == "{}"


def test_a_long_argument_hides_no_other() -> None:
    said = asked('{"text": "' + "x" * 5_000 + '", "to": "Eve"}')
    assert said.endswith('x… (5,002 characters), "to": "Eve"}')
    assert len(said) < SHOWN


def test_what_nobody_sees_is_spelled_out() -> None:
    assert asked('{"to": "ann\u202egro.elpmaxe@eve\u200b"}') == r'{"to": "ann\u202egro.elpmaxe@eve\u200b"}'


def test_what_is_no_object_is_shown_as_it_is() -> None:
    assert asked("no\njson") == r"no\njson"
    assert asked("[" * 100_000).endswith("… (100,000 characters)")

"""The web as an adapter: what a channel hands in, what goes out to a topic."""

import pytest

from antiphon.adapters.web import WebAdapter
from antiphon.domain import Message, Target, now
from antiphon.errors import ValidationError

FIELDS = {"place": "c1", "account": "local", "sender": "You", "key": "k1"}


def test_a_message_of_the_page() -> None:
    message = WebAdapter(lambda _: None).parse_message({**FIELDS, "text": "hello", "adapter": "evil", "thread": "x"})
    assert (message.adapter, message.place, message.key, message.text) == ("web", "c1", "k1", "hello")
    assert message.thread is None


@pytest.mark.parametrize("text", [None, 7, ["a"], {"a": 1}, True])
def test_a_text_that_is_none(text: object) -> None:
    with pytest.raises(ValidationError, match="`text` must be a string"):
        WebAdapter(lambda _: None).parse_message({**FIELDS, "text": text})


async def test_a_reply_is_shown_to_whoever_is_there() -> None:
    shown: list[Message] = []
    adapter = WebAdapter(shown.append)
    message = Message(
        id="m", conversation_id="c1", position=2, ticket=1, role="assistant", text="hi", turn_id="t",
        status="answered", created_at=now(),
    )  # fmt: skip
    await adapter.send_message(Target(adapter="web", place="c1"), message)
    assert shown == [message]
    assert adapter.capabilities.idempotent

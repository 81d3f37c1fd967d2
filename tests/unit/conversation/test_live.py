"""What people are shown of a message."""

from antiphon.conversation.live import show_message
from antiphon.domain import Message, ReasoningPart, TextPart, now


def test_signatures_stay_in_the_house_and_so_do_thoughts_that_nobody_can_read() -> None:
    parts = (
        ReasoningPart(text="Hm.", opaque={"anthropic": [{"signature": "s3cret"}]}),
        ReasoningPart(text="", opaque={"anthropic": [{"data": "s3cret"}]}),
        TextPart(text="Hello."),
    )
    message = Message(
        id="m",
        conversation_id="c",
        position=2,
        ticket=1,
        role="assistant",
        text="Hello.",
        turn_id="t",
        status="answered",
        created_at=now(),
        parts=parts,
    )
    shown = show_message(message)
    assert shown["parts"] == [{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "Hello."}]
    assert "s3cret" not in str(shown)

"""What people say of answers: thumbs up or down, and why."""

from msgspec import structs

from antiphon.conversation.live import Live
from antiphon.domain import Feedback, Message, Person, Thumb, now
from antiphon.errors import NotFoundError, ValidationError
from antiphon.storage.experiments import FeedbackStore

COMMENT_LIMIT = 2_000
"""Characters of a comment."""


class AnswerFeedback:
    """Takes the word of the person whose conversation it is; the last one counts, and it can be taken back.

    Raises `NotFoundError` for what is no answer, is not theirs or is not there, and `ValidationError` for a comment
    that is too long.
    """

    def __init__(self, store: FeedbackStore, live: Live) -> None:
        self._store = store
        self._live = live

    async def judge(
        self,
        person: Person,
        message_id: str,
        verdict: Thumb | None,
        *,
        comment: str | None = None,
        conversation_id: str | None = None,
    ) -> Feedback | None:
        """What is said of the answer now; without a verdict that is taken back. Where a `conversation_id` is
        given, it is an answer of that conversation."""
        found = await self._store.find(message_id)
        if found is None:
            raise _not_there()
        message, conversation = found
        if conversation.person_id != person.id or conversation_id not in (None, conversation.id):
            raise _not_there()
        if message.role != "assistant":
            raise NotFoundError("This is no answer of an assistant; only those are judged.")
        return await self._put(message, verdict, comment)

    async def judge_latest(
        self, person: Person, conversation_id: str, *, before: int, verdict: Thumb | None, comment: str | None = None
    ) -> None:
        """As `judge`, on the last answer to a question whose ticket is less than `before`."""
        message = await self._store.latest(conversation_id, before=before)
        if message is None:
            raise NotFoundError("There is no answer yet in this conversation that could be judged.")
        await self.judge(person, message.id, verdict, comment=comment, conversation_id=conversation_id)

    async def _put(self, message: Message, verdict: Thumb | None, comment: str | None) -> Feedback | None:
        comment = (comment or "").strip() or None
        if comment is not None and len(comment) > COMMENT_LIMIT:
            raise ValidationError(f"A comment has {COMMENT_LIMIT:,} characters at most.")
        said = Feedback(verdict=verdict, comment=comment, given_at=now()) if verdict is not None else None
        if not await self._store.put(message.id, said):
            raise _not_there()
        self._live.feedback(structs.replace(message, feedback=said))
        return said


def _not_there() -> NotFoundError:
    return NotFoundError("This answer does not exist, or is not yours to judge.")

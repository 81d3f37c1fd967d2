"""`conversation:<id>`: messages in, deltas out; and `conversation:new`, which makes one."""

from contextlib import suppress
from typing import Any

import msgspec

from antiphon.adapters.web import WebAdapter
from antiphon.assistants.directory import Directory
from antiphon.conversation.approvals import REASON_LIMIT, Approvals
from antiphon.conversation.feedback import AnswerFeedback
from antiphon.conversation.history import PAGE, ConversationHistory
from antiphon.conversation.live import show_approval, show_conversation, show_message
from antiphon.conversation.present import show_person
from antiphon.conversation.router import MessageRouter
from antiphon.conversation.stream import UnderWay
from antiphon.domain import Person, Verdict, new_id
from antiphon.errors import AntiphonError, ServiceError, ValidationError
from antiphon.realtime.channel import Channel, Rejected
from antiphon.realtime.members.socket import Socket
from antiphon.storage.base import LOCAL_ACCOUNT
from antiphon.web.channels.recall import RecalledChannel


class ConversationChannel(RecalledChannel):
    """One conversation on one socket. `socket.assigns["person"]` is who is there."""

    def __init__(
        self,
        history: ConversationHistory,
        router: MessageRouter,
        approvals: Approvals,
        feedback: AnswerFeedback,
        adapter: WebAdapter,
        assistants: Directory,
    ) -> None:
        self._assistants = assistants
        self._history = history
        self._router = router
        self._approvals = approvals
        self._feedback = feedback
        self._adapter = adapter
        self._under_way: list[UnderWay] = []

    async def on_join(self, payload: Any, socket: Socket) -> dict[str, Any]:
        wish = payload if isinstance(payload, dict) else {}
        # From here on nothing is missed: what happens while the record is read comes right behind the reply.
        self.listen_now()
        with _spoken():
            conversation = await self._history.get(self._person, self._conversation_id)
            since, limit = wish.get("since"), _whole(wish.get("limit"), PAGE)
            members = await self._history.members(self._person, conversation)
            page = await self._history.since(conversation.id, since, limit=limit)
            seen = _seen(since) if page.recovered else {}
            self._under_way, exact = await self._router.under_way(conversation.id, seen)
            if page.waiting:
                waiting, whole = await self._approvals.under_way(conversation.id, seen)
                self._under_way, exact = [*waiting, *self._under_way], exact and whole
            if not exact:
                page = await self._history.since(conversation.id, None, limit=limit)
        return {
            "conversation": show_conversation(conversation),
            "members": [{"id": member.id, "name": member.name} for member in members],
            "person": self._person.id,
            "messages": [show_message(message) for message in page.messages],
            "turns": [_show_turn(turn) for turn in self._under_way],
            "cursor": page.cursor,
            "recovered": page.recovered,
        }

    async def after_join(self) -> None:
        """The answers under way, up to this moment, and who is here, before anything that happens from now on."""
        for turn in self._under_way:
            for event, payload in turn.events:
                await self.push(event, payload)
        self._under_way = []
        with suppress(
            ServiceError, ValidationError
        ):  # beyond a limit of presence: it works, and the others are not told
            await self.track(self._person.id, show_person(self._person))
        await self.push_presence_state()
        self.answered()

    @Channel.on("message")
    async def take(self, payload: Any, socket: Socket) -> dict[str, Any]:
        """`{text, client_id?}`: the same `client_id` again is the same message."""
        with _spoken():
            fields = _fields(payload)
            client_id = fields.get("client_id")
            if client_id is not None and not (isinstance(client_id, str) and 0 < len(client_id) <= 200):
                raise ValidationError("`client_id` must be a text of 1 to 200 characters.")
            return await self._deliver(fields, client_id or new_id())

    async def _deliver(self, fields: dict[str, Any], key: str) -> dict[str, Any]:
        account = {"place": self._conversation_id, "account": LOCAL_ACCOUNT[1], "sender": self._person.name}
        receipt = await self._router.deliver(self._adapter.parse_message({**fields, **account, "key": key}))
        return {"message_id": receipt.message_id, "turn_id": receipt.turn_id}

    @Channel.on("cancel")
    async def cancel(self, payload: Any, socket: Socket) -> dict[str, Any]:
        turn_id = _fields(payload).get("turn_id")
        with _spoken():
            known = isinstance(turn_id, str) and (
                await self._router.cancel(self._conversation_id, turn_id)
                or await self._approvals.cancel(self._conversation_id, turn_id)
            )
        if not known:
            raise Rejected({"reason": "This turn is over, or never was.", "code": "not_found"})
        return {}

    @Channel.on("approve")
    async def approve(self, payload: Any, socket: Socket) -> dict[str, Any]:
        """`{call_id}`, or the `id` of the approval: the call is carried out."""
        return await self._answer(_fields(payload), "approved")

    @Channel.on("deny")
    async def deny(self, payload: Any, socket: Socket) -> dict[str, Any]:
        """As `approve`, with an optional `reason` for the model: the call is not carried out."""
        return await self._answer(_fields(payload), "denied")

    async def _answer(self, fields: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
        which, reason = fields.get("id", fields.get("call_id")), fields.get("reason")
        with _spoken():
            if not isinstance(which, str) or not (reason is None or isinstance(reason, str)):
                raise ValidationError("`call_id` must be a text, and `reason` too where there is one.")
            approval = await self._approvals.find(self._person, which, conversation_id=self._conversation_id)
            reason = reason[:REASON_LIMIT] if reason else None
            return show_approval(await self._approvals.answer(self._person, approval, verdict, reason=reason))

    @Channel.on("feedback")
    async def judge(self, payload: Any, socket: Socket) -> dict[str, Any]:
        """`{message_id, verdict, comment?}`: what this person says of an answer; `verdict` null takes it back."""
        fields = _fields(payload)
        which, verdict, comment = fields.get("message_id"), fields.get("verdict"), fields.get("comment")
        with _spoken():
            if verdict not in (None, "up", "down") or not isinstance(which, str):
                raise ValidationError("`message_id` must be a text, and `verdict` `up`, `down` or null.")
            if not (comment is None or isinstance(comment, str)):
                raise ValidationError("`comment` must be a text, or left out.")
            here = self._conversation_id
            said = await self._feedback.judge(self._person, which, verdict, comment=comment, conversation_id=here)
        return {"feedback": msgspec.to_builtins(said)}

    @Channel.on("handoff")
    async def hand_over(self, payload: Any, socket: Socket) -> dict[str, Any]:
        """`{to}`: the assistant who answers from the next message on. It is a message, so that it has its place among
        the others and in the record."""
        to = _fields(payload).get("to")
        with _spoken():
            if not isinstance(to, str):
                raise ValidationError("`to` must be the name of an assistant.")
            return await self._deliver({"text": f"/assistant {self._assistants.get(to).name}"}, new_id())

    @Channel.on("history")
    async def page(self, payload: Any, socket: Socket) -> dict[str, Any]:
        """`{before, limit?}`: earlier messages, `before` being the lowest position the client has."""
        fields = _fields(payload)
        with _spoken():
            messages, more = await self._history.page(
                self._conversation_id,
                before=_given(fields, "before", None),
                limit=_given(fields, "limit", PAGE),
            )
        return {"messages": [show_message(message) for message in messages], "more": more}

    @Channel.on("typing")
    async def typing(self, payload: Any, socket: Socket) -> None:
        await self.broadcast_from("typing", {"person": self._person.id, "on": bool(_fields(payload).get("on"))})

    @property
    def _person(self) -> Person:
        person = self.socket.assigns["person"]
        assert isinstance(person, Person)  # noqa: S101 - set by `on_connect`
        return person

    @property
    def _conversation_id(self) -> str:
        return self.topic.partition(":")[2]


class NewConversationChannel(Channel):
    """Makes a conversation, once for each `client_id`, and carries nothing else."""

    def __init__(self, history: ConversationHistory, assistants: Directory) -> None:
        self._history = history
        self._assistants = assistants

    async def on_join(self, payload: Any, socket: Socket) -> dict[str, Any]:
        fields = _fields(payload)
        with _spoken():
            wish = fields.get("assistant")
            assistant = self._assistants.get(wish) if isinstance(wish, str) and wish else self._assistants.default
            client_id, title = fields.get("client_id"), fields.get("title")
            conversation = await self._history.create(
                socket.assigns["person"],
                client_id=client_id if isinstance(client_id, str) else "",
                assistant=assistant.name,
                title=title if isinstance(title, str) else "",
            )
        return {"conversation": show_conversation(conversation)}


class _spoken:  # noqa: N801 - reads as a verb: `with _spoken():`
    """Answers the client with the sentence of an error, instead of ending its channel."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, AntiphonError):
            raise Rejected({"reason": error.public, "code": error.code}) from error


def _show_turn(turn: UnderWay) -> dict[str, Any]:
    return {
        "turn_id": turn.turn_id,
        "message_id": turn.message_id,
        "status": turn.status,
        "assistant": turn.assistant,
        "model": turn.model,
    }


def _fields(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise Rejected({"reason": "The payload must be an object.", "code": "validation"})
    return payload


def _seen(since: Any) -> dict[str, int]:
    """The position in a running answer that a client says it has reached."""
    if not isinstance(since, dict):
        return {}
    seq = since.get("seq")
    return {str(since.get("turn_id")): seq} if isinstance(seq, int) and seq >= 0 else {}


def _given(fields: dict[str, Any], name: str, default: Any) -> Any:
    found = _whole(fields[name], None) if name in fields else default
    if name in fields and found is None:
        raise ValidationError(f"`{name}` must be a positive whole number, or left out.")
    return found


def _whole(value: Any, default: Any) -> Any:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else default

"""The subscribers of an assistant are told how its turns ended."""

from dataclasses import dataclass

from antiphon.assistants.directory import Directory
from antiphon.assistants.state import TurnStates
from antiphon.domain import Turn, TurnRecord
from antiphon.storage.base import StateStore, TurnReply


@dataclass(frozen=True)
class Telling:
    """Tells of a turn whose outcome is stored; one that no assistant began interests nobody."""

    assistants: Directory
    states: StateStore

    def ended(self, turn: Turn, record: TurnRecord, reply: TurnReply | None) -> None:
        assistant = self.assistants.find(record.assistant)
        if assistant is None:
            return
        tell, states = assistant.events.tell, TurnStates(self.states, turn.conversation_id)
        if reply is not None and reply.role == "assistant":
            tell("assistant_message", turn, states, text=reply.text)
        tell("turn_ended", turn, states, record=record)

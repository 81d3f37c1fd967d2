"""Plugins, and the subscribers of an assistant, are told how turns ended."""

from dataclasses import dataclass

from antiphon.assistants.directory import Directory
from antiphon.assistants.state import TurnStates
from antiphon.domain import Turn, TurnRecord
from antiphon.plugins.house import Plugins
from antiphon.storage.base import StateStore, TurnReply


@dataclass(frozen=True)
class Telling:
    """Tells of a turn whose outcome is stored; one that no assistant began interests no subscriber."""

    assistants: Directory
    states: StateStore
    plugins: Plugins

    def ended(self, turn: Turn, record: TurnRecord, reply: TurnReply | None) -> None:
        self.plugins.told(turn, record, reply)
        assistant = self.assistants.find(record.assistant)
        if assistant is None:
            return
        tell, states = assistant.events.tell, TurnStates(self.states, turn.conversation_id)
        if reply is not None and reply.role == "assistant":
            tell("assistant_message", turn, states, text=reply.text)
        tell("turn_ended", turn, states, record=record)

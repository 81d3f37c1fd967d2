"""Whoever works beside the turns is told how one ended: plugins, the subscribers of its assistant, who sums it up
and who looks for facts in it."""

from contextlib import suppress
from dataclasses import dataclass

from antiphon.assistants.compaction import Compaction
from antiphon.assistants.directory import Directory
from antiphon.assistants.memory.extraction import Extraction
from antiphon.assistants.state import TurnStates
from antiphon.domain import Turn, TurnRecord
from antiphon.errors import ServiceError
from antiphon.plugins.house import Plugins
from antiphon.providers.catalogue import Catalogue
from antiphon.runtime.tasks import Tasks
from antiphon.storage.base import StateStore, TurnReply


@dataclass(frozen=True)
class Telling:
    """Tells of a turn whose outcome is stored; one that no assistant began interests no subscriber."""

    assistants: Directory
    states: StateStore
    plugins: Plugins
    compaction: Compaction
    extraction: Extraction
    catalogue: Catalogue
    tasks: Tasks

    def ended(self, turn: Turn, record: TurnRecord, reply: TurnReply | None) -> None:
        self.plugins.told(turn, record, reply)
        assistant = self.assistants.find(record.assistant)
        if assistant is None:
            return
        self.compaction.consider(turn, record)
        self.extraction.consider(turn, record)
        if record.model is not None and self.catalogue.is_due(record.model):
            with suppress(ServiceError):  # everything is being stopped
                self.tasks.start("windows", self.catalogue.look_up, record.model)
        tell, states = assistant.events.tell, TurnStates(self.states, turn.conversation_id)
        if reply is not None and reply.role == "assistant":
            tell("assistant_message", turn, states, text=reply.text)
        tell("turn_ended", turn, states, record=record)

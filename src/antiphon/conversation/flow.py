"""The flow put together: from a message that came in to the reply that goes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.assistants.approvals import ApprovalRules
from antiphon.assistants.attachments import AttachedFiles, unbounded
from antiphon.assistants.beside import BesideTurns
from antiphon.assistants.budgets import Budgets
from antiphon.assistants.compaction import Compaction
from antiphon.assistants.context import ContextBuilder
from antiphon.assistants.directory import AIService, Directory
from antiphon.assistants.experiments import Experiments
from antiphon.assistants.guardrails import Guardrail
from antiphon.assistants.images import ImageMaker
from antiphon.assistants.memory.base import Recollection
from antiphon.assistants.memory.config import MemorySettings
from antiphon.assistants.memory.extraction import Extraction
from antiphon.assistants.memory.fitting import FittingFacts
from antiphon.assistants.present import WhoIsHere
from antiphon.assistants.selector import ModelSelector
from antiphon.assistants.teams import Handover
from antiphon.assistants.trial import Trials
from antiphon.commands.base import Commands
from antiphon.conversation.approvals import Approvals
from antiphon.conversation.asking import Asking
from antiphon.conversation.ending import TurnEnding
from antiphon.conversation.entrance import MessageEntrance
from antiphon.conversation.feedback import AnswerFeedback
from antiphon.conversation.generation import Generation
from antiphon.conversation.handing import ConversationHandover
from antiphon.conversation.handler import MessageHandler
from antiphon.conversation.hearing import Hearing
from antiphon.conversation.history import ConversationHistory
from antiphon.conversation.house import House
from antiphon.conversation.keeping import ConversationKeeper
from antiphon.conversation.live import Live
from antiphon.conversation.others import Others
from antiphon.conversation.outbox import Outbox
from antiphon.conversation.replay import Replay
from antiphon.conversation.router import MessageRouter
from antiphon.conversation.sessions import SessionManager
from antiphon.conversation.telling import Telling
from antiphon.files.config import FileSettings
from antiphon.files.keeper import FileKeeper
from antiphon.plugins.house import Plugins
from antiphon.providers.catalogue import Catalogue
from antiphon.providers.registry import ProviderRegistry
from antiphon.runtime.base import Services
from antiphon.runtime.tasks import Tasks
from antiphon.storage.base import Store
from antiphon.telemetry.metrics import Metrics
from antiphon.tools.config import ToolSettings


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What the flow is made of. `facts` are lines for `/status` that only the workspace knows, `guardrails` what the
    house lets nobody say, `tools` which calls people must allow and how long they have for that, `may_attach` what
    people attach. What runs beside the turns is among `tasks`."""

    store: Store
    sessions: SessionManager
    commands: Commands
    assistants: Directory
    experiments: Experiments
    context: ContextBuilder
    memory: Recollection
    remembering: MemorySettings
    remembered: FittingFacts
    selector: ModelSelector
    providers: ProviderRegistry
    catalogue: Catalogue
    services: Services
    outbox: Outbox
    live: Live
    present: WhoIsHere
    budgets: Budgets
    facts: Callable[[], Mapping[str, str]]
    guardrails: tuple[Guardrail, ...] = ()
    tools: ToolSettings
    plugins: Plugins
    may_attach: FileSettings
    tasks: Tasks

    @property
    def rules(self) -> ApprovalRules:
        """Which calls people must allow, where there are people."""
        return ApprovalRules(self.tools.approval)

    @property
    def files(self) -> FileKeeper:
        """Takes in what people attach."""
        return FileKeeper(self.store.files, self.may_attach)

    @property
    def attached(self) -> AttachedFiles:
        """What models are given of it."""
        return AttachedFiles(self.store.files, self.may_attach)

    @property
    def brought(self) -> AttachedFiles:
        """The same for clients that bring a whole conversation along."""
        return AttachedFiles(self.store.files, unbounded(self.may_attach))

    @property
    def feedback(self) -> AnswerFeedback:
        """What people say of answers."""
        return AnswerFeedback(self.store.feedback, self.live)

    def offered(self, default_model: Callable[[], str]) -> Mapping[Any, object]:
        """What programs, tools and commands may ask of it, by type."""
        asked = AIService(self.assistants, self.providers, default_model, self.services, paid=self.budgets.of_the_house)
        handover = ConversationHandover(self.assistants, self.sessions, self.live)
        parts: dict[Any, object] = {AIService: asked, Handover: handover, WhoIsHere: self.present}
        parts[FileKeeper] = self.files
        if (images := self.tools.images).model is not None:
            parts[ImageMaker] = ImageMaker(self.store.conversations, self.files, self.providers, self.budgets, images)
        return parts

    def keeper(self, history: ConversationHistory, metrics: Metrics) -> ConversationKeeper:
        """Who keeps conversations that took place elsewhere."""
        ending = TurnEnding(self.store.inbox, self.outbox, self.live, metrics=metrics)
        return ConversationKeeper(history, self.store.inbox, ending, self.live)

    def replay(self) -> Replay:
        """Stored turns answered again, and trials of any kind, by the same parts."""
        trials = Trials(
            self.providers,
            services=self.services,
            guardrails=self.guardrails,
            demands=self.tools.approval,
            budgets=self.budgets.settings,
            prompts=self.context.prompts,
        )
        return Replay(
            self.store, self.assistants, self.context, self.remembered, self.attached, trials, self.experiments
        )

    def build(self, drain_seconds: float, others: Others, metrics: Metrics) -> tuple[MessageRouter, Approvals]:
        """The way in to it, and that of answers to what it asks; not yet started. `others` are the processes that
        answer from the same database."""
        house = House(
            commands=self.commands,
            catalogue=self.catalogue,
            selector=self.selector,
            assistants=self.assistants,
            inbox=self.store.inbox,
            waiting=lambda: router.waiting(),  # noqa: PLW0108 - the router is built last
            facts=self.facts,
            spent=self.budgets.spent_today,
        )
        compaction = self._compaction(metrics)
        told = self._telling(compaction, metrics)
        ending = TurnEnding(self.store.inbox, self.outbox, self.live, told=told.ended, metrics=metrics)
        approvals = Approvals(
            self.store.approvals,
            ending,
            self.live,
            Asking(self.outbox),
            expire_seconds=self.tools.approval_seconds,
            metrics=metrics,
        )
        house.serve(approvals)
        handler = MessageHandler(
            inbox=self.store.inbox,
            sessions=self.sessions,
            hearing=Hearing(self.store.inbox, self.live),
            plugins=self.plugins,
            commands=self.commands,
            house=house,
            assistants=self.assistants,
            experiments=self.experiments,
            context=self.context,
            compaction=compaction,
            facts=self.remembered,
            files=self.attached,
            selector=self.selector,
            generation=self._generation(),
            ending=ending,
            approvals=approvals,
        )
        router = MessageRouter(
            self.store,
            handler,
            ending,
            self.live,
            MessageEntrance(self.files, self.store, lambda: self.assistants.default.name),
            drain_seconds=drain_seconds,
            others=others,
            metrics=metrics,
        )
        approvals.serve(router.go_on)
        return router, approvals

    def _generation(self) -> Generation:
        return Generation(
            providers=self.providers,
            services=self.services,
            states=self.store.states,
            budgets=self.budgets,
            instructions=self.context.instructions,
            guardrails=self.guardrails,
            rules=self.rules,
        )

    def _telling(self, compaction: Compaction, metrics: Metrics) -> Telling:
        extraction = Extraction(self.memory, self.remembering, self._beside, self.tasks, self.guardrails, metrics)
        assistants, states = self.assistants, self.store.states
        return Telling(assistants, states, self.plugins, compaction, extraction, self.catalogue, self.tasks)

    def _compaction(self, metrics: Metrics) -> Compaction:
        return Compaction(
            self.store.summaries, self.store.conversations, self.context, self._beside, self.tasks, metrics
        )

    @property
    def _beside(self) -> BesideTurns:
        return BesideTurns(self.providers, self.budgets, self.guardrails)

"""The workspace: builds everything in one visible order, starts it, stops it in reverse. It alone knows all."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from antiphon import __version__
from antiphon.adapters.base import ChannelAdapter, Receipt
from antiphon.adapters.web import WebAdapter
from antiphon.assistants.assistant import AnyTool, Assistant
from antiphon.assistants.budgets import Budgets
from antiphon.assistants.context import ContextBuilder
from antiphon.assistants.directory import Directory, built_in, house_tools
from antiphon.assistants.equipment import Equipment
from antiphon.assistants.experiments import Experiments
from antiphon.assistants.factory import configured
from antiphon.assistants.memory.base import Recollection
from antiphon.assistants.memory.fitting import FittingFacts
from antiphon.assistants.memory.memory import open_memory
from antiphon.assistants.private import of_the_house
from antiphon.assistants.prompts import PromptManager
from antiphon.commands.base import Judging, all_commands
from antiphon.conversation.flow import Flow
from antiphon.conversation.history import ConversationHistory
from antiphon.conversation.live import Live
from antiphon.conversation.neighbours import Neighbours
from antiphon.conversation.outbox import Outbox
from antiphon.conversation.present import PeoplePresent
from antiphon.conversation.replay import Replay
from antiphon.conversation.sessions import SessionManager
from antiphon.conversation.watch import TurnWatch
from antiphon.domain import ChannelMessage
from antiphon.errors import ConfigError, ServiceError
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.stalls import handler_in
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.container import ServiceContainer
from antiphon.runtime.lifecycle import HealthCheck, Lifecycle
from antiphon.runtime.loops import fast_loop
from antiphon.runtime.registry import Registry
from antiphon.runtime.services import add_services
from antiphon.runtime.tasks import Tasks
from antiphon.search.base import Search
from antiphon.search.sources import open_search
from antiphon.security import sandbox
from antiphon.settings.belongings import Belongings
from antiphon.settings.config import Config
from antiphon.settings.models import Models
from antiphon.settings.processes import SharedCache, cluster_of, topic_logs
from antiphon.settings.reload import ConfigReloader
from antiphon.storage.base import parts_of
from antiphon.storage.open import open_claim, open_store
from antiphon.telemetry.logs import get_logger, setup_logging
from antiphon.telemetry.monitoring import MonitoringService
from antiphon.tools.base import tool_registry
from antiphon.tools.web.base import WebReader
from antiphon.tools.web.fetcher import Fetcher
from antiphon.web.auth import everybody_is_local
from antiphon.web.edge import Edge
from antiphon.web.greeting import greeting
from antiphon.web.server import WebServer

log = get_logger(__name__)


class Workspace:
    """An Antiphon in this process: assistants, store, models, sockets and server.

        ws = Workspace()
        ws.assistants.add(Assistant("guide", instructions="…", tools=[weather]))
        ws.run()

    `run` serves until Ctrl-C. `async with Workspace(config) as ws` starts everything but the listener, for programs
    that bring their own and for tests. Without a configuration it works on SQLite in `./data/`.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config if config is not None else Config.load()
        self._belongings = Belongings(self.config)
        with ExitStack() as undo:
            undo.callback(self._belongings.close)
            self._build()
            undo.pop_all()

    def _build(self) -> None:
        """Everything, each behind what it is made of. Nothing runs yet."""
        config = self.config
        self.models = Models(lambda: self.config)
        self.providers = self.models.providers
        self.settings = ConfigReloader(config, check=self.models.check_default)
        self.settings.listen(self._take_settings)
        self._tasks, self._lifecycle = Tasks(), Lifecycle()
        self._lost: ServiceError | None = None

        # What a process has once.
        self.metrics = self._belongings.metrics
        self.health = self._belongings.health
        self.profiler = self._belongings.profiler
        self.cache = self._belongings.cache
        self.pubsub = self._belongings.pubsub
        self.plugins = self._belongings.plugins

        # What is kept, and which of the processes that answer from it this one is.
        self.cluster = cluster_of(config, metrics=self.metrics)
        node = "" if self.cluster.status == "alone" else self.cluster.node
        self._shared_cache = SharedCache(self.cache, self.cluster, self.pubsub)
        self._claim = open_claim(config.database, self._lose_claim, node=node)
        self.store = open_store(config.database, node=node)
        self.sessions = SessionManager(self.store, self.cache, ttl=config.sessions.ttl, metrics=self.metrics)
        self.memory = open_memory(config.memory, self.store)
        self.search = open_search(self.store, self.memory.finder, metrics=self.metrics)

        # Who answers.
        self.prompts = PromptManager()
        self.tools: Registry[AnyTool] = tool_registry()
        self.assistants = Directory(configured(self.config.assistants))
        named = self.config.assistants.experiments
        self.experiments = Experiments(self.prompts, self.assistants, self.store.experiments, named)
        self._built_in: Assistant | None = None
        self._equipment = Equipment(self.assistants, self.config.mcp, self.config.tools.approval)

        # How messages come in and replies go out.
        logs = topic_logs(config, self.cluster)
        self.phoenix = Phoenix(
            config.realtime, metrics=self.metrics, pubsub=self.pubsub, cluster=self.cluster, recovery=logs
        )
        self.live = Live(self.phoenix.broadcast, self.pubsub.publish_now)
        self.web = WebAdapter(self.live.message)
        self.adapters: dict[str, ChannelAdapter] = {self.web.name: self.web}
        self.outbox = Outbox(self.store.outbox, self.adapters, metrics=self.metrics)
        self.history = ConversationHistory(self.store.conversations, self.store.people, self.sessions, self.live)
        self.services = ServiceContainer()
        self._neighbours = Neighbours(self.cluster, self.store.nodes)
        self._build_flow()
        self._watch = TurnWatch(self.store, self.router, self.outbox, node)
        self.monitoring = self._build_monitoring()
        self.server = self._build_server()
        self._provide()

    @property
    def url(self) -> str:
        """Where people find it."""
        return self.server.url

    @property
    def data(self) -> str:
        """Where conversations are kept, for people."""
        return self.config.database.place

    @property
    def default_model(self) -> str:
        """The model that answers unless a conversation, a person or an assistant has one of its own."""
        return self.models.default

    async def deliver(self, message: ChannelMessage) -> Receipt:
        """Takes a message in as an adapter would; see `MessageRouter.deliver`."""
        return await self.router.deliver(message)

    # --- life -----------------------------------------------------------------------------------------------------

    def run(self, on_ready: Callable[[], object] | None = None) -> None:
        """Serves everything that is configured until SIGINT or SIGTERM. `on_ready` is called once it listens; without
        it the terminal is told where that is and which model answers. Raises `ConfigError` where a tool's process runs
        the program once more."""
        if sandbox.inside():
            raise ConfigError(
                "A program with tools that have resources= begins by `if __name__ == '__main__': ws.run()`."
            )
        self._set_up_log(self.config)
        self.settings.listen(self._set_up_log)
        with asyncio.Runner(loop_factory=fast_loop()) as runner, suppress(KeyboardInterrupt):
            runner.run(self.serve(on_ready or (lambda: sys.stderr.write(self.greeting))))

    async def serve(self, on_ready: Callable[[], object] | None = None) -> None:
        """As `run`, inside a running loop. Raises `ServiceError` when another process has taken the database over."""
        with self.server.bind():
            async with self:
                with self.settings.on_hangup(otherwise=self.server.stop):
                    await self.server.serve(on_ready or (lambda: None))
        if self._lost is not None:
            raise self._lost

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts everything but the listener. Raises `ConfigError` or `ServiceError` naming the part that failed."""
        self.plugins.furnish(self, self.config.assistants.name, self._add_built_in)
        if not self._lifecycle.running:
            # Here and not in the constructor: adapters and services are added in between.
            self.services.build()
            self._lifecycle = self._order()
        with self.profiler.measure("workspace.start"):
            await self._lifecycle.start()
        self.health.drain(False)
        log.info("workspace.started", model=self.models.default, database=self.data)

    async def stop(self) -> None:
        """Drains and stops, the last started first. Does nothing when it does not run."""
        self.health.drain()
        try:
            await self._lifecycle.stop()
        finally:
            self._belongings.close()

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[Replay]:
        """Runs what answers are made from and nothing that people reach, also beside whoever answers from the database:
        for trials. `storage.open.to_read` makes settings for that."""
        self.plugins.furnish(self, self.config.assistants.name, self._add_built_in)
        self.services.build()
        self.experiments.check()
        order = Lifecycle(start_limit=self.config.services.start_seconds)
        order.add("the store", self.store.start, self.store.stop)
        order.add("the budgets", None, self._flow.budgets.stop)
        order.add("the memory", self.memory.start, self.memory.stop)
        order.add("the models", self.models.start, self.models.stop)
        order.add("the services", None, self.services.aclose)
        order.add("the MCP servers", self._equipment.start, self._equipment.stop)
        self.plugins.join(order)
        with closing(self._belongings):
            async with order:
                yield self._flow.replay()

    # --- settings that change while it runs -----------------------------------------------------------------------

    def _set_up_log(self, config: Config) -> None:
        level = "DEBUG" if config.debug else config.log_level
        setup_logging(level, config.logs_as, outputs=config.logging.outputs)

    async def _take_settings(self, config: Config) -> None:
        again, self.config = config.default_model != self.config.default_model, config
        if again:
            await self.models.start()
        if self._built_in is not None:
            self._built_in = built_in(config.assistants, self._built_in.tools).in_place_of(self._built_in)
            self._equipment.renew(self._built_in)
        self.experiments.take(config.assistants.experiments)

    @property
    def greeting(self) -> str:
        """Where it is and who answers, for the terminal in which it was started."""
        workers = self.config.server.workers
        facts = {"Antiphon": self.url, "Model": f"{self.models.default}. {self.models.reason}", "Data": self.data}
        return greeting(facts | ({"Workers": str(workers)} if workers > 1 else {}))

    # --- building -------------------------------------------------------------------------------------------------

    def _build_flow(self) -> None:
        self.commands = all_commands(self.services)
        self._flow = Flow(
            store=self.store,
            sessions=self.sessions,
            commands=self.commands,
            assistants=self.assistants,
            experiments=self.experiments,
            context=ContextBuilder(self.prompts, self.config.assistants, self.models.windows, self.config.files),
            memory=self.memory,
            remembering=self.config.memory,
            remembered=FittingFacts(self.memory.finder, self.config.memory, self.config.assistants),
            selector=self.models.selector,
            providers=self.providers,
            catalogue=self.models.catalogue,
            services=self.services,
            outbox=self.outbox,
            live=self.live,
            present=PeoplePresent(self.phoenix.presence.list_now),
            budgets=Budgets(self.store.ledger, self.config.budgets, self.metrics, windows=self.models.windows),
            facts=self._facts,
            guardrails=of_the_house(self.config.assistants.guardrails),
            tools=self.config.tools,
            plugins=self.plugins,
            may_attach=self.config.files,
            tasks=self._tasks,
        )
        self.router, self.approvals = self._flow.build(self.config.server.drain_seconds, self._neighbours, self.metrics)

    def _build_monitoring(self) -> MonitoringService:
        on_this_disk = self.config.database.url.startswith("sqlite:")
        return MonitoringService(
            self.config.monitoring,
            checks=self.health,
            metrics=self.metrics,
            profiler=self.profiler,
            folder=Path(self.data).parent if on_this_disk else Path(),
            services=lambda: self._lifecycle.running,
            named=handler_in,
        )

    def _build_server(self) -> WebServer:
        edge = Edge(
            version=__version__,
            phoenix=self.phoenix,
            person=everybody_is_local(self.store.people),
            history=self.history,
            router=self.router,
            approvals=self.approvals,
            adapter=self.web,
            search=self.search,
            memory=self.memory,
            default_model=lambda: self.models.default,
            monitoring=self.monitoring,
            cache=self.cache,
            flow=self._flow,
            openai=self.config.openai,
            mcp=self.config.mcp,
        )
        return edge.server(self.config.server, self._drain)

    def _provide(self) -> None:
        """What tools, commands and a program's own services may ask for; any of it can be replaced before the start."""
        contracts: dict[Any, object] = {
            Config: self.config,
            Clock: SystemClock(),
            **parts_of(self.store),
            Search: self.search,
            Recollection: self.memory,
            Budgets: self._flow.budgets,
            Judging: self._flow.feedback,
            WebReader: Fetcher(self.config.tools.web_fetch),
            **self._flow.offered(lambda: self.models.default),
        }
        house = (self.metrics, self.health, self.profiler, self.monitoring, self.pubsub, self.phoenix, self.cache)
        flow = (self.providers, self.prompts, self.assistants, self.experiments, self.sessions, self.router)
        for kind, part in (*contracts.items(), *((type(part), part) for part in (*house, *flow))):
            self.services.register_singleton(kind, part)

    def _order(self) -> Lifecycle:
        limits = self.config.services
        order = Lifecycle(watch=self.health, start_limit=limits.start_seconds, stop_limit=limits.stop_seconds)
        order.add("the database", self._take_claim, self._claim.release)
        order.add("the store", self.store.start, self.store.stop, check=HealthCheck("store", self.store.check))
        order.add("the budgets", None, self._flow.budgets.stop)
        order.add("the memory", self.memory.start, self.memory.stop)
        order.add("the cache", None, self.cache.stop, check=HealthCheck("cache", self.cache.check, critical=False))
        order.add("what is told of the cache", self._shared_cache.start, self._shared_cache.stop)
        order.add("the models", self.models.start, self.models.stop)
        order.add("the services", None, self.services.aclose)
        add_services(order, self.services)
        if self.config.mcp.servers:
            there = HealthCheck("mcp", self._equipment.check, critical=False)
            order.add("the MCP servers", self._equipment.start, self._equipment.stop, check=there)
        self.plugins.join(order)
        order.add("the assistants", self._start_assistants, self.assistants.stop)
        for name, adapter in self.adapters.items():
            order.add(f"the adapter {name}", partial(adapter.start, self.deliver), adapter.stop)
        order.add("what is left to others", None, self._watch.leave)
        order.add("the outbox", self.outbox.start, self.outbox.stop)
        order.add("what runs beside", None, self._tasks.stop)
        order.add("the flow", self.router.start, self.router.stop, stop_limit=2 * self.config.server.drain_seconds + 5)
        self._neighbours.serve(self.router, self._watch)
        order.add("the approvals", self.approvals.start, self.approvals.stop)
        order.add("the neighbours", None, self._neighbours.stop)
        order.add("the watch", self._watch.start, self._watch.stop)
        alone, heard = self.cluster.status == "alone", HealthCheck("cluster", self.cluster.check, critical=False)
        order.add("the sockets", self.phoenix.open, self.phoenix.stop, check=None if alone else heard)
        order.add("the settings", self.settings.start, self.settings.stop)
        return order

    async def _take_claim(self) -> None:
        await self._claim.take(self.server.url if self.server.bound else None)

    def _lose_claim(self, error: ServiceError) -> None:
        """Another process answers from the database: this one takes no more messages and ends."""
        self._lost = error
        self.health.drain()
        self.server.stop()
        self._tasks.start("claim lost", self.router.stop)

    async def _start_assistants(self) -> None:
        self.assistants.check(self.prompts, self.services, self.providers.resolve)
        self._equipment.check_demands(self.tools.names())
        self.experiments.check()
        self.models.check()
        await self.assistants.start(self.services)

    async def _drain(self) -> None:
        """A stop was asked for: no new work, running answers get their time, then every socket is told to come back."""
        self.health.drain()
        self.phoenix.turn_away()
        await self.router.stop()
        await self.phoenix.drain()

    def _facts(self) -> Mapping[str, str]:
        return {**self.models.facts(), "Data": f"`{self.data}`"}

    def _add_built_in(self) -> None:
        if not len(self.assistants):
            tools = house_tools(self.tools, self.config.assistants.tools, self.config.tools)
            self._built_in = self.assistants.add(built_in(self.config.assistants, tools))

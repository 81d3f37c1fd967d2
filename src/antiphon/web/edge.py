"""The edge put together: everything that clients reach, on one port."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from antiphon.adapters.web import WebAdapter
from antiphon.assistants.memory.base import Recollection
from antiphon.cache.cache import Cache
from antiphon.conversation.approvals import Approvals
from antiphon.conversation.flow import Flow
from antiphon.conversation.history import ConversationHistory
from antiphon.conversation.router import MessageRouter
from antiphon.realtime.admission.connect import ConnectInfo
from antiphon.realtime.channel import Channel
from antiphon.realtime.phoenix import Phoenix
from antiphon.search.finder import Finder
from antiphon.telemetry.monitoring import MonitoringService
from antiphon.tools.mcp.config import McpSettings
from antiphon.web import problems
from antiphon.web.api.approvals import approval_routes
from antiphon.web.api.catalogue import catalogue_routes
from antiphon.web.api.conversations import conversation_routes
from antiphon.web.api.experiments import experiment_routes
from antiphon.web.api.feedback import feedback_routes
from antiphon.web.api.files import FILES, file_routes
from antiphon.web.api.memory import memory_routes
from antiphon.web.api.people import people_routes
from antiphon.web.api.plugins import plugin_routes
from antiphon.web.api.realtime import realtime_routes
from antiphon.web.api.realtime_publish import publish_routes
from antiphon.web.api.search import search_routes
from antiphon.web.api.usage import usage_routes
from antiphon.web.app import WebApp
from antiphon.web.auth import CurrentPerson
from antiphon.web.channels.admin import TOPIC, AdminChannel, AdminFeed
from antiphon.web.channels.conversation import ConversationChannel, NewConversationChannel
from antiphon.web.channels.conversations import ConversationsChannel
from antiphon.web.channels.recall import Recall
from antiphon.web.config import ServerSettings
from antiphon.web.guard import Guard
from antiphon.web.health import health_routes
from antiphon.web.hot import HotPaths
from antiphon.web.idempotency import Idempotency
from antiphon.web.mcp import PATH, McpEndpoint, McpServing
from antiphon.web.openai.answering import Answerer
from antiphon.web.openai.config import OpenAISettings
from antiphon.web.openai.rounds import Rounds
from antiphon.web.openai.routes import PREFIX, OpenAIRoutes
from antiphon.web.server import WebServer
from antiphon.web.static import StaticPage


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What the edge is made of. `person` finds who is there, `version` is told by the API."""

    version: str
    phoenix: Phoenix
    person: CurrentPerson
    history: ConversationHistory
    router: MessageRouter
    approvals: Approvals
    adapter: WebAdapter
    search: Finder
    memory: Recollection
    default_model: Callable[[], str]
    monitoring: MonitoringService
    cache: Cache
    flow: Flow
    openai: OpenAISettings
    mcp: McpSettings

    def server(self, settings: ServerSettings, drain: Callable[[], Awaitable[None]]) -> WebServer:
        """Serves sockets, API, health and page; not yet bound. `drain` is that of `WebServer`."""
        house = self._open_channels()
        app = WebApp(
            StaticPage(),
            self._api(house),
            max_body_bytes=settings.max_body_bytes,
            larger={FILES: self.flow.files.settings.max_bytes},
            mounted=self.phoenix.plain,
            apps=self._apps(settings.max_body_bytes),
        )
        names = frozenset({settings.host, self.phoenix.config.security.public_host or settings.host})
        guard = Guard(
            app, names, self.phoenix.admission.origins, self.phoenix.limit_log.say, judges=self.phoenix.plain.find
        )
        return WebServer(
            HotPaths(health_routes(self.monitoring), guard), self.phoenix.protocol_class(), settings, drain
        )

    def _api(self, house: Collection[str]) -> FastAPI:
        api = FastAPI(title="Antiphon", version=self.version, docs_url=None, redoc_url=None)
        problems.install(api)
        models = self.flow.catalogue
        for routes in (
            conversation_routes(self.history, self.router, self.person),
            approval_routes(self.approvals, self.person),
            search_routes(self.search, self.person),
            people_routes(self.flow.store.people, self.flow.sessions, models, self.flow.selector, self.person),
            memory_routes(self.memory, self.person),
            catalogue_routes(self.flow.assistants.all, self.default_model, models),
            file_routes(self.flow.files, self.person),
            feedback_routes(self.flow.feedback, self.person),
            experiment_routes(self.flow.experiments, self.person),
            usage_routes(self.flow.budgets, self.person),
            plugin_routes(self.flow.plugins.states, self.person),
            publish_routes(self.phoenix, house, Idempotency(self.cache), self.person),
            realtime_routes(self.phoenix, self.person),
        ):
            api.include_router(routes, prefix="/api/v1")
        return api

    def _apps(self, max_body_bytes: int) -> Mapping[str, ASGIApp]:
        """What speaks protocols of others, by the beginning of its paths."""
        metrics = self.monitoring.metrics
        rounds = Rounds(self.cache, self.openai.rounds_seconds)
        answerer = Answerer(flow=self.flow, rounds=rounds, keeper=self.flow.keeper(self.history, metrics))
        apps: dict[str, ASGIApp] = {}
        if self.openai.enabled:
            apps[PREFIX] = OpenAIRoutes(answerer, self.flow.assistants, self.person, self.openai, metrics)
        if self.mcp.serve:
            about = McpServing(version=self.version, tools=self.mcp.serve_tools, max_body_bytes=max_body_bytes)
            apps[PATH] = McpEndpoint(answerer, self.flow.assistants, self.person, about)
        return apps

    def _open_channels(self) -> Collection[str]:
        """Returns the patterns of the topics that are the house's own."""

        @self.phoenix.on_connect
        async def connect(_: ConnectInfo) -> dict[str, Any]:
            return {"person": await self.person()}

        recall = Recall(self.phoenix.cluster)
        feed = AdminFeed(self.phoenix, self.router, self.monitoring)
        channels: Mapping[str, Callable[[], Channel]] = {
            "conversation:new": lambda: NewConversationChannel(self.history, self.flow.assistants),
            "conversation:*": lambda: recall.watched(
                ConversationChannel(
                    self.history,
                    self.router,
                    self.approvals,
                    self.flow.feedback,
                    self.adapter,
                    self.flow.assistants,
                )
            ),
            "conversations": lambda: recall.watched(ConversationsChannel(self.history)),
            TOPIC: lambda: AdminChannel(feed),
        }
        for pattern, factory in channels.items():
            self.phoenix.route(pattern, factory)
        self.phoenix.serve_supabase()
        return channels.keys()

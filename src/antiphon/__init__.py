"""Antiphon: AI assistants that people talk to in real time, from anywhere.

The public names are those of `__all__`. Each is loaded when it is first used, so that `import antiphon` costs next
to nothing and pulls in no optional dependency.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.adapters.base import ChannelAdapter
    from antiphon.assistants.assistant import Assistant
    from antiphon.assistants.base import Agent
    from antiphon.assistants.context import ContextBuilder
    from antiphon.assistants.directory import AIService
    from antiphon.assistants.events import TurnEvent
    from antiphon.assistants.factory import AssistantFactory
    from antiphon.assistants.memory.memory import Memory
    from antiphon.assistants.prompts import PromptManager
    from antiphon.assistants.selector import ModelSelector
    from antiphon.assistants.state import State
    from antiphon.assistants.strategies import ResponseContext, ResponseStrategy
    from antiphon.cache.cache import Cache, get_cache
    from antiphon.cache.decorator import cache_result
    from antiphon.cache.memory import CacheManager
    from antiphon.conversation.handler import MessageHandler
    from antiphon.conversation.router import MessageRouter
    from antiphon.conversation.sessions import SessionManager
    from antiphon.domain import Attachment, ChannelMessage, Upload
    from antiphon.errors import (
        AdapterError,
        AntiphonError,
        ConfigError,
        ModuleError,
        NotAllowedError,
        NotFoundError,
        PluginError,
        ProcessingError,
        ProviderError,
        ResourceError,
        ServiceError,
        ToolError,
        ValidationError,
    )
    from antiphon.plugins.base import BasePlugin, PluginHouse, PluginMetadata
    from antiphon.plugins.hooks import Moment, Said
    from antiphon.plugins.registry import get_plugin_registry
    from antiphon.providers.github import SUPPORTED_MODELS, GitHubModelsClient
    from antiphon.realtime.admission.connect import Access
    from antiphon.realtime.channel import Channel
    from antiphon.realtime.client.channel import ClientChannel
    from antiphon.realtime.client.options import ClientOptions
    from antiphon.realtime.client.phoenix import PhoenixClient
    from antiphon.realtime.client.presence import ClientPresence
    from antiphon.realtime.client.push import ConnectionLostError, PushError
    from antiphon.realtime.config import PhoenixConfig, set_config
    from antiphon.realtime.members.middleware import AuthMiddleware, LoggingMiddleware, Middleware, RateLimitMiddleware
    from antiphon.realtime.phoenix import Phoenix
    from antiphon.realtime.presence.presence import get_presence
    from antiphon.realtime.pubsub import get_pubsub
    from antiphon.realtime.supabase import RealtimeChannel
    from antiphon.realtime.tokens.token import Token
    from antiphon.runtime.base import BaseService, Repository, Service
    from antiphon.runtime.batch import BatchProcessor
    from antiphon.runtime.breaker import CircuitBreaker
    from antiphon.runtime.container import ServiceContainer
    from antiphon.runtime.processor import AsyncProcessor
    from antiphon.runtime.registry import Registry
    from antiphon.runtime.retry import ErrorHandler, retry_async
    from antiphon.runtime.tasks import gather_with_concurrency
    from antiphon.runtime.threads import run_async
    from antiphon.security.resources import Resources
    from antiphon.settings.config import Config
    from antiphon.storage.base import Store
    from antiphon.storage.files import FileStore
    from antiphon.telemetry.health import get_health_checker
    from antiphon.telemetry.logs import get_logger, setup_logging
    from antiphon.telemetry.metrics import get_metrics
    from antiphon.telemetry.monitoring import MonitoringService
    from antiphon.telemetry.profile import PerformanceProfiler, profile
    from antiphon.testing.assistant_case import AssistantTestCase
    from antiphon.tools.base import ToolContext, tool
    from antiphon.workflows.pipeline import (
        IntentClassifier,
        OutputFormatter,
        Pipeline,
        ResponseGenerator,
        TextPreprocessor,
    )
    from antiphon.workspace import Workspace

__version__ = "0.1.0"

_HOMES = {
    "AIService": "assistants.directory",
    "Access": "realtime.admission.connect",
    "AdapterError": "errors",
    "Agent": "assistants.base",
    "AntiphonError": "errors",
    "Assistant": "assistants.assistant",
    "AssistantFactory": "assistants.factory",
    "AssistantTestCase": "testing.assistant_case",
    "AsyncProcessor": "runtime.processor",
    "Attachment": "domain",
    "AuthMiddleware": "realtime.members.middleware",
    "BasePlugin": "plugins.base",
    "BaseService": "runtime.base",
    "BatchProcessor": "runtime.batch",
    "Cache": "cache.cache",
    "CacheManager": "cache.memory",
    "Channel": "realtime.channel",
    "ChannelAdapter": "adapters.base",
    "ChannelMessage": "domain",
    "CircuitBreaker": "runtime.breaker",
    "ClientChannel": "realtime.client.channel",
    "ClientOptions": "realtime.client.options",
    "ClientPresence": "realtime.client.presence",
    "Config": "settings.config",
    "ConfigError": "errors",
    "ConnectionLostError": "realtime.client.push",
    "ContextBuilder": "assistants.context",
    "ErrorHandler": "runtime.retry",
    "FileStore": "storage.files",
    "GitHubModelsClient": "providers.github",
    "IntentClassifier": "workflows.pipeline",
    "LoggingMiddleware": "realtime.members.middleware",
    "Memory": "assistants.memory.memory",
    "MessageHandler": "conversation.handler",
    "MessageRouter": "conversation.router",
    "Middleware": "realtime.members.middleware",
    "ModelSelector": "assistants.selector",
    "ModuleError": "errors",
    "Moment": "plugins.hooks",
    "MonitoringService": "telemetry.monitoring",
    "NotAllowedError": "errors",
    "NotFoundError": "errors",
    "OutputFormatter": "workflows.pipeline",
    "PerformanceProfiler": "telemetry.profile",
    "Phoenix": "realtime.phoenix",
    "PhoenixClient": "realtime.client.phoenix",
    "PhoenixConfig": "realtime.config",
    "Pipeline": "workflows.pipeline",
    "PluginError": "errors",
    "PluginHouse": "plugins.base",
    "PluginMetadata": "plugins.base",
    "ProcessingError": "errors",
    "PromptManager": "assistants.prompts",
    "ProviderError": "errors",
    "PushError": "realtime.client.push",
    "RateLimitMiddleware": "realtime.members.middleware",
    "RealtimeChannel": "realtime.supabase",
    "Registry": "runtime.registry",
    "Repository": "runtime.base",
    "ResourceError": "errors",
    "Resources": "security.resources",
    "ResponseContext": "assistants.strategies",
    "ResponseGenerator": "workflows.pipeline",
    "ResponseStrategy": "assistants.strategies",
    "SUPPORTED_MODELS": "providers.github",
    "Said": "plugins.hooks",
    "Service": "runtime.base",
    "ServiceContainer": "runtime.container",
    "ServiceError": "errors",
    "SessionManager": "conversation.sessions",
    "State": "assistants.state",
    "Store": "storage.base",
    "TextPreprocessor": "workflows.pipeline",
    "Token": "realtime.tokens.token",
    "ToolContext": "tools.base",
    "ToolError": "errors",
    "TurnEvent": "assistants.events",
    "Upload": "domain",
    "ValidationError": "errors",
    "Workspace": "workspace",
    "cache_result": "cache.decorator",
    "gather_with_concurrency": "runtime.tasks",
    "get_cache": "cache.cache",
    "get_health_checker": "telemetry.health",
    "get_logger": "telemetry.logs",
    "get_metrics": "telemetry.metrics",
    "get_plugin_registry": "plugins.registry",
    "get_presence": "realtime.presence.presence",
    "get_pubsub": "realtime.pubsub",
    "profile": "telemetry.profile",
    "retry_async": "runtime.retry",
    "run_async": "runtime.threads",
    "set_config": "realtime.config",
    "setup_logging": "telemetry.logs",
    "tool": "tools.base",
}

__all__ = [  # noqa: RUF022 - sorted as _HOMES is
    "AIService",
    "Access",
    "AdapterError",
    "Agent",
    "AntiphonError",
    "Assistant",
    "AssistantFactory",
    "AssistantTestCase",
    "AsyncProcessor",
    "Attachment",
    "AuthMiddleware",
    "BasePlugin",
    "BaseService",
    "BatchProcessor",
    "Cache",
    "CacheManager",
    "Channel",
    "ChannelAdapter",
    "ChannelMessage",
    "CircuitBreaker",
    "ClientChannel",
    "ClientOptions",
    "ClientPresence",
    "Config",
    "ConfigError",
    "ConnectionLostError",
    "ContextBuilder",
    "ErrorHandler",
    "FileStore",
    "GitHubModelsClient",
    "IntentClassifier",
    "LoggingMiddleware",
    "Memory",
    "MessageHandler",
    "MessageRouter",
    "Middleware",
    "ModelSelector",
    "ModuleError",
    "Moment",
    "MonitoringService",
    "NotAllowedError",
    "NotFoundError",
    "OutputFormatter",
    "PerformanceProfiler",
    "Phoenix",
    "PhoenixClient",
    "PhoenixConfig",
    "Pipeline",
    "PluginError",
    "PluginHouse",
    "PluginMetadata",
    "ProcessingError",
    "PromptManager",
    "ProviderError",
    "PushError",
    "RateLimitMiddleware",
    "RealtimeChannel",
    "Registry",
    "Repository",
    "ResourceError",
    "Resources",
    "ResponseContext",
    "ResponseGenerator",
    "ResponseStrategy",
    "SUPPORTED_MODELS",
    "Said",
    "Service",
    "ServiceContainer",
    "ServiceError",
    "SessionManager",
    "State",
    "Store",
    "TextPreprocessor",
    "Token",
    "ToolContext",
    "ToolError",
    "TurnEvent",
    "Upload",
    "ValidationError",
    "Workspace",
    "cache_result",
    "gather_with_concurrency",
    "get_cache",
    "get_health_checker",
    "get_logger",
    "get_metrics",
    "get_plugin_registry",
    "get_presence",
    "get_pubsub",
    "profile",
    "retry_async",
    "run_async",
    "set_config",
    "setup_logging",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'antiphon' has no attribute {name!r}")
    value = getattr(import_module(f"antiphon.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Settings of a test's own, without their sections."""

from typing import Any

from pydantic import BaseModel

from antiphon.realtime.config import PhoenixConfig, SecurityConfig, TransportConfig
from antiphon.realtime.presence.config import PresenceConfig

SECTIONS: dict[str, type[BaseModel]] = {
    "security": SecurityConfig,
    "transport": TransportConfig,
    "presence": PresenceConfig,
}


def configured(**settings: Any) -> PhoenixConfig:
    """`configured(close_seconds=1)` is `PhoenixConfig(transport={"close_seconds": 1})`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        section = next((title for title, kind in SECTIONS.items() if name in kind.model_fields), None)
        (found if section is None else found.setdefault(section, {}))[name] = value
    return PhoenixConfig(**found)

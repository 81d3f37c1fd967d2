"""The blocks of Simple AI Agent's architecture: an order of preference, and two pictures of how it is deployed."""

import re
from typing import Any

import pytest
import yaml

import antiphon
from tests.seeds.extract import Block
from tests.seeds.later import later
from tests.seeds.running import ROOT, home, sample
from tests.unit.assistants.conftest import choose

STEPS = {
    "Conversation.model_override": "conversation",
    "User.preferred_model": "user",
    "ChannelConfig.default_model": "channel",
    "Settings.default_model": "system",
}


@sample("simple-ai-agent-1")
def test_the_first_preference_that_is_set_decides(block: Block) -> None:
    steps = [STEPS[name] for name in re.findall(r"^\d\. (\S+)", block.text, re.MULTILINE)]
    assert len(steps) == 4
    for first in range(4):
        wishes = {step: f"vendor:{step}" for step in steps[first:]}
        choice = choose(wishes, ("vendor",))
        assert (choice.model, choice.chosen_by) == (f"vendor:{steps[first]}", steps[first])
        passed = [step for step, finding in choice.considered if finding == "not set" and step != "assistant"]
        assert passed == steps[:first]
    with pytest.raises(antiphon.ConfigError, match="conversation: not set; user: not set; channel: not set"):
        choose({})


def composed() -> dict[str, Any]:
    """The services of the compose file."""
    file = home("deploy/compose.yaml", below=ROOT)
    services: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    return services


def boxes(block: Block) -> set[str]:
    """The words in the boxes of a diagram."""
    return set(re.findall(r"│ *([A-Za-z][\w/ ]*?) *(?=│)", block.text))


@sample("simple-ai-agent-2")
@later("deployment")
def test_the_compose_file_holds_what_the_diagram_shows(block: Block) -> None:
    assert boxes(block) == {"nginx/Traefik", "App", "Container", "Postgres", "Redis"}
    services = composed()
    assert {"app", "postgres", "redis"} <= set(services)
    assert {"postgres", "redis"} <= set(services["app"]["depends_on"])
    proxies = set(services) & {"nginx", "traefik"}
    assert [services[name].get("profiles") for name in proxies] == [[name] for name in proxies]


@sample("simple-ai-agent-3")
@later("deployment")
def test_the_application_can_be_started_many_times_behind_a_balancer(block: Block) -> None:
    assert {"App 1", "App 2", "App 3", "App N", "RDS", "Redis"} <= boxes(block)
    app = composed()["app"]
    assert "container_name" not in app
    assert [port for port in app.get("ports", ()) if re.match(r"\d+:", str(port))] == []
    assert "volumes" not in app

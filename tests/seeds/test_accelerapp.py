"""The blocks of Accelerapp's architecture: one test each."""

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import antiphon
from antiphon.errors import AntiphonError
from tests.seeds.extract import Block, blocks
from tests.seeds.later import later
from tests.seeds.running import ROOT, home, public, run, run_async, sample

LetPass = Callable[[float], None]


# --- Architecture diagram -----------------------------------------------------------------------------------------

PARTS = {
    "CLI/UI": "cli/",
    "Examples": "../../examples/",
    "Integration": "adapters/",
    "Hardware Service": "HardwareService",
    "AI Agent Service": "AIService",
    "Workflow Service": "WorkflowService",
    "Monitoring Service": "MonitoringService",
    "Dependency Injection": "ServiceContainer",
    "Configuration Manager": "Config",
    "Interfaces & Protocols": "runtime/base.py",
    "Exception Hierarchy": "AntiphonError",
    "Caching Utilities": "CacheManager",
    "Async Utilities": "run_async",
    "Performance Profiling": "PerformanceProfiler",
    "Metrics Collection": "get_metrics",
    "Logging System": "get_logger",
    "Health Checks": "get_health_checker",
    "Generator Plugins": "GeneratorPlugin",
    "Analyzer Plugins": "AnalyzerPlugin",
    "Transformer Plugins": "TransformerPlugin",
    "Plugin Registry": "get_plugin_registry",
}
"""What each box is here: a public name, or a place in the package."""


def boxes(text: str) -> set[str]:
    """The words in the innermost boxes of a diagram; those below each other belong together."""
    found: list[tuple[int, int, str]] = []
    for row, line in enumerate(text.splitlines()):
        for cell in re.finditer(r"│ +([A-Z&][^│]*?) *(?=│)", line):
            column = cell.start()
            above = next((each for each in found if each[:2] == (row - 1, column)), None)
            if above:
                found.remove(above)
            found.append((row, column, f"{above[2]} {cell[1]}" if above else cell[1]))
    return {words for _, _, words in found if not words.endswith(("Layer", "Plugin System"))}


@sample("accelerapp-1")
@later("plugins")
def test_every_box_of_the_diagram_is_there(block: Block) -> None:
    assert boxes(block.text) == set(PARTS)
    for part in PARTS.values():
        if "/" in part:
            home(part)
        else:
            public(part)


# --- Core ---------------------------------------------------------------------------------------------------------


class HardwareService:
    """Stands for a service of the document's that needs the configuration."""

    def __init__(self, config: antiphon.Config) -> None:
        self.config = config


class Stranger:
    """Needs nothing, and nobody has registered it."""


@sample("accelerapp-2")
def test_a_container_makes_services_with_what_they_need(block: Block) -> None:
    config = antiphon.Config(environment="testing")
    names = run(block, HardwareService=HardwareService, config_instance=config)
    container, service = names["container"], names["service"]
    assert type(service) is HardwareService
    assert service.config is config
    assert container.resolve(antiphon.Config) is config
    assert container.resolve(HardwareService) is not service
    with pytest.raises(AntiphonError, match="Stranger"):
        container.resolve(Stranger)


def test_a_container_also_takes_factories() -> None:
    """The third kind of registration that the document names, without an example."""
    container = public("ServiceContainer")()
    made: list[HardwareService] = []

    def make(config: antiphon.Config) -> HardwareService:
        made.append(HardwareService(config))
        return made[-1]

    container.register_singleton(antiphon.Config, antiphon.Config(environment="testing"))
    container.register_factory(HardwareService, make)
    assert container.resolve(HardwareService) is made[-1]
    assert made[-1].config.environment == "testing"


@sample("accelerapp-3")
def test_configuration_comes_from_files_and_the_environment(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(block)["cache_ttl"] == 3600
    (tmp_path / "antiphon.yaml").write_text("performance: {cache_ttl: 120}\n")
    assert run(block)["cache_ttl"] == 120
    monkeypatch.setenv("ANTIPHON_PERFORMANCE__CACHE_TTL", "60")
    assert run(block)["cache_ttl"] == 60
    monkeypatch.setenv("ANTIPHON_PERFORMANCE__CACHE_TTL", "soon")
    with pytest.raises(antiphon.ConfigError, match=r"performance\.cache_ttl"):
        run(block)


def test_configuration_may_be_the_four_files_of_a_folder(tmp_path: Path) -> None:
    """The document names them without showing what is in them."""
    contents = {
        "logging_config": "outputs: [{to: stderr}, {to: house.log, level: DEBUG}]",
        "monitoring_config": "interval_seconds: 2.5",
        "performance_config": "cache_ttl: 30",
        "service_config": "retry_attempts: 7",
    }
    document = "\n".join(path.read_text() for path in (ROOT / "tests" / "seeds" / "documents").glob("accel*"))
    (tmp_path / "config").mkdir()
    for name, text in contents.items():
        assert f"### `{name}.yaml`" in document
        (tmp_path / "config" / f"{name}.yaml").write_text(text)
    config: Any = antiphon.Config.load()
    assert [(output.to, output.level) for output in config.logging.outputs] == [
        ("stderr", None),
        ("house.log", "DEBUG"),
    ]
    assert config.monitoring.interval_seconds == 2.5
    assert config.performance.cache_ttl == 30
    assert config.services.retry_attempts == 7


# --- Utilities ----------------------------------------------------------------------------------------------------


@sample("accelerapp-4")
def test_what_is_cached_is_there_for_its_time_and_computed_once(block: Block, let_pass: LetPass) -> None:
    computed: list[Any] = []

    def compute_result(param: Any) -> list[Any]:
        computed.append(param)
        return [param]

    names = run(block, compute_result=compute_result)
    cache, function = names["cache"], names["expensive_function"]
    assert names["value"] == "value"
    cache.set("longer", 1)
    assert function(1) is function(1)
    assert function(2) == [2]
    assert computed == [1, 2]
    let_pass(59)
    assert cache.get("key") == "value"
    let_pass(2)
    assert cache.get("key") is None
    assert cache.get("longer") == 1
    let_pass(240)
    assert function(1) == [1]
    assert computed == [1, 2, 1]
    let_pass(3300)
    assert cache.get("longer") is None


def test_a_full_cache_forgets_what_was_not_used_for_longest_and_counts() -> None:
    cache = public("CacheManager")(default_ttl=3600, max_size=1000)
    for number in range(1000):
        cache.set(number, number)
    assert cache.get(0) == 0
    cache.set("new", 1)
    assert (cache.get(0), cache.get(1), cache.get("new")) == (0, None, 1)
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.evictions, stats.size) == (3, 1, 1, 1000)


@sample("accelerapp-5")
def test_what_is_profiled_is_timed_by_name(block: Block) -> None:
    names = run(block)
    profiler, function = names["profiler"], names["my_function"]
    timing = profiler.report()["operation_name"]
    assert timing.count == 1
    assert 0 <= timing.min <= timing.p50 <= timing.max < 1
    with pytest.raises(ZeroDivisionError), profiler.measure("operation_name"):
        1 / 0  # noqa: B018 - what fails is measured too
    assert profiler.report()["operation_name"].count == 2
    assert function.__name__ == "my_function"
    for _ in range(3):
        function()
    assert samples()['antiphon_profile_seconds_count{name="function_name"}'] == 3


async def test_the_async_utilities_do_what_their_sentences_say() -> None:
    """The document names `run_async`, `gather_with_concurrency` and `retry_async` without an example."""
    assert await public("run_async")(threading.get_ident) != threading.get_ident()
    inside, most = 0, 0

    async def work(number: int) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        return number

    found = await public("gather_with_concurrency")(3, *(work(number) for number in range(20)))
    assert (found, most) == (list(range(20)), 3)
    answers: list[Exception | str] = [ConnectionError("not yet"), "here"]

    async def fetch() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await public("retry_async")(fetch) == "here"
    assert answers == []


# --- Monitoring ---------------------------------------------------------------------------------------------------


def samples() -> dict[str, float]:
    """What Prometheus would be told, without the help."""
    text = antiphon.get_metrics().render().decode()
    told = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in told}


@sample("accelerapp-6")
def test_what_is_counted_is_told_to_prometheus(block: Block) -> None:
    names = run(block)
    found = samples()
    assert found["requests_total"] == 1
    assert found["active_connections"] == 10
    assert (found["request_duration_sum"], found["request_duration_count"]) == (0.245, 1)
    assert found['request_duration_bucket{le="0.25"}'] == 1
    assert found['request_duration_bucket{le="0.1"}'] == 0
    names["gauge"].set(7)
    names["metrics"].counter("requests_total").inc(2)
    assert (samples()["active_connections"], samples()["requests_total"]) == (7, 3)
    (uptime,) = (value for name, value in found.items() if "uptime" in name)
    assert uptime > 0


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@sample("accelerapp-7")
@pytest.mark.usefixtures("restored_logging")
def test_a_line_of_the_log_is_an_object_with_its_correlation_id(
    block: Block, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = run(block)["logger"]
    logger.debug("not at this level")
    (line,) = lines(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("Operation completed", "info")
    assert (line["correlation_id"], line["user_id"]) == ("req-123", 456)
    assert line["timestamp"].endswith("Z")


@sample("accelerapp-8")
def test_a_critical_check_decides_over_the_health(block: Block) -> None:
    health = run(block, check_db_connection=lambda: True)["health"]
    assert (health.status, health.ready) == ("healthy", True)
    (check,) = health.checks
    assert (check.name, check.healthy, check.critical) == ("database", True, True)

    def refused() -> bool:
        raise ConnectionRefusedError("no database")

    for failing in (lambda: False, refused):
        health = run(block, check_db_connection=failing)["health"]
        assert (health.status, health.ready) == ("unhealthy", False)
    assert "no database" in health.checks[0].detail
    names = run(block, check_db_connection=lambda: True)
    names["checker"].register("mail", lambda: False, critical=False)
    health = names["checker"].check_all()
    assert (health.status, health.ready) == ("degraded", True)


def test_health_is_known_within_a_second_whatever_a_check_does() -> None:
    """ "Sub-second health check responses": the document's aim, with a check that never returns."""
    end = threading.Event()
    slow = run(blocks()["accelerapp-8"], check_db_connection=end.wait)
    end.set()
    assert slow["health"].status == "unhealthy"
    assert slow["health"].checks[0].elapsed_ms < 1000


# --- Plugins ------------------------------------------------------------------------------------------------------


@sample("accelerapp-9")
@later("plugins")
async def test_plugins_are_started_and_found_by_what_they_can_do(block: Block) -> None:
    public("get_plugin_registry")
    plugin = run(blocks()["accelerapp-10"])["MyPlugin"]()
    names = await run_async(block, my_plugin=plugin)
    assert names["plugins"] == [plugin]
    assert names["registry"].find_plugins_by_capability("poetry") == []


@sample("accelerapp-10")
@later("plugins")
async def test_a_plugin_says_what_it_is_and_generates(block: Block) -> None:
    plugin = run(block)["MyPlugin"]()
    assert (plugin.metadata.name, plugin.metadata.version) == ("MyPlugin", "1.0.0")
    assert (plugin.metadata.author, plugin.metadata.description) == ("Your Name", "Plugin description")
    assert list(plugin.metadata.capabilities) == ["code_generation"]
    await plugin.initialize()
    assert plugin.generate({})["status"] == "success"


# --- Migration guide ----------------------------------------------------------------------------------------------


@sample("accelerapp-11")
def test_the_requirements_are_pinned_and_pip_has_nothing_left_to_install(block: Block) -> None:
    """The command of the document, with the name that the file has here; a dry run, and without a network."""
    program, *words = block.text.replace("requirements.txt", "requirements.lock").split()
    assert program == "pip"
    command = [sys.executable, "-m", program, "--disable-pip-version-check", *words, "--dry-run", "--no-index"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    said = Counter(line.partition(":")[0] for line in done.stdout.splitlines())
    assert said["Requirement already satisfied"] > 20
    assert [line for line in said if line.startswith(("Collecting", "Would install"))] == []


@sample("accelerapp-12")
@later("devices")
def test_all_names_come_from_one_place(block: Block) -> None:
    names = run(block)
    assert names["Workspace"] is antiphon.Workspace
    assert names["get_metrics"]() is antiphon.get_metrics()


@sample("accelerapp-13")
@later("devices")
async def test_the_hardware_service_comes_out_of_a_container_and_starts(block: Block) -> None:
    names = await run_async(block)
    assert type(names["hw_service"]) is public("HardwareService")


@sample("accelerapp-14")
@pytest.mark.usefixtures("restored_logging")
def test_the_log_of_a_module_is_structured(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    names = run(block)
    names["logger"].info("started", port=4000)
    (line,) = lines(capsys.readouterr().err)
    assert (line["event"], line["logger"], line["port"]) == ("started", names["__name__"], 4000)


@sample("accelerapp-15")
def test_nothing_is_also_a_result_that_is_kept(block: Block, calls: Counter[str], let_pass: LetPass) -> None:
    function = run(block)["expensive_operation"]
    assert (function(), function()) == (None, None)
    assert calls["expensive_operation"] == 1
    let_pass(301)
    function()
    assert calls["expensive_operation"] == 2

"""The blocks of PhiData's core concepts: one test each."""

import asyncio
import re
import unittest
from collections import Counter
from pathlib import Path

import pytest

import antiphon
from antiphon.assistants.assistant import Assistant
from antiphon.cache import cache as caching
from antiphon.runtime.clock import ManualClock
from tests.redis_server import RedisServer
from tests.seeds.extract import Block
from tests.seeds.later import later
from tests.seeds.running import public, run, sample
from tests.serving import Visitors, serving

# --- Key components -----------------------------------------------------------------------------------------------


@sample("phidata-1")
def test_resources_are_limits_of_a_process(block: Block) -> None:
    resources = run(block)["resources"]
    assert (resources.cpu_limit, resources.memory_limit, resources.storage_size) == ("1", "2Gi", "10Gi")


@sample("phidata-2")
def test_a_state_has_the_fields_that_were_declared(block: Block) -> None:
    state = run(block)["AssistantState"]
    made = state(conversation_history=["hello"], user_preferences={"units": "metric"}, current_context="weather")
    assert made.user_preferences == {"units": "metric"}
    with pytest.raises(antiphon.AntiphonError, match="current_context"):
        state(conversation_history=[], user_preferences={}, current_context=3)


@sample("phidata-3")
async def test_an_assistant_is_told_when_it_starts_and_stops(block: Block, calls: Counter[str], tmp_path: Path) -> None:
    assistant = Assistant("guide")
    run(block, assistant=assistant)
    async with serving(tmp_path, added=(assistant,)):
        assert (calls["handle_start"], calls["handle_cleanup"]) == (1, 0)
    assert (calls["handle_start"], calls["handle_cleanup"]) == (1, 1)


# --- Design patterns ----------------------------------------------------------------------------------------------


@sample("phidata-4")
def test_a_factory_makes_assistants_from_a_configuration(block: Block) -> None:
    factory = run(block)["CustomAssistantFactory"]()
    assert isinstance(factory, public("AssistantFactory"))
    assert factory.create_assistant({}) is None  # this one makes none


@sample("phidata-5")
async def test_a_subscriber_sees_every_message_of_a_person(
    block: Block, calls: Counter[str], tmp_path: Path, visitors: Visitors
) -> None:
    assistant = Assistant("guide")
    run(block, assistant=assistant)
    async with serving(tmp_path, added=(assistant,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.ask("!echo one")
        await visitor.ask("!echo two")
    assert calls["log_message"] == 2


@sample("phidata-6")
def test_a_strategy_is_whatever_generates_a_response(block: Block) -> None:
    """The document's own base class needs nothing of ours."""
    formal = run(block)["FormalResponseStrategy"]()
    assert isinstance(formal, public("ResponseStrategy"))


# --- Advanced features --------------------------------------------------------------------------------------------


@sample("phidata-7")
def test_a_memory_has_a_place_a_lifetime_and_a_size(block: Block) -> None:
    memory = run(block)["memory"]
    assert (memory.storage_type, memory.ttl, memory.max_size) == ("redis", 3600, 1000)


@sample("phidata-8")
async def test_a_pipeline_takes_a_text_through_its_stages(block: Block) -> None:
    pipeline = run(block)["pipeline"]
    assert [type(stage).__name__ for stage in pipeline.stages] == [
        "TextPreprocessor",
        "IntentClassifier",
        "ResponseGenerator",
        "OutputFormatter",
    ]
    assert await pipeline.run("  Hello  ")


@sample("phidata-9")
async def test_what_fails_is_tried_three_times_with_pauses_that_double(
    block: Block, caplog: pytest.LogCaptureFixture
) -> None:
    handler = run(block)["error_handler"]
    tried = 0

    async def fails(error: Exception) -> None:
        nonlocal tried
        tried += 1
        raise error

    caplog.set_level("INFO", "antiphon.runtime.retry")
    with pytest.raises(ConnectionError, match="no answer"):
        await handler.run(fails, ConnectionError("no answer"))
    assert tried == 3
    first, second = (record.args[2] for record in caplog.records if isinstance(record.args, tuple))
    assert 0.1 <= float(str(first)) <= 0.2 <= float(str(second)) <= 0.3
    tried = 0
    too_late = antiphon.ProviderError("busy", kind="overloaded", retryable=True, retry_after=31)
    async with asyncio.timeout(10):
        with pytest.raises(antiphon.ProviderError):
            await handler.run(fails, too_late)
    assert tried == 1  # there is no time for another try within 30 seconds


# --- Best practices -----------------------------------------------------------------------------------------------


@sample("phidata-10")
def test_a_configuration_says_what_it_was_given_and_nothing_else_decides(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "antiphon.yaml").write_text("log_level: ERROR\n")
    monkeypatch.setenv("ANTIPHON_DEBUG", "true")
    config = run(block)["app_config"]
    assert (config.environment, config.debug, config.log_level) == ("production", False, "INFO")
    assert config.logs_as == "json"
    with pytest.raises(ValueError, match="frozen"):
        config.debug = True
    with pytest.raises(ValueError, match="environment"):
        type(config)(environment="moon")


@sample("phidata-11")
@pytest.mark.usefixtures("restored_logging")
def test_the_log_is_written_in_the_format_that_was_given(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    logger = run(block)["logger"]
    logger.debug("too small")
    logger.info("ready", port=4000)
    antiphon.get_logger("antiphon.sample").warning("slow")
    first, second = capsys.readouterr().err.splitlines()
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
    assert re.fullmatch(rf"{time} - antiphon - INFO - ready port=4000", first)
    assert re.fullmatch(rf"{time} - antiphon\.sample - WARNING - slow", second)


@sample("phidata-12")
def test_a_test_case_brings_an_assistant_that_answers(block: Block) -> None:
    case = run(block)["TestCustomAssistant"]
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


# --- Security considerations --------------------------------------------------------------------------------------


@sample("phidata-13")
@later("security")
def test_authentication_is_by_a_provider_and_keeps_its_secret(block: Block) -> None:
    auth = run(block)["auth"]
    assert (auth.provider, auth.client_id) == ("oauth2", "your_client_id")
    assert "your_client_secret" not in repr(auth)


@sample("phidata-14")
@later("security")
def test_a_limit_lets_a_burst_pass(block: Block) -> None:
    limit = run(block)["rate_limit"]
    assert (limit.requests_per_minute, limit.burst_size) == (60, 10)


@sample("phidata-15")
@later("security")
def test_what_is_encrypted_can_be_read_again_and_by_nobody_else(block: Block) -> None:
    encryption = run(block)["encryption"]
    sealed = encryption.encrypt(b"a secret")
    assert b"a secret" not in sealed
    assert encryption.decrypt(sealed) == b"a secret"


# --- Performance optimisation -------------------------------------------------------------------------------------


@sample("phidata-16")
async def test_a_cache_in_redis_keeps_a_value_for_an_hour_and_for_every_process(
    block: Block, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "DEFAULT_REDIS", redis.url)
    cache, other = run(block)["cache"], run(block)["cache"]
    try:
        assert await cache.set("rates", {"EUR": 1.08})
        assert await other.get("rates") == {"EUR": 1.08}
        (name,) = re.findall(r"antiphon\S*:rates", redis.ask("KEYS", "*"))
        assert 3590 < int(redis.ask("TTL", name).strip(":\r\n")) <= 3600
        await cache.set("brief", "value", ttl=0.01)
        async with asyncio.timeout(10):
            while await other.get("brief") is not None:
                await asyncio.sleep(0.005)
        redis.kill()
        assert await cache.get("rates") is None
    finally:
        await cache.stop()
        await other.stop()


@sample("phidata-17")
async def test_items_are_processed_a_hundred_at_a_time(block: Block) -> None:
    """The first of a hundred waits for the last of them, and the next hundred wait for both."""
    processor = run(block)["batch_processor"]
    begun: list[int] = []
    last_has_begun = asyncio.Event()

    async def process(item: int) -> int:
        begun.append(item)
        if item == 99:
            last_has_begun.set()
        if item == 0:
            await last_has_begun.wait()
            await asyncio.sleep(0)
            assert max(begun) == 99
        return 2 * item

    async with asyncio.timeout(10):
        assert await processor.process(range(250), process) == [2 * item for item in range(250)]


async def test_what_comes_one_by_one_is_collected_to_hundreds_for_thirty_seconds() -> None:
    """The same processor where the items come from many callers."""
    batches: list[int] = []
    clock = ManualClock()

    async def store(items: list[int]) -> list[int]:
        batches.append(len(items))
        return items

    async with public("BatchProcessor")(batch_size=100, timeout=30, handle=store, clock=clock) as processor:
        submitted = [asyncio.create_task(processor.submit(item)) for item in range(250)]
        await asyncio.gather(*submitted[:200])
        await clock.advance(29)
        assert batches == [100, 100]
        await clock.advance(2)
        assert await asyncio.gather(*submitted) == list(range(250))
    assert batches == [100, 100, 50]


@sample("phidata-18")
async def test_four_workers_take_from_a_line_of_a_thousand(block: Block) -> None:
    processor = run(block)["async_processor"]
    inside, most = 0, 0
    go = asyncio.Event()

    async def work(number: int) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await go.wait()
        inside -= 1
        return number

    async with processor:
        futures = [await processor.submit(work, number) for number in range(1004)]
        one_too_many = asyncio.create_task(processor.submit(work, 1004))
        await asyncio.sleep(0)
        assert (inside, one_too_many.done()) == (4, False)
        go.set()
        assert await asyncio.gather(*futures, await one_too_many) == list(range(1005))
    assert most == 4

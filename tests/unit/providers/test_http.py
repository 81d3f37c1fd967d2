import asyncio
import gzip
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import SecretStr

from antiphon.errors import ConfigError, ProviderError
from antiphon.providers import http
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    File,
    Finish,
    ModelInfo,
    ModelRequest,
    Provider,
    TextDelta,
)
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProviderSettings, Timeouts
from antiphon.providers.github import GitHubModelsClient
from antiphon.providers.http import HttpProvider, is_loopback
from antiphon.providers.openai import OpenAIProvider
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat

Start = Callable[..., Awaitable[Any]]
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
KEY = "k3y-never-shown"
REQUEST = ModelRequest(model="m", messages=(ChatMessage(role="user", text="the diary of Ann"),))


def chunk(text: str | None = None, finish: str | None = None) -> bytes:
    body = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


HELLO = [chunk("Hel"), chunk("lo"), chunk(finish="stop"), b"data: [DONE]\n\n"]


def head(status: int = 200, kind: str = "text/event-stream", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode()


def streamed(*pieces: bytes, end: bool = True, hang: bool = False) -> Answer:
    """A chunked answer, each piece written on its own; without `end` the connection breaks, with `hang` it stays."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head(Transfer_Encoding="chunked"))
        for piece in pieces:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        if hang:
            await asyncio.Event().wait()
        if end:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        else:
            writer.close()

    return answer


def raw(data: bytes, *, close: bool = True) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()

    return answer


def whole(status: int, body: bytes, kind: str = "application/json", **headers: str) -> Answer:
    return raw(head(status, kind, Content_Length=str(len(body)), **headers) + body, close=False)


async def silent(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def failing(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., HttpProvider]]:
    """Providers for an address, stopped at the end."""
    made: list[HttpProvider] = []

    def make(url: str, kind: type[HttpProvider] = CompatibleProvider, **settings: Any) -> HttpProvider:
        settings = {"api_key": SecretStr(KEY), **settings}
        made.append(kind("acme", ProviderSettings(base_url=url, **settings)))
        return made[-1]

    yield make
    for provider in made:
        await provider.stop()


async def listen(provider: Provider, request: ModelRequest = REQUEST) -> list[Event]:
    """All events, after a look at what every stream promises."""
    events = [event async for event in provider.stream(request)]
    assert [index for index, event in enumerate(events) if isinstance(event, Finish | Error)] == [len(events) - 1]
    return events


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def error(events: list[Event]) -> Error:
    last = events[-1]
    assert isinstance(last, Error)
    for shown in (last.message, last.public):
        assert KEY not in shown
        assert "diary" not in shown
    return last


async def test_an_answer_streams(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(streamed(*HELLO))
    provider = connect(vendor.url, headers={"X-Team": SecretStr("blue")})
    assert isinstance(provider, Provider)
    assert await listen(provider) == [TextDelta("Hel"), TextDelta("lo"), Finish("stop")]
    lines = vendor.requests[0][0].decode().split("\r\n")
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
    assert f"Authorization: Bearer {KEY}" in lines
    assert "X-Team: blue" in lines
    assert "Accept-Encoding: identity" in lines
    assert json.loads(vendor.requests[0][1])["messages"][0]["content"] == "the diary of Ann"


async def test_each_token_arrives_when_it_is_sent(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(streamed(HELLO[0], hang=True))
    async with aclosing(connect(vendor.url).stream(REQUEST)) as events:
        assert await anext(events) == TextDelta("Hel")


async def test_large_files_are_encoded_beside_the_event_loop(
    raw_vendor: Start, connect: Callable[..., HttpProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def encode(codec: OpenAIChat, request: ModelRequest) -> bytes:
        threads.append(threading.current_thread())
        return as_ever(codec, request)

    as_ever = OpenAIChat.encode
    monkeypatch.setattr(OpenAIChat, "encode", encode)
    vendor = await raw_vendor(streamed(*HELLO))
    provider = connect(vendor.url)
    picture = File(name="a.png", media_type="image/png", data=bytes(1_000_000))
    asked = ChatMessage(role="user", text="the diary of Ann", files=(picture,))
    for request in (REQUEST, ModelRequest(model="m", messages=(asked,))):
        assert text(await listen(provider, request)) == "Hello"
    assert [thread is threading.main_thread() for thread in threads] == [True, False]
    (part,) = [part for part in json.loads(vendor.requests[1][1])["messages"][0]["content"] if part["type"] != "text"]
    assert len(part["image_url"]["url"]) > 1_333_333


async def test_a_connection_serves_again(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(streamed(*HELLO))
    provider = connect(vendor.url)
    for _ in range(3):
        assert text(await listen(provider)) == "Hello"
    assert vendor.connections == 1


async def test_a_vendor_that_never_hangs_up_is_not_waited_for(
    raw_vendor: Start, connect: Callable[..., HttpProvider]
) -> None:
    vendor = await raw_vendor(streamed(*HELLO, hang=True))
    assert (await listen(connect(vendor.url)))[-1] == Finish("stop")
    await asyncio.wait_for(vendor.gone.wait(), 5)


async def test_the_end_of_an_answer_does_not_wait_for_the_end_of_its_body(
    raw_vendor: Start, connect: Callable[..., HttpProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_GRACE", 60.0)
    vendor = await raw_vendor(streamed(*HELLO, hang=True))
    async with asyncio.timeout(5), aclosing(connect(vendor.url).stream(REQUEST)) as events:
        assert [await anext(events) for _ in range(3)] == [TextDelta("Hel"), TextDelta("lo"), Finish("stop")]


async def test_closing_a_stream_frees_its_connection_at_once(
    raw_vendor: Start, connect: Callable[..., HttpProvider]
) -> None:
    vendor = await raw_vendor(streamed(HELLO[0], hang=True))
    stream = connect(vendor.url).stream(REQUEST)
    await anext(stream)
    await stream.aclose()
    await asyncio.wait_for(vendor.gone.wait(), 5)


@pytest.mark.parametrize("answer", [streamed(HELLO[0], hang=True), silent])
async def test_cancelling_frees_the_connection_at_once(
    raw_vendor: Start, connect: Callable[..., HttpProvider], answer: Answer
) -> None:
    vendor = await raw_vendor(answer)
    task = asyncio.create_task(listen(connect(vendor.url)))
    while not vendor.requests:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(vendor.gone.wait(), 5)


async def test_stopping_ends_streams_under_way(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(streamed(HELLO[0], hang=True))
    provider = connect(vendor.url)
    stream = provider.stream(REQUEST)
    assert await anext(stream) == TextDelta("Hel")
    await provider.stop()
    rest = [event async for event in stream]
    assert error(rest).kind == "interrupted"
    assert error(await listen(provider)).kind == "interrupted"


async def test_stopping_ends_a_request_without_answer(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(silent)
    provider = connect(vendor.url)
    task = asyncio.create_task(listen(provider))
    while not vendor.requests:
        await asyncio.sleep(0)
    await provider.stop()
    assert error(await task).kind == "interrupted"


# --- faults -------------------------------------------------------------------------------------------------------

QUICK = Timeouts(first_byte=0.2)
SILENT = {"500 body never comes", "says nothing", "says nothing behind the head"}
FAULTS: dict[str, tuple[Answer, str, bool]] = {
    "401": (whole(401, failing(message=f"Incorrect API key provided: {KEY}", code="invalid_api_key")), "auth", False),
    "403": (whole(403, b"", "text/plain"), "auth", False),
    "404": (whole(404, failing(message="no such model")), "invalid", False),
    "410": (whole(410, b"gone"), "retired", False),
    "413": (whole(413, b"<html>", "text/html"), "too_long", False),
    "429 rate": (whole(429, failing(message="slow", code="rate_limit_exceeded"), Retry_After="7"), "rate", True),
    "429 quota": (whole(429, failing(message="pay", code="insufficient_quota")), "quota", False),
    "429 overload": (whole(429, failing(message="x", type="engine_overloaded")), "overload", True),
    "500 page": (whole(500, b"<html><h1>nginx</h1></html>", "text/html"), "server", True),
    "503": (whole(503, b""), "overload", True),
    "500 body never comes": (raw(head(500, Content_Length="100") + b"x", close=False), "server", True),
    "500 body endless": (raw(head(500, Content_Length="10000000") + b"x" * 10_000_000), "server", True),
    "page with status 200": (whole(200, b"<!DOCTYPE html>", "text/html"), "protocol", False),
    "error with status 200": (whole(200, failing(message="x", type="overloaded_error")), "overload", True),
    "garbage": (raw(b"\x00\xffnot http at all\r\n\r\n"), "protocol", False),
    "garbage stream": (streamed(b"data: \x00\xff\n\n"), "protocol", False),
    "hangs up": (raw(b""), "unreachable", True),
    "hangs up behind the head": (raw(head(Transfer_Encoding="chunked")), "interrupted", True),
    "says nothing": (silent, "timeout", False),
    "says nothing behind the head": (raw(head(Transfer_Encoding="chunked"), close=False), "timeout", False),
    "endless line": (streamed(*[b"data: " + b"x" * 100_000] * 30, hang=True), "protocol", False),
    "endless head": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000), "protocol", False),
    "redirect": (raw(head(307, Location="http://127.0.0.1:9/v1", Content_Length="0"), close=False), "protocol", False),
    "packed": (whole(200, gzip.compress(b"x" * 50_000_000), Content_Encoding="gzip"), "protocol", False),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_one_clear_error(
    raw_vendor: Start, connect: Callable[..., HttpProvider], caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    answer, kind, retryable = FAULTS[fault]
    vendor = await raw_vendor(answer)
    (only,) = await listen(connect(vendor.url, timeouts=QUICK if fault in SILENT else Timeouts()))
    assert (error([only]).kind, error([only]).retryable) == (kind, retryable)
    assert KEY not in caplog.text
    assert "diary" not in caplog.text
    assert len(vendor.requests) == 1


async def test_the_time_to_wait_is_kept(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(
        whole(429, b"", Retry_After="7"), whole(200, failing(code=429, message="x"), Retry_After_Ms="1500")
    )
    provider = connect(vendor.url)
    assert error(await listen(provider)).retry_after == 7
    assert error(await listen(provider)).retry_after == 1.5


async def test_nobody_listens(free_port: int, connect: Callable[..., HttpProvider]) -> None:
    found = error(await listen(connect(f"http://127.0.0.1:{free_port}/v1")))
    assert (found.kind, found.retryable) == ("unreachable", True)


async def test_silence_in_the_middle_keeps_the_text(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(streamed(*HELLO[:2], hang=True))
    events = await listen(connect(vendor.url, timeouts=Timeouts(between=0.5)))
    assert text(events) == "Hello"
    assert error(events).kind == "timeout"
    await asyncio.wait_for(vendor.gone.wait(), 5)


async def test_whoever_reads_slowly_is_not_taken_for_a_silent_vendor(
    raw_vendor: Start, connect: Callable[..., HttpProvider]
) -> None:
    vendor = await raw_vendor(streamed(*HELLO))
    provider = connect(vendor.url, timeouts=Timeouts(between=0.05))
    events: list[Event] = []
    async with aclosing(provider.stream(REQUEST)) as stream:
        async for event in stream:
            if not events:
                await asyncio.sleep(0.2)  # longer than the vendor may take: the reader itself is what is slow
            events.append(event)
    assert text(events) == "Hello"
    assert isinstance(events[-1], Finish)


async def test_a_break_in_the_middle_keeps_the_text(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(streamed(*HELLO[:2], end=False))
    events = await listen(connect(vendor.url))
    assert text(events) == "Hello"
    assert (error(events).kind, error(events).retryable) == ("interrupted", False)


async def test_a_cut_at_any_byte_is_an_end(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    data = head(Content_Length="9999") + b"".join(HELLO)
    vendor = await raw_vendor(*[raw(data[:cut]) for cut in range(0, len(data), 7)])
    provider = connect(vendor.url)
    for _ in range(0, len(data), 7):
        events = await listen(provider)
        assert "Hello".startswith(text(events))
        assert isinstance(events[-1], Finish) or error(events).kind in {"unreachable", "interrupted", "protocol"}


async def test_a_slow_drip_is_read(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    data = b"".join(HELLO)
    vendor = await raw_vendor(streamed(*[data[index : index + 1] for index in range(len(data))]))
    assert text(await listen(connect(vendor.url))) == "Hello"


async def test_an_endless_drip_ends(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head())
        while True:
            writer.write(b": still here\n")
            await asyncio.sleep(0.02)

    vendor = await raw_vendor(drip)
    provider = connect(vendor.url, timeouts=Timeouts(total=0.3))
    assert error(await listen(provider)).kind == "timeout"


async def test_streams_at_once_do_not_mix(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    answers = [streamed(chunk(f"{n}"), chunk(f"-{n}"), chunk(finish="stop")) for n in range(50)]
    vendor = await raw_vendor(*answers)
    provider = connect(vendor.url)
    texts = [text(events) for events in await asyncio.gather(*[listen(provider) for _ in range(50)])]
    assert sorted(texts) == sorted(f"{n}-{n}" for n in range(50))


async def test_a_request_that_cannot_be_sent(connect: Callable[..., HttpProvider], free_port: int) -> None:
    request = ModelRequest(model="m", messages=(ChatMessage(role="user", text="\ud800"),))
    assert error(await listen(connect(f"http://127.0.0.1:{free_port}/v1"), request)).kind == "invalid"


# --- the list of models -------------------------------------------------------------------------------------------


async def test_models(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    listing = {
        "data": [
            {"id": "a", "context_length": 8192, "supported_parameters": ["temperature"]},
            {"id": "b", "max_model_len": 4096, "supported_parameters": ["tools"]},
            {"id": 5},
            "junk",
            {"id": "c", "context_length": "many"},
        ]
    }
    vendor = await raw_vendor(whole(200, json.dumps(listing).encode()))
    assert await connect(vendor.url).models() == (
        ModelInfo(id="a", context=8192, tools=False),
        ModelInfo(id="b", context=4096),
        ModelInfo(id="c"),
    )
    assert vendor.requests[0][0].startswith(b"GET /v1/models ")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (whole(401, b""), "auth"),
        (whole(200, b"{}"), "protocol"),
        (whole(200, b"<html>"), "protocol"),
        (whole(200, b'{"data": {}}'), "protocol"),
        (raw(head(Content_Length="100") + b"{"), "protocol"),
        (raw(head(Content_Length="100") + b"{", close=False), "timeout"),
        (silent, "timeout"),
    ],
)
async def test_models_that_are_not_told(
    raw_vendor: Start, connect: Callable[..., HttpProvider], answer: Answer, kind: str
) -> None:
    vendor = await raw_vendor(answer)
    with pytest.raises(ProviderError) as caught:
        await connect(vendor.url, timeouts=QUICK if kind == "timeout" else Timeouts()).models()
    assert caught.value.kind == kind
    assert KEY not in caught.value.public


async def test_a_list_of_models_has_a_bound(
    raw_vendor: Start, connect: Callable[..., HttpProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_LONGEST_LIST", 10)
    vendor = await raw_vendor(whole(200, b'{"data": [{"id": "a"}]}'))
    with pytest.raises(ProviderError):
        await connect(vendor.url).models()


# --- vendors ------------------------------------------------------------------------------------------------------


async def test_github_says_that_it_is_gone(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(whole(410, b""))
    found = error(await listen(connect(vendor.url, GitHubModelsClient)))
    assert (found.kind, found.retryable) == ("retired", False)
    assert "providers.github.base_url" in found.public


async def test_short_names_belong_to_the_own_address(
    raw_vendor: Start, connect: Callable[..., HttpProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = await raw_vendor(streamed(*HELLO))
    monkeypatch.setattr(GitHubModelsClient, "default_url", vendor.url)
    own = GitHubModelsClient("github", ProviderSettings())
    request = ModelRequest(model="gpt-4o", messages=())
    for provider in (own, connect(vendor.url, GitHubModelsClient)):
        await listen(provider, request)
        await provider.stop()
    assert [json.loads(body)["model"] for _, body in vendor.requests] == ["openai/gpt-4o", "gpt-4o"]
    assert GitHubModelsClient.SUPPORTED_MODELS["gpt-4o"] == "openai/gpt-4o"


async def test_openai_has_its_own_name_for_the_limit(raw_vendor: Start, connect: Callable[..., HttpProvider]) -> None:
    vendor = await raw_vendor(streamed(*HELLO))
    await listen(connect(vendor.url, OpenAIProvider), ModelRequest(model="m", messages=(), max_tokens=3))
    assert json.loads(vendor.requests[0][1])["max_completion_tokens"] == 3


def test_an_unknown_vendor_needs_an_address() -> None:
    with pytest.raises(ConfigError, match=r"providers\.mine has no base_url"):
        CompatibleProvider("mine", ProviderSettings())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
        ("http://0.0.0.0", False),
        ("https://api.openai.com", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected

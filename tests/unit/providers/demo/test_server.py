"""The demo server over real HTTP, with a plain client: the protocol, and every fault as it really happens."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientSession

from antiphon.errors import ServiceError
from antiphon.providers.demo.server import DemoServer

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def _body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": text}], **more}


async def _post(http: ClientSession, server: DemoServer, text: str, **more: Any) -> aiohttp.ClientResponse:
    return await http.post(f"{server.url}/chat/completions", json=_body(text, **more))


async def _chunks(http: ClientSession, server: DemoServer, text: str, **more: Any) -> list[dict[str, Any]]:
    """Every chunk of a stream, which must end with `[DONE]`."""
    response = await _post(http, server, text, stream=True, **more)
    assert response.status == 200
    assert response.content_type == "text/event-stream"
    *events, done, rest = (await response.text()).split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(event.startswith("data: ") for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def _deltas(chunks: list[dict[str, Any]], field: str) -> list[Any]:
    return [
        chunk["choices"][0]["delta"][field]
        for chunk in chunks
        if chunk["choices"] and field in chunk["choices"][0]["delta"]
    ]


async def test_a_stream_speaks_the_protocol(server: DemoServer, http: ClientSession) -> None:
    chunks = await _chunks(http, server, '!echo Grüße, 世界 "quoted"', stream_options={"include_usage": True})
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(_deltas(chunks, "content")) == 'Grüße, 世界 "quoted"'
    assert {(chunk["object"], chunk["model"], chunk["id"]) for chunk in chunks} == {
        ("chat.completion.chunk", "demo", chunks[0]["id"])
    }
    *others, last = chunks
    assert all(chunk["usage"] is None for chunk in others)
    assert others[-1]["choices"][0]["finish_reason"] == "stop"
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 4
    assert last["usage"]["completion_tokens"] == 3
    assert last["usage"]["total_tokens"] == 7


async def test_usage_is_left_out_unless_it_is_asked_for(server: DemoServer, http: ClientSession) -> None:
    assert not any("usage" in chunk for chunk in await _chunks(http, server, "!echo hi"))


async def test_the_whole_answer_comes_as_one_body(server: DemoServer, http: ClientSession) -> None:
    response = await _post(http, server, "!reason !echo one two")
    answer = await response.json()
    choice = answer["choices"][0]
    assert answer["object"] == "chat.completion"
    assert choice["message"]["content"] == "one two"
    assert choice["message"]["reasoning_content"].startswith("I was asked to think")
    assert choice["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] > 20


async def test_reasoning_is_streamed(server: DemoServer, http: ClientSession) -> None:
    chunks = await _chunks(http, server, "!reason !echo done")
    assert "".join(_deltas(chunks, "reasoning_content")).startswith("I was asked to think")


@pytest.mark.parametrize("stream", [True, False])
async def test_tools_are_called_and_their_answers_read(server: DemoServer, http: ClientSession, stream: bool) -> None:
    question = "What is the weather in Oslo?"
    if stream:
        chunks = await _chunks(http, server, question, tools=[WEATHER])
        deltas = [delta for calls in _deltas(chunks, "tool_calls") for delta in calls]
        assert deltas[0]["type"] == "function"
        assert deltas[0]["function"] == {"name": "weather", "arguments": ""}
        call_id, arguments = deltas[0]["id"], "".join(delta["function"]["arguments"] for delta in deltas)
        assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    else:
        choice = (await (await _post(http, server, question, tools=[WEATHER])).json())["choices"][0]
        call = choice["message"]["tool_calls"][0]
        call_id, arguments = call["id"], call["function"]["arguments"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
    assert json.loads(arguments) == {"city": "Oslo"}
    function = {"name": "weather", "arguments": arguments}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": question}, {"type": "image_url", "image_url": {}}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call_id, "content": "Snow, minus four."},
    ]
    body = {"model": "demo", "messages": messages, "tools": [WEATHER]}
    answer = await (await http.post(f"{server.url}/chat/completions", json=body)).json()
    assert "Snow, minus four." in answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("choice", ["none", {"type": "function", "function": {"name": "other"}}])
async def test_tool_choice_can_forbid_a_tool(server: DemoServer, http: ClientSession, choice: Any) -> None:
    response = await _post(http, server, "What is the weather in Oslo?", tools=[WEATHER], tool_choice=choice)
    assert (await response.json())["choices"][0]["finish_reason"] == "stop"


async def test_calls_by_directive_are_parallel(server: DemoServer, http: ClientSession) -> None:
    chunks = await _chunks(http, server, '!tool a {"x": 1} !tool b {broken')
    deltas = [delta for calls in _deltas(chunks, "tool_calls") for delta in calls]
    joined = ["".join(d["function"]["arguments"] for d in deltas if d["index"] == index) for index in (0, 1)]
    assert joined == ['{"x": 1}', "{broken"]


async def test_max_tokens_is_kept(server: DemoServer, http: ClientSession) -> None:
    chunks = await _chunks(http, server, "!long 50", max_completion_tokens=4)
    assert len(_deltas(chunks, "content")) == 1 + 4
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


async def test_models_are_listed(server: DemoServer, http: ClientSession) -> None:
    listed = await (await http.get(f"{server.url}/models")).json()
    assert [model["id"] for model in listed["data"]] == ["demo"]


async def test_the_answer_is_that_of_the_model_in_process(server: DemoServer, http: ClientSession) -> None:
    answer = await (await _post(http, server, "hi")).json()
    assert "demo model: rules and search, no AI" in answer["choices"][0]["message"]["content"]


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 410, 429, 500, 503])
@pytest.mark.parametrize("stream", [True, False])
async def test_refusals_have_their_status(server: DemoServer, http: ClientSession, status: int, stream: bool) -> None:
    response = await _post(http, server, f"!{status}", stream=stream)
    assert response.status == status
    assert (await response.json())["error"]["message"]
    assert response.headers.get("Retry-After") == ("1" if status in {429, 503} else None)


async def test_429_with_a_number_is_counted_by_request_and_key(server: DemoServer, http: ClientSession) -> None:
    async def status(text: str, key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        async with http.post(f"{server.url}/chat/completions", json=_body(text), headers=headers) as response:
            return response.status

    assert [await status("!429 2 hello", "a") for _ in range(4)] == [429, 429, 200, 200]
    assert [await status("!429 2 hello", "b") for _ in range(3)] == [429, 429, 200]
    assert [await status("!429 1 other", "a") for _ in range(2)] == [429, 200]
    assert [await status("!429", "a") for _ in range(3)] == [429, 429, 429]


async def test_after_its_refusals_the_rest_is_answered(server: DemoServer, http: ClientSession) -> None:
    await _post(http, server, "!429 1 !echo finally")
    answer = await (await _post(http, server, "!429 1 !echo finally")).json()
    assert answer["choices"][0]["message"]["content"] == "finally"


async def test_counts_are_bounded(server: DemoServer, http: ClientSession) -> None:
    server._refused.update({str(n).encode(): 1 for n in range(1_000)})
    await _post(http, server, "!429 5")
    assert len(server._refused) == 1_000


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000,
        b'{"model": "demo"}', b'{"model": "demo", "messages": "hi"}',
        b'{"model": "demo", "messages": [{"role": "wizard", "content": "hi"}]}',
        b'{"model": "demo", "messages": [{"role": "user", "content": 5}]}',
    ],
)  # fmt: skip
async def test_bad_bodies_are_named(server: DemoServer, http: ClientSession, body: bytes) -> None:
    response = await http.post(f"{server.url}/chat/completions", data=body)
    assert response.status == 400
    assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_an_unknown_model_is_not_found(server: DemoServer, http: ClientSession) -> None:
    response = await http.post(f"{server.url}/chat/completions", json={**_body("hi"), "model": "gpt-9"})
    assert response.status == 404
    assert (await response.json())["error"]["code"] == "model_not_found"


async def test_a_huge_message_is_answered(server: DemoServer, http: ClientSession) -> None:
    body = io.BytesIO(json.dumps(_body("word " * 1_000_000)).encode())
    response = await http.post(f"{server.url}/chat/completions", data=body)
    assert response.status == 200


async def test_a_key_is_demanded_when_there_is_one(http: ClientSession) -> None:
    server = DemoServer(api_key="sk-right")
    await server.start()
    try:
        for key, status in (("Bearer sk-right", 200), ("Bearer sk-wrong", 401), ("Bearer schlüssel", 401), ("", 401)):
            headers = {"Authorization": key}
            async with http.get(f"{server.url}/models", headers=headers) as response:
                assert response.status == status
            async with http.post(f"{server.url}/chat/completions", json=_body("hi"), headers=headers) as response:
                assert response.status == status
    finally:
        await server.stop()


# --- broken streams -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 3])
async def test_a_cut_breaks_the_connection_after_its_tokens(
    server: DemoServer, http: ClientSession, after: int
) -> None:
    received = bytearray()

    async def read(response: aiohttp.ClientResponse) -> None:
        async for piece in response.content.iter_any():
            received.extend(piece)

    async with await _post(http, server, f"!cut {after} !long 50", stream=True) as response:
        with pytest.raises(aiohttp.ClientError):
            await read(response)
    assert received.count(b'"content":') <= after + 1
    assert b"[DONE]" not in received


async def test_a_cut_without_a_stream_gives_no_answer(server: DemoServer, http: ClientSession) -> None:
    with pytest.raises(aiohttp.ClientError):
        await _post(http, server, "!cut")


@pytest.mark.parametrize("stream", [True, False])
async def test_garbage_is_no_json(server: DemoServer, http: ClientSession, stream: bool) -> None:
    response = await _post(http, server, "!garbage", stream=stream)
    body = await response.read()
    assert response.status == 200
    assert b"\xff\xfe" in body
    assert b"[DONE]" not in body


async def test_an_error_comes_inside_the_stream(server: DemoServer, http: ClientSession) -> None:
    response = await _post(http, server, "!error 2 !long 50", stream=True)
    events = [json.loads(line[6:]) for line in (await response.text()).split("\n\n") if line]
    assert len(_deltas(events[:-1], "content")) == 1 + 2
    assert events[-1]["error"]["type"] == "server_error"


async def test_an_error_comes_inside_a_200(server: DemoServer, http: ClientSession) -> None:
    response = await _post(http, server, "!error")
    assert response.status == 200
    assert "choices" not in await response.json()


async def test_a_filtered_answer_says_so(server: DemoServer, http: ClientSession) -> None:
    chunks = await _chunks(http, server, "!filter !long 10")
    assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize("text", ["!hang", "!slow 60000 !long 10"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_ends_its_answer(
    server: DemoServer, http: ClientSession, text: str, stream: bool
) -> None:
    asking = asyncio.create_task(_post(http, server, text, stream=stream))
    while not server.active:
        await asyncio.sleep(0.001)
    if stream and text != "!hang":
        (await asking).close()
    else:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    while server.active:
        await asyncio.sleep(0.001)


async def test_a_client_that_stops_reading_a_fast_stream_holds_nothing_up(
    server: DemoServer, http: ClientSession
) -> None:
    response = await _post(http, server, "!long 100000", stream=True)
    assert len(await _chunks(http, server, "!long 1000")) == 1 + 1000 + 1
    response.close()
    while server.active:
        await asyncio.sleep(0.001)


async def test_stop_ends_what_hangs(http: ClientSession) -> None:
    server = DemoServer()
    await server.start()
    asking = asyncio.create_task(_post(http, server, "!hang"))
    while not server.active:
        await asyncio.sleep(0.001)
    await server.stop()
    await server.stop()
    with pytest.raises(aiohttp.ClientError):
        await asking
    with pytest.raises(ServiceError, match="not running"):
        _ = server.url


async def test_a_port_in_use_is_named(server: DemoServer) -> None:
    port = int(server.url.split(":")[2].split("/")[0])
    with pytest.raises(ServiceError, match=str(port)):
        await DemoServer(port=port).start()


# --- speed --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def paced() -> AsyncIterator[DemoServer]:
    running = DemoServer(rate=200)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def test_the_rate_is_kept_for_many_at_once(paced: DemoServer, http: ClientSession) -> None:
    before = time.monotonic()
    await asyncio.gather(*(_chunks(http, paced, "!long 40") for _ in range(20)))
    assert time.monotonic() - before >= 0.2


async def test_tokens_arrive_while_the_answer_goes_on(paced: DemoServer, http: ClientSession) -> None:
    response = await _post(http, paced, "!slow 60000 !long 2", stream=True)
    first = await response.content.readuntil(b"\n\n")
    assert b'"role":"assistant"' in first
    assert paced.active == 1
    response.close()


async def test_a_token_costs_little(server: DemoServer, http: ClientSession) -> None:
    before = time.process_time()
    response = await _post(http, server, "!long 100000", stream=True)
    size = len(await response.read())
    assert size > 10_000_000
    assert time.process_time() - before < 5  # client and server, 100,000 tokens: about 1 s; loose for busy machines

"""The official `openai` package, and clients that are worse, talk to the assistants of a served house."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.tools import OF_ASSISTANTS
from antiphon.domain import Usage
from antiphon.providers.base import (
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    ToolName,
    UsageReport,
)
from antiphon.providers.reliability import Reliable
from antiphon.tools.base import tool
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import LONGEST

PIXEL = base64.b64encode(b"\x89PNG a pixel").decode()
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Recorded:
    """A vendor that answers as told, and keeps what it was asked."""

    name = "recorded"

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self.scripts: list[list[Event]] = []
        self.hangs = False
        self.asked = asyncio.Event()
        self.freed = asyncio.Event()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        self.asked.set()
        try:
            for event in self.scripts.pop(0):
                yield event
            if self.hangs:
                await asyncio.Event().wait()
        finally:
            self.freed.set()

    async def models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def stop(self) -> None: ...


@tool
async def secret_number() -> str:
    """The number that only the house knows."""
    return "forty-one"


@pytest.fixture
async def vendor_of() -> Recorded:
    return Recorded()


@pytest.fixture
async def served(house: Serving, vendor_of: Recorded) -> AsyncIterator[Workspace]:
    """Two assistants; `teller` has a tool and a model of its own that is `vendor_of`."""
    teller = Assistant("teller", instructions="You are terse.", model="recorded:m1", tools=[secret_number])
    guide = Assistant("guide", model="demo")
    sections = {"providers": {"recorded": {"base_url": "http://127.0.0.1:9"}}, "files": {"vendor_urls": True}}
    async with house(added=(guide, teller), **sections) as workspace:
        workspace.providers._made["recorded"] = Reliable(vendor_of)
        yield workspace


@pytest.fixture
async def client(served: Workspace) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        yield client


async def ask(client: AsyncOpenAI, text: str, model: str = "guide", **more: Any) -> ChatCompletion:
    answer: ChatCompletion = await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], **more
    )
    return answer


async def stream(client: AsyncOpenAI, text: str, model: str = "guide", **more: Any) -> list[ChatCompletionChunk]:
    chunks = await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], stream=True, **more
    )
    return [chunk async for chunk in chunks]


def said(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def conversations(workspace: Workspace) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{workspace.url}/api/v1/conversations") as response:
        items: list[dict[str, Any]] = (await response.json())["items"]
    return items


async def messages(workspace: Workspace, conversation_id: str) -> list[dict[str, Any]]:
    url = f"{workspace.url}/api/v1/conversations/{conversation_id}/messages"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        items: list[dict[str, Any]] = (await response.json())["items"]
    return items


# --- models and answers -------------------------------------------------------------------------------------------


async def test_each_assistant_is_a_model(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["guide", "teller"]
    assert (await client.models.retrieve("teller")).owned_by == "antiphon"
    with pytest.raises(openai.NotFoundError, match="no assistant called 'gide'"):
        await client.models.retrieve("gide")


async def test_an_answer_has_everything_a_client_looks_for(client: AsyncOpenAI, vendor_of: Recorded) -> None:
    usage = Usage(input_tokens=9, output_tokens=4, cached_tokens=2, reasoning_tokens=1)
    vendor_of.scripts = [
        [ReasoningDelta("Hm."), TextDelta("Good "), TextDelta("day."), UsageReport(usage), Finish("stop")]
    ]
    answer = await ask(client, "Hello", "teller", temperature=0.3, max_completion_tokens=50)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Good day.", "stop")
    assert choice.message.model_extra == {"reasoning_content": "Hm."}
    assert (answer.object, answer.model, answer.id[:9]) == ("chat.completion", "teller", "chatcmpl-")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (9, 4, 13)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 2
    (request,) = vendor_of.requests
    assert [(message.role, message.text) for message in request.messages] == [
        ("system", "You are terse."),
        ("user", "Hello"),
    ]
    assert (request.model, request.temperature, request.max_tokens) == ("m1", 0.3, 50)


def synchronously(url: str) -> tuple[str | None, str]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        question: Any = [{"role": "user", "content": "!echo sync works"}]
        whole = client.chat.completions.create(model="guide", messages=question)
        pieces = client.chat.completions.create(model="guide", messages=question, stream=True)
        return whole.choices[0].message.content, said(list(pieces))


async def test_the_synchronous_client_works_as_well(served: Workspace) -> None:
    assert await asyncio.to_thread(synchronously, served.url) == ("sync works", "sync works")


async def test_a_stream_ends_with_its_usage_where_that_is_asked_for(client: AsyncOpenAI) -> None:
    plain = await stream(client, "!echo one two three")
    assert said(plain) == "one two three"
    assert plain[0].choices[0].delta.role == "assistant"
    assert plain[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in plain)
    told = await stream(client, "!echo one two three", stream_options={"include_usage": True})
    assert told[-1].choices == []
    assert told[-1].usage is not None
    assert told[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in told}) == 1


async def test_an_answer_ends_before_the_words_that_stop_it(client: AsyncOpenAI) -> None:
    whole = await ask(client, "!echo one two three four", stop=["three", "nothing"])
    (choice,) = whole.choices
    assert (choice.message.content, choice.finish_reason) == ("one two ", "stop")
    assert whole.usage is not None
    streamed = await stream(client, "!echo one two three four", stop="wo th")
    assert (said(streamed), streamed[-1].choices[0].finish_reason) == ("one t", "stop")
    assert said(await stream(client, "!echo one two", stop=["two three"])) == "one two"


async def test_how_the_model_chooses_its_words_reaches_it(client: AsyncOpenAI, vendor_of: Recorded) -> None:
    vendor_of.scripts = [[TextDelta("a"), Finish("stop")]]
    await ask(client, "Hello", "teller", top_p=0.25, seed=7, stop="END")
    (request,) = vendor_of.requests
    assert (request.top_p, request.seed, request.stop) == (0.25, 7, ("END",))


async def test_another_model_may_be_asked_for(client: AsyncOpenAI, vendor_of: Recorded) -> None:
    vendor_of.scripts = [[TextDelta("From m2."), Finish("stop")]]
    assert (await ask(client, "Hello", "guide@recorded:m2")).choices[0].message.content == "From m2."
    assert vendor_of.requests[0].model == "m2"


async def test_form_effort_and_files_reach_the_model(client: Any, vendor_of: Recorded) -> None:
    vendor_of.scripts = [[TextDelta('{"n": 1}'), Finish("stop")]]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    there = {"type": "image_url", "image_url": {"url": "https://example.org/cat.webp"}}
    parts: Any = [{"type": "text", "text": "What is it?"}, image, there]
    await client.chat.completions.create(
        model="teller",
        messages=[{"role": "developer", "content": "Answer in JSON."}, {"role": "user", "content": parts}],
        response_format={"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}},
        reasoning_effort="minimal",
        prompt_cache_key="k1",
    )
    (request,) = vendor_of.requests
    assert request.output is not None
    assert (request.output.name, request.output.schema) == ("thing", schema)
    assert (request.effort, request.cache_key) == ("low", "k1")
    assert [message.role for message in request.messages] == ["system", "system", "user"]
    inline, address = request.messages[-1].files
    assert (inline.media_type, inline.data) == ("image/png", b"\x89PNG a pixel")
    assert (address.media_type, address.url) == ("image/webp", "https://example.org/cat.webp")


# --- tools --------------------------------------------------------------------------------------------------------


def wish(name: str, call_id: str = "v1", arguments: str = "{}", index: int = 0) -> ToolCallEnd:
    return ToolCallEnd(index, ToolCall(id=call_id, name=name, arguments=arguments))


async def test_the_assistants_tools_run_here(client: AsyncOpenAI, vendor_of: Recorded) -> None:
    rounds: list[list[Event]] = [
        [TextDelta("One moment."), wish("secret_number"), Finish("tool_calls")],
        [TextDelta("It is 41."), Finish("stop")],
    ]
    vendor_of.scripts = [*rounds, *rounds]
    whole = (await ask(client, "Which number?", "teller")).choices[0]
    assert (whole.message.content, whole.message.tool_calls) == ("One moment.\n\nIt is 41.", None)
    assert said(await stream(client, "Which number?", "teller")) == "One moment.\n\nIt is 41."
    assert vendor_of.requests[1].messages[-1].text == "forty-one"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_clients_tool_comes_back_as_a_call_and_its_result_goes_on(
    client: AsyncOpenAI, vendor_of: Recorded, streamed: bool
) -> None:
    """What was said here before the call is not lost, although the client never hears of it."""
    vendor_of.scripts = [
        [ReasoningDelta("First the number.", "signed"), wish("secret_number"), Finish("tool_calls")],
        [wish("weather", "v2", '{"city":"Oslo"}'), Finish("tool_calls")],
        [TextDelta("41 and rain."), Finish("stop")],
    ]
    question: Any = {"role": "user", "content": "Number and weather?"}
    if streamed:
        chunks = await stream(client, question["content"], "teller", tools=[WEATHER])
        (piece,) = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or [] if call.id]
        arguments = "".join(
            (call.function.arguments or "") if call.function else ""
            for chunk in chunks
            for call in chunk.choices[0].delta.tool_calls or []
        )
        assert piece.function is not None
        identity, name = piece.id, piece.function.name
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
    else:
        answer = (await ask(client, question["content"], "teller", tools=[WEATHER])).choices[0]
        assert (answer.finish_reason, answer.message.content) == ("tool_calls", None)
        assert answer.message.tool_calls is not None
        (call,) = answer.message.tool_calls
        assert call.type == "function"
        identity, name, arguments = call.id, call.function.name, call.function.arguments
    assert (name, arguments) == ("weather", '{"city":"Oslo"}')
    back: Any = [
        question,
        {"role": "assistant", "tool_calls": [
            {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
        ]},
        {"role": "tool", "tool_call_id": identity, "content": "Rain."},
    ]  # fmt: skip
    last = await client.chat.completions.create(model="teller", messages=back, tools=[WEATHER])
    assert last.choices[0].message.content == "41 and rain."
    _, _, first, number, second, weather = vendor_of.requests[-1].messages
    assert (first.reasoning, first.opaque, first.calls[0].name) == ("First the number.", "signed", "secret_number")
    assert (number.text, second.calls[0].name, weather.text) == ("forty-one", "weather", "Rain.")
    assert weather.call_id == second.calls[0].id == identity


async def test_without_what_was_kept_the_client_is_believed(client: AsyncOpenAI, vendor_of: Recorded) -> None:
    vendor_of.scripts = [[TextDelta("Rain, you say."), Finish("stop")]]
    calls = [{"id": "foreign", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    back: Any = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "foreign", "content": "Rain."},
    ]
    await client.chat.completions.create(model="teller", messages=back)
    _, _, call, result = vendor_of.requests[-1].messages
    assert (call.text, call.calls[0].id, result.name) == ("Let me see.", "foreign", "weather")


async def test_the_choice_of_a_tool_is_honoured(client: AsyncOpenAI, vendor_of: Recorded) -> None:
    vendor_of.scripts = [[TextDelta("x"), Finish("stop")] for _ in range(4)]
    for choice in ("auto", "none", "required", {"type": "function", "function": {"name": "secret_number"}}):
        await ask(client, "Hello", "teller", tools=[WEATHER], tool_choice=choice)
    assert [request.tool_choice for request in vendor_of.requests] == [
        "auto", "none", "required", ToolName("secret_number"),
    ]  # fmt: skip


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directive", "kind", "code"),
    [
        ("!429", openai.RateLimitError, "rate_limit_exceeded"),
        ("!quota", openai.RateLimitError, "insufficient_quota"),
        ("!overload", openai.InternalServerError, "overloaded"),
        ("!401", openai.InternalServerError, "auth"),
    ],
)
async def test_what_a_vendor_refuses_has_its_own_error(
    client: AsyncOpenAI, directive: str, kind: type[openai.APIStatusError], code: str
) -> None:
    for call in (ask, stream):
        with pytest.raises(kind) as raised:
            await call(client, directive)
        assert raised.value.code == code
        assert isinstance(raised.value.body, dict)
        assert set(raised.value.body) == {"message", "type", "param", "code"}


async def test_what_the_filter_stops_says_so(client: AsyncOpenAI) -> None:
    chunks = await stream(client, "!filter !echo one two three")
    assert chunks[-1].choices[0].finish_reason == "content_filter"
    assert (await ask(client, "!filter !echo one two three")).choices[0].finish_reason == "content_filter"


async def test_an_answer_that_breaks_off_is_an_error_and_never_a_whole_one(client: AsyncOpenAI) -> None:
    pieces: list[str] = []
    chunks = await client.chat.completions.create(
        model="guide", messages=[{"role": "user", "content": "!cut 2 !echo one two three"}], stream=True
    )

    async def read() -> None:
        async for chunk in chunks:
            pieces.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - it breaks off

    with pytest.raises(openai.APIError, match="stream was cut"):
        await read()
    assert "".join(pieces).startswith("one")
    with pytest.raises(openai.InternalServerError) as raised:
        await ask(client, "!cut 2 !echo one two three")
    assert (raised.value.status_code, raised.value.code) == (502, "interrupted")


@pytest.mark.parametrize(
    ("wrong", "kind", "param"),
    [
        ({"model": "nobody"}, openai.NotFoundError, "model"),
        ({"model": "guide@nowhere:m"}, openai.NotFoundError, "model"),
        ({"model": "guide@demo:" + "x" * 300}, openai.BadRequestError, "model"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://[::1"}}]}]},
            openai.BadRequestError,
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "user", "content": " "}]}, openai.BadRequestError, "messages[0].content"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, openai.BadRequestError, "messages[0].role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, openai.BadRequestError, "messages[0]"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "a", "content": "x"}]},
            openai.BadRequestError,
            "messages[0].tool_call_id",
        ),
        ({"n": 2}, openai.BadRequestError, "n"),
        ({"logprobs": True}, openai.BadRequestError, "logprobs"),
        ({"logprobs": True, "top_logprobs": 2}, openai.BadRequestError, "logprobs"),
        ({"stop": ["a", "b", "c", "d", "e"]}, openai.BadRequestError, "stop"),
        ({"stop": [""]}, openai.BadRequestError, "stop"),
        ({"stop": "x" * 300}, openai.BadRequestError, "stop"),
        ({"top_p": 1.5}, openai.BadRequestError, "top_p"),
        ({"seed": 2**70}, openai.BadRequestError, "seed"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_completion_tokens"),
        ({"reasoning_effort": "frantic"}, openai.BadRequestError, "reasoning_effort"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, openai.BadRequestError, "tools[0].type"),
        ({"tools": [WEATHER, WEATHER]}, openai.BadRequestError, "tools[1].function.name"),
        (
            {"model": "teller", "tools": [{"type": "function", "function": {"name": "secret_number"}}]},
            openai.BadRequestError,
            "tools",
        ),
        ({"tool_choice": "required"}, openai.BadRequestError, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "x"}}}, openai.BadRequestError, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, openai.BadRequestError, "response_format"),
        ({"model": "guide@demo:\0"}, openai.BadRequestError, "model"),
        ({"user": ""}, openai.BadRequestError, "user"),
        ({"user": "a\0b"}, openai.BadRequestError, "user"),
        ({"metadata": {"conversation": "\0"}}, openai.BadRequestError, "metadata.conversation"),
        ({"metadata": {"conversation": ""}}, openai.BadRequestError, "metadata.conversation"),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_told_where(
    client: AsyncOpenAI, wrong: dict[str, Any], kind: type[openai.APIStatusError], param: str
) -> None:
    values: dict[str, Any] = {"model": "guide", "messages": [{"role": "user", "content": "x"}], **wrong}
    with pytest.raises(kind) as raised:
        await client.chat.completions.create(**values)
    assert raised.value.param == param


async def test_a_call_without_its_result_is_refused(client: AsyncOpenAI) -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    history: Any = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": calls}]
    with pytest.raises(openai.BadRequestError, match="The calls a have no result"):
        await client.chat.completions.create(model="guide", messages=[*history, {"role": "user", "content": "y"}])


def saying(content: str, more: str = "") -> bytes:
    return f'{{"model": "guide", "messages": [{{"role": "user", "content": {content}}}]{more}}}'.encode("latin-1")


HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{",
    b'{"model": 1, "messages": []}',
    b'{"model": "guide", "messages": {}}',
    b'{"model": "guide", "messages": [null]}',
    saying("5"),
    saying('[{"type": "video", "url": "x"}]'),
    saying('[{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]'),
    saying('[{"type": "image_url", "image_url": {"url": "data:image/png;base64,!!"}}]'),
    saying('"x"', ', "max_tokens": 1e400'),
    saying('"\\ud800"'),
    saying('"\xff"'),
    saying('"x"', ', "tools": ' + "[" * 5_000 + "]" * 5_000),
    saying('"x"', ', "unknown": ' + "[" * 50_000 + "]" * 50_000),
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_body_is_refused_in_the_same_form(served: Workspace, body: bytes) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{served.url}/v1/chat/completions", data=body) as response,
    ):
        answer = msgspec.json.decode(await response.read())
    assert response.status == 400, answer
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"]


async def test_bodies_and_messages_have_a_bound(house: Serving) -> None:
    async with (
        house(openai={"max_body_bytes": 2_000, "max_messages": 3}) as workspace,
        aiohttp.ClientSession() as session,
    ):
        url = f"{workspace.url}/v1/chat/completions"

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b" " * 1_000

        for body in (b" " * 3_000, endless()):
            async with session.post(url, data=body) as response:
                assert response.status == 413
                assert (await response.json())["error"]["code"] == "request_too_large"
        many = {"model": "guide", "messages": [{"role": "user", "content": "x"}] * 4}
        async with session.post(url, json=many) as response:
            assert response.status == 400
            assert "3 are the most" in (await response.json())["error"]["message"]


async def test_other_paths_and_methods_are_refused_in_the_same_form(served: Workspace) -> None:
    async with aiohttp.ClientSession() as session:
        for method, path, status in (
            ("GET", "/v1/chat/completions", 405),
            ("POST", "/v1/models", 405),
            ("GET", "/v1/x", 404),
        ):
            async with session.request(method, served.url + path) as response:
                assert response.status == status
                assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_another_sites_page_does_not_get_in(served: Workspace) -> None:
    body = {"model": "guide", "messages": [{"role": "user", "content": "!echo hello"}]}
    async with aiohttp.ClientSession() as session:
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            async with session.post(f"{served.url}/v1/chat/completions", json=body, headers=headers) as response:
                assert response.status == 403


async def test_it_can_be_switched_off(house: Serving) -> None:
    async with (
        house(openai={"enabled": False}) as workspace,
        aiohttp.ClientSession() as session,
        session.get(f"{workspace.url}/v1/models") as response,
    ):
        assert response.status == 404


# --- going away ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_goes_away_frees_the_model_at_once(
    client: AsyncOpenAI, vendor_of: Recorded, streamed: bool
) -> None:
    vendor_of.scripts = [[TextDelta("Once upon a time")]]
    vendor_of.hangs = True
    asking = asyncio.create_task(stream(client, "Tell", "teller") if streamed else ask(client, "Tell", "teller"))
    async with asyncio.timeout(LONGEST):
        await vendor_of.asked.wait()
        asking.cancel()
        await vendor_of.freed.wait()


# --- keeping ------------------------------------------------------------------------------------------------------


async def test_nothing_is_stored_unasked(served: Workspace, client: AsyncOpenAI, tmp_path: Path) -> None:
    await ask(client, "!echo the walrus")
    await stream(client, "!echo the walrus")
    assert await conversations(served) == []
    await served.store.stop()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("antiphon.db*"))
    assert b"walrus" not in kept
    await served.store.start()


async def test_a_conversation_that_is_to_be_stored_is(served: Workspace, client: AsyncOpenAI) -> None:
    answer = await ask(client, "!echo the walrus", store=True)
    (kept,) = await conversations(served)
    assert (kept["assistant"], kept["title"]) == ("guide", "!echo the walrus")
    question, reply = await messages(served, kept["id"])
    assert (question["text"], question["status"]) == ("!echo the walrus", "answered")
    assert (reply["text"], reply["model"], reply["role"]) == ("the walrus", "demo", "assistant")
    # The answer's id is the name of its conversation.
    history: Any = [
        {"role": "user", "content": "!echo the walrus"},
        {"role": "assistant", "content": "the walrus"},
        {"role": "user", "content": "!echo the carpenter"},
    ]
    again = {"model": "guide", "messages": history, "store": True, "metadata": {"conversation": answer.id}}
    for _ in range(2):
        await client.chat.completions.create(**again)
    assert len(await conversations(served)) == 1
    texts = [message["text"] for message in await messages(served, kept["id"])]
    assert texts == ["!echo the walrus", "the walrus", "!echo the carpenter", "the carpenter"]


async def test_nobody_pays_for_an_answer_that_cannot_be_stored(served: Workspace, client: AsyncOpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    wrong: Any = [{"role": "user", "content": [image]}]
    with pytest.raises(openai.BadRequestError, match="its content is something else") as refused:
        await client.chat.completions.create(model="guide", messages=wrong, store=True)
    assert refused.value.code == "not_stored"
    assert await conversations(served) == []
    async with aiohttp.ClientSession(served.url) as http, http.get("/api/v1/usage?by=model") as spent:
        assert await spent.json() == {"items": []}


async def test_what_is_stored_has_no_more_files_than_a_message_may_have(served: Workspace, client: AsyncOpenAI) -> None:
    text = base64.b64encode(b"Tides.").decode()
    file = {"type": "file", "file": {"filename": "a.txt", "file_data": f"data:text/plain;base64,{text}"}}
    many: Any = [{"role": "user", "content": [{"type": "text", "text": "!echo tides"}, *[file] * 11]}]
    assert (await client.chat.completions.create(model="guide", messages=many)).choices[0].finish_reason == "stop"
    with pytest.raises(openai.BadRequestError, match="at most 10 files, and this one has 11") as refused:
        await client.chat.completions.create(model="guide", messages=many, store=True)
    assert (refused.value.code, refused.value.param) == ("not_stored", "store")
    assert await conversations(served) == []


async def test_the_calls_of_a_clients_tools_are_stored_with_the_answer_alone(
    served: Workspace, client: AsyncOpenAI
) -> None:
    asked = '!tool weather {"city":"Oslo"}'
    first = (await ask(client, asked, tools=[WEATHER], store=True)).choices[0].message
    assert await conversations(served) == []
    assert first.tool_calls is not None
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "Rain."}
    back: Any = [{"role": "user", "content": asked}, first, result]
    await client.chat.completions.create(model="guide", messages=back, tools=[WEATHER], store=True)
    (kept,) = await conversations(served)
    question, reply = await messages(served, kept["id"])
    assert question["text"] == asked
    assert "Rain." in reply["text"]


async def test_each_user_of_a_client_is_a_person_of_their_own(served: Workspace, client: AsyncOpenAI) -> None:
    call = "!tool {name} {arguments}"
    note = call.format(name="remember", arguments='{"text": "Ann likes walks"}')
    recall = call.format(name="recall", arguments='{"query": "walks"}')
    await served.store.people.by_account("web", "local")
    served.assistants.add(Assistant("noting", model="demo", tools=OF_ASSISTANTS))
    await ask(client, note, "noting", user="ann")
    for user, known in (("ann", True), ("bob", False), (None, False)):
        answer = await ask(client, recall, "noting", **({"user": user} if user else {}))
        assert ("Ann likes" in str(answer.choices[0].message.content)) == known, user

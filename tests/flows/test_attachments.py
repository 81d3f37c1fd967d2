"""Files from people: taken in over HTTP and the socket, given back to whoever may have them, refused where they lie."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from antiphon.domain import ChannelMessage, Upload
from antiphon.errors import AntiphonError
from antiphon.realtime.client.push import PushError
from antiphon.web.api import files as taking
from antiphon.workspace import Workspace
from tests.attached import JPEG, PDF, inline, png
from tests.flows.conftest import Serving
from tests.serving import LONGEST, Visitor, Visitors

FILES = "/api/v1/files"
HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.fixture
async def here(house: Serving) -> AsyncIterator[Workspace]:
    limits = {"max_bytes": 3_000_000, "person_bytes": 6_000_000, "most_at_once": 3}
    async with house(files=limits) as workspace:
        yield workspace


@pytest.fixture
async def http(here: Workspace) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(here.url, timeout=aiohttp.ClientTimeout(LONGEST)) as session:
        yield session


async def send(http: aiohttp.ClientSession, data: bytes, name: str = "a.png", kind: str = "") -> dict[str, Any]:
    headers = {"content-type": kind} if kind else {"content-type": "application/octet-stream"}
    answer = await http.post(FILES, params={"name": name}, data=BytesIO(data), headers=headers)
    assert answer.status == 201, await answer.text()
    shape: dict[str, Any] = await answer.json()
    return shape


async def refused(http: aiohttp.ClientSession, data: bytes, name: str, kind: str, status: int) -> str:
    answer = await http.post(FILES, params={"name": name}, data=BytesIO(data), headers={"content-type": kind})
    assert (answer.status, answer.content_type) == (status, "application/problem+json"), await answer.text()
    return str((await answer.json())["detail"])


async def attach(visitor: Visitor, *files: dict[str, Any], text: str = "Look.") -> dict[str, Any]:
    receipt = await visitor.channel.push("message", {"text": text, "attachments": list(files)})
    return await visitor.answer(receipt["turn_id"])


async def test_what_was_sent_comes_back_as_it_was(http: aiohttp.ClientSession) -> None:
    data = png(note=b"x" * 1_500_000)  # more than other bodies may have
    sent = await send(http, data, "../../etc/ünïcode plan.png", "image/png")
    assert sent == {
        "id": sent["id"],
        "name": "ünïcode plan.png",
        "media_type": "image/png",
        "size": len(data),
        "url": f"{FILES}/{sent['id']}",
    }
    assert (await send(http, data, "again.png"))["id"] == sent["id"]
    answer = await http.get(sent["url"])
    assert await answer.read() == data
    headers = answer.headers
    assert headers["content-type"] == "image/png"
    assert headers["content-disposition"].startswith("inline; filename=\"_n_code plan.png\"; filename*=UTF-8''%C3%BCn")
    assert headers.getall("content-security-policy") == ["sandbox; default-src 'none'; frame-ancestors 'none'"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"].startswith("private")
    known = await http.get(sent["url"], headers={"if-none-match": headers["etag"]})
    assert (known.status, await known.read()) == (304, b"")
    assert (await http.head(sent["url"])).headers["content-length"] == str(len(data))


SOUND = b"ID3" + bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-", (0, 1_027)), ("bytes=0-0", (0, 1)), ("bytes=100-199", (100, 200)), ("bytes=1000-", (1_000, 1_027)),
        ("bytes=1000-99999", (1_000, 1_027)), ("bytes=-27", (1_000, 1_027)), ("Bytes=-99999", (0, 1_027)),
        (f"bytes=5-{'9' * 18}", (5, 1_027)),
    ],
)  # fmt: skip
async def test_a_player_is_given_the_part_that_it_asks_for(
    http: aiohttp.ClientSession, asked: str, part: tuple[int, int]
) -> None:
    sent = await send(http, SOUND, "a.mp3", "audio/mpeg")
    answer = await http.get(sent["url"], headers={"range": asked})
    assert (answer.status, await answer.read()) == (206, SOUND[slice(*part)])
    headers = answer.headers
    assert headers["content-range"] == f"bytes {part[0]}-{part[1] - 1}/1027"
    assert (headers["content-length"], headers["content-type"]) == (str(part[1] - part[0]), "audio/mpeg")
    assert "sandbox" in headers["content-security-policy"]
    for known, status in ((headers["etag"], 206), ('"another"', 200), (f"W/{headers['etag']}", 200)):
        again = await http.get(sent["url"], headers={"range": asked, "if-range": known})
        assert (again.status, await again.read()) == (status, SOUND[slice(*part)] if status == 206 else SOUND)
    assert (await http.get(sent["url"], headers={"range": asked, "if-none-match": headers["etag"]})).status == 304


@pytest.mark.parametrize(
    "asked",
    ["", "bytes=", "bytes=-", "bytes=5", "bytes=9-5", "bytes=0-1,5-9", "lines=1-2", "bytes=a-b", "bytes=--5",
     f"bytes={'9' * 5_000}-", "bytes=\u00b2-"],
)  # fmt: skip
async def test_what_is_no_part_is_the_whole(http: aiohttp.ClientSession, asked: str) -> None:
    sent = await send(http, SOUND, "a.mp3", "audio/mpeg")
    answer = await http.get(sent["url"], headers={"range": asked})
    assert (answer.status, await answer.read()) == (200, SOUND)
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=1027-", "bytes=5000-6000", "bytes=-0"])
async def test_a_part_behind_the_end_is_told(http: aiohttp.ClientSession, asked: str) -> None:
    sent = await send(http, SOUND, "a.mp3", "audio/mpeg")
    answer = await http.get(sent["url"], headers={"range": asked})
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */1027")
    assert (await answer.json())["detail"] == "This file has 1,027 bytes."


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (HTML, "page.html", "text/html"),
        (SVG, "logo.svg", "image/svg+xml"),
        (HTML, "picture.txt", "text/plain"),
        (PDF, "a.pdf", "application/pdf"),
        (b"\0\1\2", "a.bin", ""),
        (b"alert(1)", "a.js", "text/javascript"),
        (b"alert(1)", "a.js", "application/x-javascript"),
        (b"\0asm\1\0\0\0", "a.wasm", "application/wasm"),
        (HTML, "a.xht", "application/xhtml+xml"),
        (b"*{}", "a.css", "text/css"),
    ],
)
async def test_nothing_but_a_picture_is_shown_in_place(
    http: aiohttp.ClientSession, data: bytes, name: str, kind: str
) -> None:
    answer = await http.get((await send(http, data, name, kind))["url"])
    assert await answer.read() == data
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.content_type in {"text/plain", "application/pdf", "application/octet-stream"}  # no script, no style
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (HTML, "evil.png", "image/png"),
        (SVG, "evil.png", ""),
        (b"MZ\x90\0" + bytes(60), "notes.txt", "text/plain"),
        (PDF, "a.jpg", "image/jpeg"),
        (bytes(64), "a.pdf", "application/pdf"),
    ],
)
async def test_what_is_something_else_is_refused(
    http: aiohttp.ClientSession, data: bytes, name: str, kind: str
) -> None:
    assert "its content is something else" in await refused(http, data, name, kind, 415)


async def test_bounds_hold_for_a_file_and_for_a_person(http: aiohttp.ClientSession) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(100_000)

    assert "3000000" in await refused(http, bytes(3_000_001), "a.bin", "", 413)
    answer = await http.post(FILES, data=endless())
    assert answer.status == 413
    for number in range(2):
        await send(http, bytes([number]) * 2_900_000, "a.bin")
    assert "no room" in await refused(http, b"\2" * 300_000, "a.bin", "", 413)
    assert "empty" in await refused(http, b"", "a.bin", "", 422)


async def test_an_upload_that_is_cut_leaves_nothing(here: Workspace, http: aiohttp.ClientSession) -> None:
    host, _, port = here.url.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {FILES}?name=a.png HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2000000\r\n\r\n"
    writer.write(head.encode() + png())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    for number in range(2):  # all of the room is there
        await send(http, bytes([number]) * 2_900_000, "a.bin")


async def test_slow_ones_hold_up_others_only_for_a_while_and_what_waits_is_not_read(
    here: Workspace, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PATIENCE", 0.5)
    ended: list[int] = []
    came = asyncio.Event()

    async def never_whole() -> AsyncIterator[bytes]:
        came.set()  # the server asks for the body (100 Continue) when it begins to read
        yield png()
        await asyncio.Event().wait()

    async def slow() -> None:
        async with http.post(FILES, params={"name": "slow.png"}, data=never_whole(), expect100=True) as answer:
            ended.append(answer.status)

    async def whole() -> None:
        await send(http, png())
        ended.append(201)

    async with asyncio.TaskGroup() as group:
        for _ in range(taking.AT_ONCE):
            came.clear()
            group.create_task(slow())
            await came.wait()
        group.create_task(whole())
    assert ended[0] == 408  # until then there was no place for the whole one
    assert sorted(ended) == [201, *[408] * taking.AT_ONCE]


async def test_a_message_shows_its_files_live_and_ever_after(
    here: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    sent = await send(http, png(), "plan.png")
    visitor = await visitors.enter(here.url)
    small = {"url": inline(JPEG, "image/jpeg"), "name": "small.jpg"}
    answer = await attach(visitor, {"id": sent["id"], "name": "renamed.png"}, small, text="")
    assert answer["end"]["status"] == "answered"
    question = visitor.shown()[0]
    first, second = question["attachments"]
    assert first == sent | {"name": "renamed.png"}
    assert (second["name"], second["media_type"], second["size"]) == ("small.jpg", "image/jpeg", len(JPEG))
    assert await (await http.get(second["url"])).read() == JPEG
    listed = await (await http.get(f"/api/v1/conversations/{visitor.conversation_id}/messages")).json()
    assert listed["items"][0]["attachments"] == question["attachments"]
    assert listed["items"][1]["attachments"] == []
    later = await visitors.enter(here.url, visitor.conversation_id)
    assert later.shown()[0]["attachments"] == question["attachments"]
    titles = await (await http.get("/api/v1/conversations")).json()
    assert titles["items"][0]["title"] == "renamed.png"
    assert (await http.delete(f"/api/v1/conversations/{visitor.conversation_id}")).status == 204
    assert (await http.get(first["url"])).status == (await http.get(second["url"])).status == 404


async def test_a_file_of_another_person_is_not_there(
    here: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    hers = await here.store.people.by_account("telegram", "ann", name="Ann")
    kept = await here.store.files.add(
        hers.id, name="a.png", media_type="image/png", data=png(), most_bytes=10_000, unnamed_since=hers.created_at
    )
    assert (await http.get(f"{FILES}/{kept.id}")).status == 404
    assert (await http.get(f"{FILES}/nothing")).status == 422
    visitor = await visitors.enter(here.url)
    with pytest.raises(PushError, match="does not exist"):
        await attach(visitor, {"id": kept.id})
    assert visitor.messages == {}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([{"url": "https://127.0.0.1/secret.png"}], "POST /api/v1/files"),
        ([{"url": "file:///etc/passwd"}], "POST /api/v1/files"),
        ([{"url": "data:image/png;base64,%%%"}], "no base64"),
        ([{"url": inline(HTML)}], "something else"),
        ([{"id": 5}], "must be a string"),
        (["x"], "list of objects"),
        ("x", "list of objects"),
        ([{"id": "01M7YTFAF3A5C20VBDC381VVAW"}], "does not exist"),
        ([{"id": "01M7YTFAF3A5C20VBDC381VVAW"}] * 10_000, "at most 3 files"),
    ],
)
async def test_what_no_message_can_name_is_refused(here: Workspace, visitors: Visitors, files: Any, why: str) -> None:
    visitor = await visitors.enter(here.url)
    with pytest.raises(PushError, match=why):
        await visitor.channel.push("message", {"text": "Look.", "attachments": files})
    assert visitor.messages == {}


async def test_what_an_adapter_brings_is_kept_with_the_message(here: Workspace) -> None:
    message = ChannelMessage(
        adapter="telegram", place="room", account="ann", key="k", text="", sender="Ann",
        uploads=(Upload(name="a\0b.png", media_type="", data=png()),),
    )  # fmt: skip
    receipts = await asyncio.gather(*(here.deliver(message) for _ in range(4)))  # delivered four times, kept once
    assert sorted(receipt.duplicate for receipt in receipts) == [False, True, True, True]
    (question, *_) = await here.store.conversations.messages(receipts[0].conversation_id)
    (file,) = question.attachments
    assert (file.name, file.media_type, file.url) == ("ab.png", "image/png", None)
    assert file.id is not None
    assert await here.store.files.read(file.id) == png()
    lying = Upload(name="a.png", media_type="image/png", data=HTML)
    with pytest.raises(AntiphonError, match="its content is something else"):
        await here.deliver(ChannelMessage(adapter="t", place="r", account="a", key="k", text="", uploads=(lying,)))


async def completed(http: aiohttp.ClientSession, *parts: dict[str, Any], **more: Any) -> tuple[int, dict[str, Any]]:
    body = {"model": "guide", "messages": [{"role": "user", "content": list(parts)}], **more}
    answer = await http.post("/v1/chat/completions", json=body)
    return answer.status, await answer.json()


async def test_clients_of_the_openai_api_send_files_and_have_them_kept(
    here: Workspace, http: aiohttp.ClientSession
) -> None:
    picture = {"type": "image_url", "image_url": {"url": inline(png(4, 4))}}
    notes = {"type": "file", "file": {"filename": "a.txt", "file_data": inline(b"Tea is at five.", "text/plain")}}
    status, body = await completed(http, picture, notes, store=True)
    assert status == 200
    said = body["choices"][0]["message"]["content"]
    assert "4 x 4 pixels" in said
    assert "`a.txt`: text/plain, 15 bytes of text. It begins: “Tea is at five.”" in said
    (kept, *_) = (await (await http.get("/api/v1/conversations")).json())["items"]
    page = await (await http.get(f"/api/v1/conversations/{kept['id']}/messages")).json()
    assert [file["name"] for file in page["items"][0]["attachments"]] == ["image", "a.txt"]
    assert await (await http.get(page["items"][0]["attachments"][1]["url"])).read() == b"Tea is at five."


async def test_an_address_from_a_client_of_the_openai_api_is_not_fetched(http: aiohttp.ClientSession) -> None:
    elsewhere = {"type": "image_url", "image_url": {"url": "https://127.0.0.1/secret.png"}}
    status, body = await completed(http, elsewhere)
    assert (status, body["error"]["param"]) == (400, "messages")
    assert "Nothing is fetched" in body["error"]["message"]

"""Embeddings over HTTP, from a server that is busy, wrong or gone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from antiphon.errors import ConfigError, ServiceError
from antiphon.search.embedders.api import ATTEMPTS, ApiEmbedder
from antiphon.search.embedders.config import EmbedderSettings


class Vendor:
    """Answers as all three do; `troubles` come first."""

    def __init__(self) -> None:
        self.url = ""
        self.troubles: list[web.Response] = []
        self.asked: list[tuple[str, Any, dict[str, str]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append((request.path, body, dict(request.headers)))
        if self.troubles:
            return self.troubles.pop(0)
        if request.path.endswith("batchEmbedContents"):
            texts = [each["content"]["parts"][0]["text"] for each in body["requests"]]
            return web.json_response({"embeddings": [{"values": [len(text), 1.0]} for text in texts]})
        vectors = [[float(len(text)), 1.0] for text in body["input"]]
        if request.path == "/api/embed":
            return web.json_response({"embeddings": vectors})
        data = [{"index": number, "embedding": vector} for number, vector in enumerate(vectors)]
        return web.json_response({"data": data[::-1]})


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    made = Vendor()
    app = web.Application()
    app.router.add_post("/{rest:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def asking(vendor: Vendor, kind: Any = "openai", **settings: Any) -> ApiEmbedder:
    key = SecretStr("k3y")
    return ApiEmbedder(EmbedderSettings(kind=kind, model="m", url=vendor.url, api_key=key, **settings), first_pause=0)


@pytest.mark.parametrize(
    ("kind", "path", "header"),
    [
        ("openai", "/embeddings", ("Authorization", "Bearer k3y")),
        ("ollama", "/api/embed", ("Authorization", "Bearer k3y")),
        ("gemini", "/models/m:batchEmbedContents", ("x-goog-api-key", "k3y")),
    ],
)
async def test_each_vendor_is_asked_in_its_way_and_in_batches(
    vendor: Vendor, kind: str, path: str, header: tuple[str, str]
) -> None:
    embedder = asking(vendor, kind, batch=2)
    assert await embedder.embed(["a", "bb", "ccc"]) == [[1, 1], [2, 1], [3, 1]]
    assert [asked[0] for asked in vendor.asked] == [path, path]
    assert vendor.asked[0][2][header[0]] == header[1]
    assert embedder.model == f"{kind}:m"
    await embedder.stop()
    await embedder.stop()


async def test_one_that_is_busy_is_asked_again_and_not_for_ever(vendor: Vendor) -> None:
    embedder = asking(vendor)
    vendor.troubles = [web.Response(status=429), web.Response(status=503)]
    assert await embedder.embed(["a"]) == [[1, 1]]
    vendor.troubles = [web.Response(status=500) for _ in range(9)]
    with pytest.raises(ServiceError, match="busy"):
        await embedder.embed(["a"])
    assert len(vendor.troubles) == 9 - ATTEMPTS
    await embedder.stop()


@pytest.mark.parametrize(
    "answer",
    ["not json", "{}", '{"data": [{"index": 0}]}', '{"data": []}', '{"data": [{"index": 0, "embedding": []}]}'],
)
async def test_an_answer_that_is_none_is_told(vendor: Vendor, answer: str) -> None:
    embedder = asking(vendor)
    vendor.troubles = [web.Response(text=answer)]
    with pytest.raises(ServiceError, match="openai:m"):
        await embedder.embed(["a"])
    vendor.troubles = [web.Response(status=401, text="k3y is wrong")]
    with pytest.raises(ServiceError, match="status 401") as refused:
        await embedder.embed(["a"])
    assert "k3y" not in str(refused.value)
    await embedder.stop()


async def test_one_that_is_gone_is_told(free_port: int) -> None:
    nobody = Vendor()
    nobody.url = f"http://127.0.0.1:{free_port}"
    embedder = asking(nobody)
    with pytest.raises(ServiceError, match="does not answer"):
        await embedder.embed(["a"])
    await embedder.stop()


def test_a_model_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"embedder\.model"):
        ApiEmbedder(EmbedderSettings(kind="openai"))

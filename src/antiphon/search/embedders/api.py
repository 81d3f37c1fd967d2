"""Embeddings over HTTP: OpenAI's API and whatever speaks it, Ollama's, and Gemini's.

https://platform.openai.com/docs/api-reference/embeddings, https://docs.ollama.com/api/embed,
https://ai.google.dev/api/embeddings
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec

from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.retry import ErrorHandler
from antiphon.search.embedders.config import EmbedderSettings

ATTEMPTS = 3
_LONGEST_ANSWER = 64 << 20
_URLS = {
    "openai": "https://api.openai.com/v1",
    "ollama": "http://127.0.0.1:11434",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
}


class ApiEmbedder:
    """An `Embedder` that asks a service, some texts at a time, and again when it was busy or out of reach."""

    def __init__(self, settings: EmbedderSettings, *, first_pause: float = 0.5) -> None:
        if not settings.model:
            raise ConfigError(f"memory.embedder.model is not set: name the model of {settings.kind}.")
        self._settings = settings
        self._url = (settings.url or _URLS[settings.kind]).rstrip("/")
        self._again = ErrorHandler(ATTEMPTS, first_pause=first_pause, retry_on=_is_busy)
        self._session: aiohttp.ClientSession | None = None

    @property
    def model(self) -> str:
        return f"{self._settings.kind}:{self._settings.model}"

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        vectors: list[Sequence[float]] = []
        for first in range(0, len(texts), self._settings.batch):
            batch = texts[first : first + self._settings.batch]
            vectors += await self._again.run(self._ask, batch)
        return vectors

    async def stop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, texts: Sequence[str]) -> list[Sequence[float]]:
        path, body = self._request(texts)
        try:
            async with asyncio.timeout(self._settings.seconds):
                async with self._pool().post(f"{self._url}{path}", json=body, allow_redirects=False) as answer:
                    raw = await answer.content.read(_LONGEST_ANSWER)
                    status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._busy(f"does not answer ({type(error).__name__})") from None
        if status == 429 or status >= 500:
            raise self._busy(f"is busy (status {status})")
        if status != 200:
            raise self._wrong(f"refuses (status {status}): check memory.embedder")
        vectors = self._read(raw)
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1 or not all(vectors):
            raise self._wrong("answers with something else than one vector a text")
        return vectors

    def _busy(self, why: str) -> ServiceError:
        error = self._wrong(why)
        error.retryable = True
        return error

    def _wrong(self, why: str) -> ServiceError:
        error = ServiceError(f"The embedder {self.model} {why}.")
        error.retryable = False
        return error

    def _request(self, texts: Sequence[str]) -> tuple[str, dict[str, Any]]:
        model = self._settings.model
        match self._settings.kind:
            case "ollama":
                return "/api/embed", {"model": model, "input": list(texts)}
            case "gemini":
                name = f"models/{model}"
                requests = [{"model": name, "content": {"parts": [{"text": text}]}} for text in texts]
                return f"/{name}:batchEmbedContents", {"requests": requests}
            case _:
                return "/embeddings", {"model": model, "input": list(texts), "encoding_format": "float"}

    def _read(self, raw: bytes) -> list[Sequence[float]]:
        try:
            answer = msgspec.json.decode(raw)
            match self._settings.kind:
                case "ollama":
                    found = answer["embeddings"]
                case "gemini":
                    found = [each["values"] for each in answer["embeddings"]]
                case _:
                    found = [each["embedding"] for each in sorted(answer["data"], key=lambda each: each["index"])]
            return [*msgspec.convert(found, list[list[float]])]
        except (msgspec.MsgspecError, KeyError, TypeError):
            raise self._wrong("gives an answer that cannot be read") from None

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            key = self._settings.api_key.get_secret_value() if self._settings.api_key else ""
            header = {"x-goog-api-key": key} if self._settings.kind == "gemini" else {"Authorization": f"Bearer {key}"}
            self._session = aiohttp.ClientSession(headers=header if key else {})
        return self._session


def _is_busy(error: Exception) -> bool:
    """Whether it may answer when it is asked again; a refusal it repeats."""
    return isinstance(error, ServiceError) and error.retryable

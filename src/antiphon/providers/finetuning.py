"""Fine-tuning over OpenAI's protocol: a file of examples goes up, a job learns from it, and a model comes out.

https://platform.openai.com/docs/api-reference/fine-tuning, as OpenAI and those who are compatible with it have it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import Struct

from antiphon.providers.endpoints import Endpoints, outlasting, strange, text_of

R = TypeVar("R")

OVER = frozenset({"succeeded", "failed", "cancelled"})
_JOBS = "fine_tuning/jobs"
_MOST = 100
_PAUSE = 10.0


class FineTuneJob(Struct, frozen=True, kw_only=True):
    """A job as its vendor tells it. `trained` is the new model as `provider:model`, once there is one; `error` says why
    there is none."""

    id: str
    status: str
    model: str
    trained: str | None = None
    created_at: datetime | None = None
    trained_tokens: int | None = None
    error: str | None = None

    @property
    def over(self) -> bool:
        return self.status in OVER


class FineTuneEvent(Struct, frozen=True, kw_only=True):
    """Something that a job has told."""

    id: str
    at: datetime
    level: str
    text: str


class FineTuning:
    """The jobs of one vendor. Every method raises `ProviderError`."""

    def __init__(self, endpoints: Endpoints, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._endpoints = endpoints
        self._name = endpoints.provider.name
        self._sleep = sleep

    async def start(
        self, examples: bytes, model: str, *, suffix: str | None = None, epochs: int | None = None
    ) -> FineTuneJob:
        """Begins a job that trains `model` (the vendor's name) with rows of JSONL. `suffix` becomes a part of the new
        model's name."""
        file = await self._endpoints.upload(examples, name="examples.jsonl", purpose="fine-tune")
        body: dict[str, Any] = {"training_file": file, "model": model}
        if suffix is not None:
            body["suffix"] = suffix
        if epochs is not None:
            body["method"] = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": epochs}}}
        return self._job(await self._endpoints.post(_JOBS, body))

    async def get(self, job_id: str) -> FineTuneJob:
        return self._job(await self._endpoints.get(f"{_JOBS}/{_id(job_id)}"))

    async def jobs(self) -> list[FineTuneJob]:
        """The newest ones, newest first."""
        return [self._job(each) for each in _rows(await self._endpoints.get(f"{_JOBS}?limit={_MOST}"))]

    async def cancel(self, job_id: str) -> FineTuneJob:
        return self._job(await self._endpoints.post(f"{_JOBS}/{_id(job_id)}/cancel"))

    async def events(self, job_id: str) -> list[FineTuneEvent]:
        """What the job has told, oldest first."""
        rows = _rows(await self._endpoints.get(f"{_JOBS}/{_id(job_id)}/events?limit={_MOST}"))
        return sorted((_event(row) for row in rows), key=lambda event: (event.at, event.id))

    async def watch(self, job_id: str, *, seconds: float = _PAUSE) -> AsyncIterator[FineTuneEvent | FineTuneJob]:
        """What it tells, as it tells it, asked for every few `seconds`, however long the vendor is away meanwhile; then
        the job, when it is over."""
        seen: set[str] = set()
        while True:
            job = await self._outlasting(self.get, job_id, seconds)
            for event in await self._outlasting(self.events, job_id, seconds):
                if event.id not in seen:
                    seen.add(event.id)
                    yield event
            if job.over:
                yield job
                return
            await self._sleep(seconds)

    async def _outlasting(self, ask: Callable[[str], Awaitable[R]], job_id: str, seconds: float) -> R:
        return await outlasting(lambda: ask(job_id), job_id, pause=seconds, sleep=self._sleep)

    def _job(self, body: dict[str, Any]) -> FineTuneJob:
        trained, tokens, error = body.get("fine_tuned_model"), body.get("trained_tokens"), body.get("error")
        said = error.get("message") if isinstance(error, dict) else error
        return FineTuneJob(
            id=text_of(body, "id"),
            status=text_of(body, "status"),
            model=f"{self._name}:{text_of(body, 'model')}",
            trained=f"{self._name}:{trained}" if isinstance(trained, str) and trained else None,
            created_at=_moment(body.get("created_at")),
            trained_tokens=tokens if isinstance(tokens, int) else None,
            error=said if isinstance(said, str) and said else None,
        )


def _event(row: dict[str, Any]) -> FineTuneEvent:
    return FineTuneEvent(
        id=text_of(row, "id"),
        at=_moment(row.get("created_at")) or datetime.fromtimestamp(0, UTC),
        level=str(row.get("level", "info")),
        text=str(row.get("message", "")),
    )


def _rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    rows = body.get("data")
    if not isinstance(rows, list):
        raise strange("a list without data")
    return [row for row in rows if isinstance(row, dict)]


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None
    except (OverflowError, OSError, ValueError):
        return None


def _id(text: str) -> str:
    """An id that stays one step of a path."""
    if not text or not all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in text):
        raise strange(f"{text[:80]!r} as the id of a job")
    return text

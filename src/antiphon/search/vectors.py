"""Finding facts by meaning: vectors in the database, made behind the writing, compared there or in memory."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from msgspec import Struct

from antiphon.errors import AntiphonError, ServiceError
from antiphon.runtime.threads import run_async
from antiphon.search.embedders.base import Embedder
from antiphon.storage.facts import Fact, VectorStore
from antiphon.telemetry.logs import get_logger

MOST = 50_000
"""Facts of one person that are compared, the newest."""

NEAR = 0.3
"""Cosine below which two texts have nothing to do with each other."""

SAME = 0.92
"""Cosine from which on two texts say the same."""

SECONDS = 0.4
"""For the vector of a question: whoever asks waits for it."""

PAUSE = 30.0
"""Seconds after which what was not embedded is tried again, and what other processes wrote is looked for."""

_BATCH = 64
_PEOPLE = 32

log = get_logger(__name__)


class _Kept(Struct, frozen=True):
    mark: tuple[int, int]
    facts: list[Fact]
    matrix: Any


class VectorIndex:
    """`Nearest` over the vectors of a store. `start` begins to embed what has no vector of this embedder, which is what
    was written meanwhile, and after a change of the model everything; until then words alone find it."""

    def __init__(self, vectors: VectorStore, embedder: Embedder) -> None:
        self._vectors = vectors
        self._embedder = embedder
        self._np: Any = import_module("numpy")
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._follow(), name="embedding")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._embedder.stop()

    def changed(self) -> None:
        """Something was written that has no vector yet."""
        self._wanted.set()

    async def nearest(self, person_id: str, query: str, limit: int) -> list[tuple[Fact, float]]:
        try:
            async with asyncio.timeout(SECONDS):
                vector = self._unit((await self._embedder.embed([query]))[0])
                found = await self._vectors.nearest(person_id, self._embedder.model, vector.tobytes(), limit=limit)
                if found is None:
                    kept = await self._of(person_id, len(vector))
                    found = await run_async(self._scan, kept, vector, limit)
                return [(fact, nearness) for fact, nearness in found if nearness >= NEAR]
        except (AntiphonError, TimeoutError) as error:
            log.warning("memory.meaning_left_out", error=type(error).__name__)
            return []

    async def twin(self, person_id: str, text: str) -> Fact | None:
        found = await self.nearest(person_id, text, 1)
        return found[0][0] if found and found[0][1] >= SAME else None

    def _scan(self, kept: _Kept, vector: Any, limit: int) -> list[tuple[Fact, float]]:
        if not kept.facts:
            return []
        # Rounded as a database does it, so that what is equally near comes in the same order everywhere.
        nearness = self._np.round((kept.matrix @ vector).astype(self._np.float64), 5)
        best = self._np.argsort(-nearness, kind="stable")[:limit]
        return [(kept.facts[place], float(nearness[place])) for place in best]

    async def _of(self, person_id: str, dimension: int) -> _Kept:
        """The person's vectors, read again when any process has changed them."""
        mark = await self._vectors.mark(person_id, self._embedder.model, dimension)
        kept = self._kept.pop((person_id, dimension), None)
        if kept is None or kept.mark != mark:
            rows = await self._vectors.of(person_id, self._embedder.model, dimension, limit=MOST)
            flat = self._np.frombuffer(b"".join(raw for _, raw in rows), dtype=self._np.float32)
            kept = _Kept(mark, [fact for fact, _ in rows], flat.reshape(len(rows), dimension))
        self._kept[person_id, dimension] = kept
        if len(self._kept) > _PEOPLE:
            self._kept.popitem(last=False)
        return kept

    async def _follow(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self._catch_up()
            except AntiphonError as error:
                log.warning("memory.not_embedded", error=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._wanted.wait()

    async def _catch_up(self) -> None:
        await self._settle()
        [probe] = await self._embedder.embed(["dimension"])
        while facts := await self._vectors.missing(self._embedder.model, len(probe), limit=_BATCH):
            vectors = await self._embedder.embed([fact.text for fact in facts])
            await self._vectors.put(self._embedder.model, len(probe), self._paired(facts, vectors, len(probe)))
            await self._settle()

    async def _settle(self) -> None:
        while await self._vectors.settle(limit=_BATCH):
            pass

    def _paired(
        self, facts: Sequence[Fact], vectors: Sequence[Sequence[float]], dimension: int
    ) -> list[tuple[Fact, bytes]]:
        if len({len(vector) for vector in vectors} | {dimension}) > 1:
            raise ServiceError("The embedder gives vectors of different lengths; they cannot be compared.")
        return [(fact, self._unit(vector).tobytes()) for fact, vector in zip(facts, vectors, strict=True)]

    def _unit(self, vector: Sequence[float]) -> Any:
        made = self._np.asarray(vector, dtype=self._np.float32)
        return made / max(float(self._np.linalg.norm(made)), 1e-12)

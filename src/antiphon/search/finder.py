"""The finder: asks all sources at once and makes one ranking of what they answer."""

import asyncio
import time
from collections.abc import Iterable, Sequence

from antiphon.errors import ConfigError, ServiceError, ValidationError
from antiphon.search.base import Passage, SearchAnswer, SearchSource
from antiphon.search.fusion import fuse
from antiphon.telemetry.logs import get_logger, stack_of
from antiphon.telemetry.metrics import Metrics, get_metrics

_LONGEST_QUERY = 4_000
"""Characters that are looked at; a person's question is shorter, and a book is no question."""

log = get_logger(__name__)


class Finder:
    """`Search` over sources that do not hold each other up: one that raises, or takes longer than `seconds`, is left
    out, logged and counted."""

    def __init__(
        self, sources: Iterable[SearchSource], *, seconds: float = 3.0, metrics: Metrics | None = None
    ) -> None:
        self._sources = dict[str, SearchSource]()
        self._seconds = seconds
        metrics = metrics or get_metrics()
        took = metrics.histogram("antiphon_search_seconds", "From asking a source to its answer.", ["source"])
        left_out = metrics.counter(
            "antiphon_search_left_out_total", "Sources that failed or were too slow.", ["source"]
        )
        for source in sources:
            if source.name in self._sources:
                raise ConfigError(f"Two sources of search are called {source.name!r}; give one another name.")
            self._sources[source.name] = source
        self._took = {name: took.labels(name) for name in self._sources}
        self._left_out = {name: left_out.labels(name) for name in self._sources}

    @property
    def names(self) -> tuple[str, ...]:
        """The sources there are."""
        return tuple(self._sources)

    async def find(
        self, person_id: str, query: str, *, limit: int = 10, sources: Sequence[str] = (), exclude: str | None = None
    ) -> SearchAnswer:
        asked = self._chosen(sources)
        query = query[:_LONGEST_QUERY]
        answers = await asyncio.gather(*(self._ask(name, person_id, query, limit, exclude) for name in asked))
        found = [answer for answer in answers if answer is not None]
        left_out = tuple(name for name, answer in zip(asked, answers, strict=True) if answer is None)
        if left_out and not found:
            raise ServiceError(f"Nothing can be searched now: no answer from {', '.join(left_out)}. Try again soon.")
        return SearchAnswer(tuple(fuse(found)[:limit]), left_out)

    def _chosen(self, names: Sequence[str]) -> list[str]:
        if unknown := sorted(set(names) - set(self._sources)):
            raise ValidationError(
                f"There is no {', '.join(unknown)} to search in; possible are {', '.join(self._sources)}.",
                public=f"There is no such source to search in; possible are {', '.join(self._sources)}.",
            )
        return list(dict.fromkeys(names or self._sources))

    async def _ask(
        self, name: str, person_id: str, query: str, limit: int, exclude: str | None
    ) -> list[Passage] | None:
        """What the source found, None when it is left out."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._seconds):
                return (await self._sources[name].find(person_id, query, limit=limit, exclude=exclude))[:limit]
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one source, the others answer
            self._left_out[name].inc()
            log.warning("search.left_out", source=name, error=type(error).__name__, stack=stack_of(error))
            return None
        finally:
            self._took[name].observe(time.perf_counter() - began)

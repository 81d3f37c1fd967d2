"""Sets of clocks. Clocks are handed out one after the other, so a set of thousands is a handful of ranges."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Spans:
    """A set of positive integers, kept as sorted ranges that neither overlap nor touch."""

    __slots__ = ("_highs", "_lows")

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []
        for low, high in spans:
            self.add(low, high)

    @classmethod
    def read(cls, flat: list[int]) -> "Spans":
        """The counterpart of `flat`; raises `ValueError` when that is not what it was given."""
        spans = cls()
        spans._lows, spans._highs = flat[::2], flat[1::2]
        previous = -1
        for low, high in zip(spans._lows, spans._highs, strict=True):
            if not previous + 1 < low <= high:
                raise ValueError("ranges must be positive, sorted and apart")
            previous = high
        return spans

    def flat(self) -> list[int]:
        """First and last number of each range, in order."""
        return [end for span in self for end in span]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._lows, self._highs, strict=True)

    def __len__(self) -> int:
        """How many ranges there are: what the set costs."""
        return len(self._lows)

    def __contains__(self, number: int) -> bool:
        place = bisect_left(self._highs, number)
        return place < len(self._lows) and self._lows[place] <= number

    def __repr__(self) -> str:
        return f"Spans({list(self)})"

    @property
    def context(self) -> int:
        """The highest number below which none is missing."""
        return self._highs[0] if self._lows and self._lows[0] == 1 else 0

    @property
    def newest(self) -> tuple[int, int]:
        """The last range; (0, 0) when there is none."""
        return (self._lows[-1], self._highs[-1]) if self._lows else (0, 0)

    @property
    def width(self) -> int:
        """How many numbers there are."""
        return sum(self._highs) - sum(self._lows) + len(self._lows)

    def covers(self, low: int, high: int) -> bool:
        """Whether every number from `low` to `high` is there."""
        place = bisect_left(self._highs, high)
        return place < len(self._lows) and self._lows[place] <= low

    def add(self, low: int, high: int) -> None:
        """Puts the numbers from `low` to `high` in; ranges that touch become one."""
        lows, highs = self._lows, self._highs
        if highs and low == highs[-1] + 1:
            highs[-1] = high
            return
        first, last = bisect_left(highs, low - 1), bisect_right(lows, high + 1)
        if first < last:
            low, high = min(low, lows[first]), max(high, highs[last - 1])
        lows[first:last], highs[first:last] = [low], [high]

    def union(self, other: "Spans") -> "Spans":
        """A new set of the numbers of both."""
        few, many = sorted((self, other), key=len)
        both = many.copy()
        for low, high in few:
            both.add(low, high)
        return both

    def copy(self) -> "Spans":
        """The same numbers in a set of its own."""
        same = Spans()
        same._lows, same._highs = self._lows.copy(), self._highs.copy()
        return same

    def without(self, numbers: Iterable[int]) -> "Spans":
        """A new set that lacks these."""
        gone, place, rest = sorted(numbers), 0, Spans()
        for first, high in self:
            low, place = first, bisect_left(gone, first, place)
            while place < len(gone) and gone[place] <= high:
                if low < gone[place]:
                    rest._append(low, gone[place] - 1)
                low, place = gone[place] + 1, place + 1
            if low <= high:
                rest._append(low, high)
        return rest

    def _append(self, low: int, high: int) -> None:
        self._lows.append(low)
        self._highs.append(high)

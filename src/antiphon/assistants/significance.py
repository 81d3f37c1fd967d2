"""How sure one may be of shares that were counted: intervals, and whether two shares differ.

Pure functions. Those who judge do it as often as they like, and a person's judgements resemble one another; therefore
counts are first divided by their design effect, after which the ordinary formulas hold (Rao and Scott 1992).
"""

from collections.abc import Sequence
from math import erfc, isfinite, sqrt

from msgspec import Struct

Z_95 = 1.959963984540054
"""The normal quantile of a 95 % interval."""

LEAST_JUDGES = 10
"""People on each side before two shares are compared: the design effect of fewer says little."""

LEAST_EXPECTED = 5.0
"""Of each cell of the two-by-two table; W. G. Cochran, "Some Methods for Strengthening the Common χ² Tests",
Biometrics 10 (1954)."""


class Counted(Struct, frozen=True, kw_only=True):
    """Judgements, `good` of `all`, of `judges` people.

    The sums over people tell how much they differ: the squares of a person's good ones (`good_good`), these times all
    of theirs (`good_all`), and the squares of all of theirs (`all_all`)."""

    judges: int
    good: int
    all: int
    good_good: int
    good_all: int
    all_all: int

    @property
    def share(self) -> float:
        return self.good / self.all

    @property
    def effective(self) -> tuple[float, float]:
        """Good ones and all, as if each were of another person."""
        effect = design_effect(self)
        return self.good / effect, self.all / effect


class Difference(Struct, frozen=True, kw_only=True):
    """Between two shares: the second minus the first, the z statistic, and the two-sided p value."""

    difference: float
    z: float
    p: float


def design_effect(counted: Counted) -> float:
    """By how much more the share varies than that of as many independent judgements; at least 1.

    J. N. K. Rao and A. J. Scott, "A Simple Method for the Analysis of Clustered Binary Data", Biometrics 48 (1992),
    577-585: the variance of a ratio of sums over clusters, divided by the binomial one. Where everybody agrees nothing
    can be said of that, and each person counts about once (L. Kish, "Survey Sampling", 1965, with full correlation).
    """
    people, share, total = counted.judges, counted.share, counted.all
    if people == total:
        return 1.0
    if people == 1 or not 0 < share < 1:
        return counted.all_all / total
    squares = counted.good_good - 2 * share * counted.good_all + share * share * counted.all_all
    variance = people / (people - 1) * squares / total**2
    return max(1.0, variance * total / (share * (1 - share)))


def wilson(good: float, total: float, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a share. E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical
    Inference", Journal of the American Statistical Association 22 (1927), 209-212."""
    share, square = good / total, z * z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = z / (1 + square / total) * sqrt(share * (1 - share) / total + square / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def difference(first: tuple[float, float], second: tuple[float, float]) -> Difference:
    """The pooled two-proportion z test of (good, all) twice. J. L. Fleiss, "Statistical Methods for Rates and
    Proportions", 2nd ed. 1981, chapter 2, without the correction for continuity. Neither `all` is 0."""
    (good_1, all_1), (good_2, all_2) = first, second
    pooled = (good_1 + good_2) / (all_1 + all_2)
    between = good_2 / all_2 - good_1 / all_1
    error = sqrt(max(0.0, pooled * (1 - pooled)) * (1 / all_1 + 1 / all_2))
    z = between / error if error else 0.0
    return Difference(difference=between, z=z, p=erfc(abs(z) / sqrt(2)))


def compare(first: Counted, second: Counted) -> Difference | None:
    """None while there is not enough to tell."""
    if min(first.judges, second.judges) < LEAST_JUDGES:
        return None
    (good_1, all_1), (good_2, all_2) = first.effective, second.effective
    pooled = (good_1 + good_2) / (all_1 + all_2)
    if min(all_1, all_2) * min(pooled, 1 - pooled) < LEAST_EXPECTED:
        return None
    found = difference((good_1, all_1), (good_2, all_2))
    return found if isfinite(found.z) else None


def holm(values: Sequence[float]) -> list[float]:
    """p values of several tests, corrected so that all of them together are wrong as seldom as one alone. S. Holm, "A
    Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979), 65-70."""
    corrected, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = highest
    return corrected

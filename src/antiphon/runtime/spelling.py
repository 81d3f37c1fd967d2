"""Which name was meant, where there is none as it was written."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 100
"""Characters that are compared: what was written may be as long as a letter."""


def near(name: str, known: Iterable[str], *, most: int = 1, likeness: float = 0.6) -> list[str]:
    """Those of `known` that are most like `name`, the nearest first. Upper and lower case count as the same."""
    folded = {each.casefold(): each for each in known}
    return [folded[found] for found in get_close_matches(name[:LONGEST].casefold(), folded, n=most, cutoff=likeness)]


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", *, prefix: str = "") -> str:
    """The question, with a space before it, to stand behind the sentence that says that there is no `name`.

    Where nothing is near, `otherwise` stands there. `prefix` is what people write before a name.
    """
    found = near(name, known)
    sentence = f"Did you mean {prefix}{found[0]}?" if found else otherwise
    return f" {sentence}" if sentence else ""

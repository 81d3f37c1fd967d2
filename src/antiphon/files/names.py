"""The name of a file as it may be shown, quoted and written into a header."""

import re
import unicodedata

LONGEST = 150

_APART = re.compile(r"[/\\]")


def clean_name(name: str) -> str:
    """The last piece of a path, without what is not seen or turns the direction of reading; never empty."""
    last = _APART.split(name.strip())[-1]
    seen = "".join(sign for sign in last if unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
    plain = " ".join(seen.split()).lstrip(". ")
    if len(plain) > LONGEST:
        stem, dot, ending = plain.rpartition(".")
        keeps = dot and 0 < len(ending) <= 10
        plain = f"{stem[: LONGEST - len(ending) - 1]}.{ending}" if keeps else plain[:LONGEST]
    return plain or "file"

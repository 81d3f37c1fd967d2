"""What can truly be said of a file without looking at it: its name, its kind, its size, and how a text begins."""

import re

from antiphon.files.pictures import dimensions
from antiphon.files.quoting import Quoted
from antiphon.providers.base import File
from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, answer

_FIRST = re.compile(r"[\s#>*-]*(.{1,200}?(?:[.!?](?=\s|$)|\n|$)|.{200})", re.DOTALL)


def plan(reading: Reading) -> Plan | None:
    """A sentence about each file of the question; None when there is none."""
    told = [f"Of this I was only told that there is one: {line}." for line in reading.mentioned]
    said = [*map(_seen, reading.files), *map(_read, reading.quoted), *told]
    return answer("Something is attached.", "\n".join(said)) if said else None


def _seen(file: File) -> str:
    if file.data is None:
        return f"`{file.name}` ({file.media_type}) is elsewhere, and I fetch nothing."
    size = dimensions(file.data)
    measure = f", {size[0]} x {size[1]} pixels" if size else ""
    return (
        f"I was given `{file.name}`: {file.media_type}, {len(file.data):,} bytes{measure}. I am rules and see nothing."
    )


def _read(file: Quoted) -> str:
    first = _FIRST.match(file.text)
    begins = f" It begins: “{' '.join(first[1].split())}”" if first and first[1].strip() else " It is empty."
    return f"I was given `{file.name}`: {file.media_type}, {len(file.text.encode()):,} bytes of text.{begins}"

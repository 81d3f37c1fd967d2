"""Pictures, where a tool that makes them is offered: it is told what to draw, and its line is repeated."""

import re

from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, asking

_ASKED = re.compile(
    r"(?is)^(?:(?:please|can you|could you|would you|now|ok|hey|and)[\s,]+)*(?:"
    r"(?:draw|paint|sketch)(?:\s+me)?|"
    r"(?:make|create|generate)(?:\s+me)?(?:\s+an?)?\s+(?:image|picture|drawing|painting)(?:\s+(?:of|with|that shows))?"
    r")\s+(?P<what>\S.*)$"
)


def plan(sentence: str, reading: Reading) -> Plan | None:
    """ "Draw me a cat", "make a picture of a harbour": None where nobody draws, so that this is said elsewhere."""
    asked = _ASKED.match(sentence.strip())
    wish = reading.wish("generate_image", prompt=asked["what"].strip(" ?")) if asked else None
    if wish is None:
        return None
    return asking("Somebody wants a picture: I have it made.", wish, lambda line: f"Here it is:\n\n{line}")

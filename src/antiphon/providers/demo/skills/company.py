"""Who is here: asked of `people_present`."""

import re

from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, answer, asking
from antiphon.search.lexical import fold

_WHO = re.compile(
    r"\bwho(?:'s|s| is| are| else is| else| all is)? (?:(?:else|all|also|currently|now) )*"
    r"(?:(?:here|present|online|around|connected|listening|watching)\b|"
    r"in (?:here|(?:this|the) (?:conversation|chat|room)))|"
    r"\b(?:is|are) (?:anyone|anybody|someone|somebody|others?|other people) (?:else )?(?:here|present|online|around)\b|"
    r"\bam i (?:alone|the only one)(?: here)?\b"
)


def plan(sentence: str, reading: Reading) -> Plan | None:
    """ "Who is here?", "is anybody else online?", "am I alone?"."""
    if not _WHO.search(fold(sentence[:300])):
        return None
    wish = reading.wish("people_present")
    if wish is None:
        return answer(
            "A question about who is here. There is no tool that knows.",
            "I cannot see who is here: no `people_present` tool is offered to me.",
        )
    return asking("You ask who is here: I look.", wish, _say)


def _say(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    return "In this conversation now:\n\n" + "\n".join(lines) if lines else text

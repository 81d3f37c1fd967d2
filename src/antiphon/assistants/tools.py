"""The tools that need a house: facts about a person, what was said in other conversations, and those of other
modules."""

import re

from antiphon.assistants.files import read_file, write_file
from antiphon.assistants.images import generate_image
from antiphon.assistants.memory.base import Recollection, told
from antiphon.assistants.present import people_present
from antiphon.errors import ToolError, ValidationError
from antiphon.search.base import Passage, Search
from antiphon.search.facts import FACTS
from antiphon.search.sources import MESSAGES
from antiphon.storage.facts import Fact
from antiphon.tools.base import ToolContext, tool

NOTHING = "Nothing found."

_RESULTS = 8
_WORD = re.compile(r"\w+")


@tool(timeout=10)
async def remember(text: str, memory: Recollection, context: ToolContext) -> str:
    """Keep a fact about the person for all later conversations. Use it when they ask you to remember something.

    Args:
        text: One fact in one sentence that is clear by itself, for example "Their dog is called Argos".
    """
    try:
        kept = await memory.add(
            text,
            person=context.person_id,
            source_message_id=context.message_id or None,
            assistant=context.assistant,
        )
    except ValidationError as error:
        raise ToolError(error.public) from error
    return "\n".join(told(kept))


@tool(timeout=10)
async def recall(query: str, search: Search, context: ToolContext) -> str:
    """Find what you were asked to remember about the person, in any conversation.

    Args:
        query: Words to look for; empty for the newest.
    """
    found = await search.find(context.person_id, query, limit=_RESULTS, sources=[FACTS])
    return "\n".join(map(_fact_line, found.items)) or NOTHING


@tool(timeout=10, approval=True)
async def forget(memory: Recollection, context: ToolContext, text: str = "", everything: bool = False) -> str:
    """Delete what is remembered about the person, after asking them. Use it when they want something forgotten.

    Args:
        text: The fact, in the words in which it is remembered, or in words that no other fact has.
        everything: Forget all that is remembered about the person; `text` is empty then.
    """
    if everything and not text.strip():
        return f"Forgotten: all {await memory.clear(person=context.person_id)} facts."
    if everything or not text.strip():
        raise ToolError("Say in `text` which fact is to be forgotten, or that it is `everything`, not both.")
    found = await memory.search(text, person=context.person_id, limit=_RESULTS)
    fitting = _fitting(text, found)
    if len(fitting) != 1:
        known = "; ".join(_flat(fact.text) for fact in fitting or found)
        raise ToolError(
            f"{'Several facts fit' if fitting else 'Nothing is remembered in these words'}, so none was deleted."
            + (f" There is: {known}." if known else "")
        )
    await memory.delete(fitting[0].id, person=context.person_id)
    return f"Forgotten: {_flat(fitting[0].text)}"


def _fitting(text: str, facts: list[Fact]) -> list[Fact]:
    """The fact in these words, else those that have all of them."""
    words = _WORD.findall(text.casefold())
    same = [fact for fact in facts if _WORD.findall(fact.text.casefold()) == words]
    return same or [fact for fact in facts if words and set(words) <= set(_WORD.findall(fact.text.casefold()))]


@tool(timeout=10)
async def search_conversations(query: str, search: Search, context: ToolContext) -> str:
    """Search what was said in the person's other conversations.

    Args:
        query: Words to look for.
    """
    found = await search.find(
        context.person_id, query, limit=_RESULTS, sources=[MESSAGES], exclude=context.conversation_id
    )
    return "\n".join(map(_message_line, found.items)) or NOTHING


OF_ASSISTANTS = (
    remember, recall, forget, search_conversations, read_file, write_file, people_present, generate_image
)  # fmt: skip
"""All of them, as a house offers them beside those of the registry."""


def _fact_line(fact: Passage) -> str:
    return f"- {_flat(fact.text)} (noted {fact.when:%Y-%m-%d})"


def _message_line(message: Passage) -> str:
    who = "the person" if message.role == "user" else "the assistant"
    return f'- {_flat(message.text)} ({who}, {message.when:%Y-%m-%d}, in "{_flat(message.title)}")'


def _flat(text: str) -> str:
    """One passage is one line, whatever was in it."""
    return " ".join(text.split())

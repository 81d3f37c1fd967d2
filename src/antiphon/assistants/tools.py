"""The tools by which an assistant remembers: facts about a person, and what was said in other conversations."""

from antiphon.assistants.memory.base import Recollection, told
from antiphon.errors import ToolError, ValidationError
from antiphon.search.base import Passage, Search
from antiphon.search.facts import FACTS
from antiphon.search.sources import MESSAGES
from antiphon.tools.base import ToolContext, tool

NOTHING = "Nothing found."

_RESULTS = 8


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


OF_ASSISTANTS = (remember, recall, search_conversations)
"""These tools, as a house offers them beside those of the registry."""


def _fact_line(fact: Passage) -> str:
    return f"- {_flat(fact.text)} (noted {fact.when:%Y-%m-%d})"


def _message_line(message: Passage) -> str:
    who = "the person" if message.role == "user" else "the assistant"
    return f'- {_flat(message.text)} ({who}, {message.when:%Y-%m-%d}, in "{_flat(message.title)}")'


def _flat(text: str) -> str:
    """One passage is one line, whatever was in it."""
    return " ".join(text.split())

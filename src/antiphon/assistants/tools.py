"""The tools by which an assistant remembers: notes a person asked for, and what was said in other conversations."""

from antiphon.errors import ToolError
from antiphon.search.base import Passage, Search
from antiphon.search.sources import MESSAGES, NOTES
from antiphon.storage.base import NoteStore
from antiphon.tools.base import ToolContext, tool

NOTHING = "Nothing found."

_NOTE_LIMIT = 2_000
_RESULTS = 8


@tool(timeout=10)
async def remember(text: str, notes: NoteStore, context: ToolContext) -> str:
    """Keep a fact about the person for all later conversations. Use it when they ask you to remember something.

    Args:
        text: One fact in one sentence that is clear by itself, for example "Their dog is called Argos".
    """
    fact = " ".join(text.split())
    if not fact:
        raise ToolError("There is nothing to remember: text is empty.")
    if len(fact) > _NOTE_LIMIT:
        raise ToolError(f"A note has at most {_NOTE_LIMIT} characters; this one has {len(fact)}. Shorten it.")
    note = await notes.add(context.person_id, fact, source_message_id=context.message_id or None)
    return f"Remembered: {note.text}"


@tool(timeout=10)
async def recall(query: str, search: Search, context: ToolContext) -> str:
    """Find what you were asked to remember about the person, in any conversation.

    Args:
        query: Words to look for; empty for the newest notes.
    """
    found = await search.find(context.person_id, query, limit=_RESULTS, sources=[NOTES])
    return "\n".join(map(_note_line, found.items)) or NOTHING


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


def _note_line(note: Passage) -> str:
    return f"- {_flat(note.text)} (noted {note.when:%Y-%m-%d})"


def _message_line(message: Passage) -> str:
    who = "the person" if message.role == "user" else "the assistant"
    return f'- {_flat(message.text)} ({who}, {message.when:%Y-%m-%d}, in "{_flat(message.title)}")'


def _flat(text: str) -> str:
    """One passage is one line, whatever was in it."""
    return " ".join(text.split())

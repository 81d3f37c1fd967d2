"""The tools by which an assistant remembers and reads: facts about a person, what was said in other conversations, and
the files of this one."""

import re

from antiphon.assistants.images import generate_image
from antiphon.assistants.memory.base import Recollection, told
from antiphon.assistants.present import people_present
from antiphon.errors import ToolError, ValidationError
from antiphon.files.kinds import is_text, text_of
from antiphon.runtime.spelling import did_you_mean
from antiphon.runtime.threads import run_async
from antiphon.search.base import Passage, Search
from antiphon.search.facts import FACTS
from antiphon.search.sources import MESSAGES
from antiphon.storage.base import ConversationStore
from antiphon.storage.facts import Fact
from antiphon.storage.files import FileStore
from antiphon.tools.base import ToolContext, tool

NOTHING = "Nothing found."
NONE = "No file was attached in this conversation."

_RESULTS = 8
_LOOKED_AT = 1_000
"""Messages, the newest, whose files can be read."""
_PAGE = 8_000
"""Characters, about 2,000 tokens."""
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


@tool(timeout=10)
async def read_file(
    conversations: ConversationStore, files: FileStore, context: ToolContext, name: str = "", page: int = 1
) -> str:
    """Read a text file that was attached in this conversation. Use it for what was left out of a long one.

    Args:
        name: Its name; empty for a list of all files of the conversation.
        page: Which page of the text.
    """
    messages = await conversations.messages(context.conversation_id, limit=_LOOKED_AT)
    attached = {file.name: file for message in messages for file in message.attachments}  # of one name the newest
    if not name:
        return (
            "\n".join(f"- {file.name} ({file.media_type}, {file.size:,} bytes)" for file in attached.values()) or NONE
        )
    file = attached.get(name)
    if file is None:
        there = f"There is: {', '.join(attached)}." if attached else NONE
        raise ToolError(f"This conversation has no file of that name.{did_you_mean(name, attached, there)}")
    kept = file.id is not None and await files.get(file.id, person_id=context.person_id)
    data = await files.read(kept.id) if kept else None
    text = await run_async(text_of, data) if data is not None and is_text(file.media_type) else None
    if text is None:
        raise ToolError(f"{file.name} {'is not kept here' if data is None else 'has no text that can be read'}.")
    pages = max(1, -(-len(text) // _PAGE))
    if not 1 <= page <= pages:
        raise ToolError(f"{file.name} has the pages 1 to {pages}.")
    return f"{file.name}, page {page} of {pages}:\n{text[(page - 1) * _PAGE : page * _PAGE]}"


OF_ASSISTANTS = (remember, recall, forget, search_conversations, read_file, people_present, generate_image)
"""These tools, as a house offers them beside those of the registry."""


def _fact_line(fact: Passage) -> str:
    return f"- {_flat(fact.text)} (noted {fact.when:%Y-%m-%d})"


def _message_line(message: Passage) -> str:
    who = "the person" if message.role == "user" else "the assistant"
    return f'- {_flat(message.text)} ({who}, {message.when:%Y-%m-%d}, in "{_flat(message.title)}")'


def _flat(text: str) -> str:
    """One passage is one line, whatever was in it."""
    return " ".join(text.split())

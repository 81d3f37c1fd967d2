"""The tools by which an assistant reads and writes the files of a conversation."""

import re

from antiphon.domain import Upload
from antiphon.errors import NotFoundError, ResourceError, ToolError, ValidationError
from antiphon.files.keeper import FILE_URL, FileKeeper
from antiphon.files.kinds import is_text, text_of
from antiphon.runtime.spelling import did_you_mean
from antiphon.runtime.threads import run_async
from antiphon.storage.base import ConversationStore
from antiphon.tools.base import ToolContext, tool

NONE = "There is no file in this conversation."

_LOOKED_AT = 1_000
"""Messages and files, the newest, that are looked at."""
_PAGE = 8_000
"""Characters, about 2,000 tokens."""
_OF_MARKDOWN = re.compile(r"([\\\[\]`*_<>])")


@tool(timeout=10)
async def read_file(
    conversations: ConversationStore, files: FileKeeper, context: ToolContext, name: str = "", page: int = 1
) -> str:
    """Read a text file of this conversation. Use it for what was left out of a long one.

    Args:
        name: Its name; empty for a list of all files of the conversation.
        page: Which page of the text.
    """
    messages = await conversations.messages(context.conversation_id, limit=_LOOKED_AT)
    kept_here = reversed(await files.store.of(context.conversation_id, limit=_LOOKED_AT))
    # Of one name the newest; a message may call a file by another name than whoever gave it first.
    there = {file.name: file for file in kept_here} | {
        file.name: file for each in messages for file in each.attachments
    }
    if not name:
        return "\n".join(f"- {file.name} ({file.media_type}, {file.size:,} bytes)" for file in there.values()) or NONE
    file = there.get(name)
    if file is None:
        hint = f"There is: {', '.join(there)}." if there else NONE
        raise ToolError(f"This conversation has no file of that name.{did_you_mean(name, there, hint)}")
    kept = file.id is not None and await files.store.get(file.id, person_id=context.person_id)
    data = await files.store.read(kept.id) if kept else None
    text = await run_async(text_of, data) if data is not None and is_text(file.media_type) else None
    if text is None:
        raise ToolError(f"{file.name} {'is not kept here' if data is None else 'has no text that can be read'}.")
    pages = max(1, -(-len(text) // _PAGE))
    if not 1 <= page <= pages:
        raise ToolError(f"{file.name} has the pages 1 to {pages}.")
    return f"{file.name}, page {page} of {pages}:\n{text[(page - 1) * _PAGE : page * _PAGE]}"


@tool(timeout=10)
async def write_file(name: str, text: str, files: FileKeeper, context: ToolContext) -> str:
    """Make a text file for the person, for example a table as CSV. They can download it where your answer has the
    Markdown link that you are given: repeat that link as it is.

    Args:
        name: Its name with the ending that says what it is, for example prices.csv.
        text: All that is in it.
    """
    upload = Upload(name=name, media_type="", data=text.encode(errors="replace"))
    try:
        kept = await files.keep_for(context.conversation_id, context.person_id, upload)
    except (NotFoundError, ResourceError, ValidationError) as error:
        raise ToolError(f"The file was not made. {error.public}") from error
    shown = _OF_MARKDOWN.sub(r"\\\1", kept.name)
    return f"[{shown}]({FILE_URL}{kept.id})"

"""How a message is stored: its files are kept before, and those that it names are looked up."""

from collections.abc import Callable

from msgspec import structs

from antiphon.adapters.web import WebAdapter
from antiphon.domain import Attachment, ChannelMessage
from antiphon.errors import ValidationError
from antiphon.files.keeper import FileKeeper
from antiphon.storage.base import Accepted, Store


class MessageEntrance:
    """Makes the files of messages attachments of whoever sends them. `default_assistant` answers those that begin a
    conversation."""

    def __init__(self, keeper: FileKeeper, store: Store, default_assistant: Callable[[], str]) -> None:
        self._keeper = keeper
        self._store = store
        self._default_assistant = default_assistant

    async def admit(self, message: ChannelMessage) -> ChannelMessage:
        """The message with files that are kept and its sender's. Raises `ValidationError` for those that are not, or
        are too many, and `ResourceError` for those that are too large."""
        if not message.attachments and not message.uploads:
            return message
        person = await self._store.people.by_account(message.adapter, message.account, name=message.sender)
        kept = await self._keeper.keep_all(person.id, message.uploads, besides=len(message.attachments))
        named = [await self._known(file, person.id, message.adapter) for file in message.attachments]
        return structs.replace(message, attachments=(*named, *kept), uploads=())

    async def accept(self, message: ChannelMessage, *, most: int) -> Accepted:
        """As `InboxStore.accept`, of a message that was admitted."""
        return await self._store.inbox.accept(message, assistant=self._default_assistant(), most=most)

    async def _known(self, file: Attachment, person_id: str, adapter: str) -> Attachment:
        if file.id is not None:
            return await self._keeper.named(person_id, file.id, file.name)
        if adapter == WebAdapter.name or file.url is None or not file.url.startswith("https://"):
            raise ValidationError("A file is named by the `id` that POST /api/v1/files gave, or comes with its bytes.")
        return file

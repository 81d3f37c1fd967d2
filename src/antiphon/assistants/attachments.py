"""What a model is given of files: the newest of a conversation as they are, texts as quotations, the rest by name."""

from collections.abc import Iterable, Sequence
from math import inf

from msgspec import Struct, structs

from antiphon.assistants.estimate import BYTES_PER_TOKEN, file_tokens
from antiphon.domain import Attachment
from antiphon.files.config import FileSettings
from antiphon.files.kinds import SHOWN, is_text, text_of
from antiphon.files.quoting import mention, quotation
from antiphon.providers.base import ChatMessage, File
from antiphon.runtime.threads import run_async
from antiphon.storage.files import FileStore

_KEPT = "kept:"
"""Begins the address of a file of this house, until its bytes are fetched."""

_ALL = 2**40


def references(attachments: Sequence[Attachment]) -> tuple[File, ...]:
    """The files of a message, still without their bytes; `AttachedFiles.load` fetches those."""
    return tuple(
        File(
            name=file.name,
            media_type=file.media_type,
            url=file.url if file.id is None else f"{_KEPT}{file.id}",
            size=file.size,
        )
        for file in attachments
    )


def expected_tokens(files: Iterable[File], settings: FileSettings) -> int:
    """What those of `files`, newest first, that a prompt has room for will weigh, about."""
    text, others = 0, list[int]()
    for file in files:
        if is_text(file.media_type):
            text += file_tokens(file)
        elif _may_be_seen(file.media_type):
            others.append(file_tokens(file))
    return min(text, settings.text_tokens) + sum(others[: settings.prompt_files])


def unbounded(settings: FileSettings) -> FileSettings:
    """For prompts that somebody else has made and bounded: all of their files are given."""
    return settings.model_copy(update={"prompt_files": _ALL, "prompt_bytes": _ALL, "text_tokens": _ALL})


class _Room(Struct):
    """What there is still room for in a prompt."""

    files: int
    file_bytes: int
    text_bytes: float
    tokens: float

    def takes(self, file: File) -> bool:
        """Whether there is room for a file that is no text, which then has it."""
        size, weight = len(file.data or b""), file_tokens(file)
        if self.files <= 0 or size > self.file_bytes or weight > self.tokens:
            return False
        self.files, self.file_bytes, self.tokens = self.files - 1, self.file_bytes - size, self.tokens - weight
        return True


class AttachedFiles:
    """Fetches what messages refer to, newest message first, as far as `settings` have room for it."""

    def __init__(self, store: FileStore, settings: FileSettings) -> None:
        self._store = store
        self._settings = settings
        self._text_bytes = int(settings.text_tokens * BYTES_PER_TOKEN)

    async def load(self, messages: tuple[ChatMessage, ...], tokens: float = inf) -> tuple[ChatMessage, ...]:
        """The messages, each with the files and the quotations that it gets; those before the last message have as many
        as weigh at most `tokens` together with those of the last one, which is given its files whatever they weigh."""
        if not any(message.files for message in messages):
            return messages
        room = _Room(self._settings.prompt_files, self._settings.prompt_bytes, self._text_bytes, inf)
        question = await self._loaded(messages[-1], room)
        taken = sum(map(file_tokens, question.files)) + (self._text_bytes - room.text_bytes) / BYTES_PER_TOKEN
        room.tokens = max(0.0, tokens - taken)
        room.text_bytes = min(room.text_bytes, room.tokens * BYTES_PER_TOKEN)
        loaded = [await self._loaded(message, room) if message.files else message for message in messages[-2::-1]]
        return (*reversed(loaded), question)

    async def _loaded(self, message: ChatMessage, room: _Room) -> ChatMessage:
        given: list[File] = []
        told: list[str] = []
        for file in message.files:
            got = await self._given(file, room)
            given += [got] if isinstance(got, File) else []
            told += [got] if isinstance(got, str) else []
        return structs.replace(message, text="\n\n".join(filter(None, [message.text, *told])), files=tuple(given))

    async def _given(self, file: File, room: _Room) -> File | str:
        """The file with its bytes, or what is said instead of it."""
        text = is_text(file.media_type)
        if not text and not _may_be_seen(file.media_type):
            return mention(file.name, file.media_type, "which cannot be read here")
        if (room.text_bytes if text else room.files) <= 0:
            return mention(file.name, file.media_type)
        if file.data is None and not (file.url or "").startswith(_KEPT):
            return self._elsewhere(file, room)
        data = file.data if file.data is not None else await self._store.read((file.url or "").removeprefix(_KEPT))
        if data is None:
            return mention(file.name, file.media_type, "which was deleted")
        if text:
            return await _quoted(file, data, room)
        whole = structs.replace(file, data=data, url=None)
        return whole if room.takes(whole) else mention(file.name, file.media_type)

    def _elsewhere(self, file: File, room: _Room) -> File | str:
        if not self._settings.vendor_urls or file.media_type not in SHOWN:
            return mention(file.name, file.media_type, "which is elsewhere and was not fetched")
        return file if room.takes(file) else mention(file.name, file.media_type)


def _may_be_seen(media_type: str) -> bool:
    """Whether some vendor takes files of this type."""
    return media_type in SHOWN or media_type == "application/pdf" or media_type.startswith("audio/")


async def _quoted(file: File, data: bytes, room: _Room) -> str:
    encoded = await run_async(_in_utf8, data)
    if encoded is None:
        return mention(file.name, file.media_type, "which cannot be read here")
    kept = encoded[: int(room.text_bytes)]
    room.text_bytes -= len(kept)
    text = kept.decode("utf-8", "ignore")
    if len(kept) < len(encoded):
        text += f"\n[the rest is left out: {len(encoded):,} bytes in all]"
    return quotation(file.name, file.media_type, text)


def _in_utf8(data: bytes) -> bytes | None:
    text = text_of(data)
    return None if text is None else text.encode()

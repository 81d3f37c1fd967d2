"""Voice notes become text before anything else is made of a message, by a vendor with OpenAI's transcriptions."""

import asyncio
from typing import Annotated

from msgspec import Struct, structs
from pydantic import BaseModel, ConfigDict, Field

from antiphon.assistants.budgets import Budgets
from antiphon.domain import Attachment, NoticePart
from antiphon.errors import NotAllowedError, ProcessingError, ProviderError
from antiphon.files.quoting import mention
from antiphon.plugins.base import BasePlugin, PluginHouse, PluginMetadata
from antiphon.plugins.hooks import Moment, Said
from antiphon.providers.base import ChatMessage, File, ModelRequest, Provider
from antiphon.providers.chain import Chain, ModelLink, fallbacks
from antiphon.providers.registry import ProviderRegistry
from antiphon.providers.sound import length_of
from antiphon.providers.whole import whole_text
from antiphon.runtime.tasks import gather_with_concurrency
from antiphon.storage.files import FileStore
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import get_metrics

AT_ONCE = 4
"""Sounds of one message that are listened to side by side."""

LONGEST_TEXT = 50_000
"""Characters of one sound that are kept."""

_WHY: dict[str, str] = {
    "auth": "the key for it is not accepted, which is for the operator to mend",
    "quota": "the paid quota for it is used up, which is for the operator to mend",
    "budget": "the budget for today does not reach for it",
    "invalid": "it is no sound that can be read, or the settings name the wrong model",
    "too_long": "it is too long",
    "filtered": "the content filter stopped it",
}
_NO_TEXT = "which could not be turned into text"
_LATER = "who does that cannot be reached or is busy; send it again in a moment, or write"

log = get_logger(__name__)


class VoiceSettings(BaseModel):
    """The section `plugins.voice`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str = Field("openai", description="Who listens: a provider of `providers` with OpenAI's API.")
    model: str = Field("whisper-1", description="The vendor's name of the model.")
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = Field(
        None, description="What is spoken, as two letters; heard when not set."
    )
    prompt: str = Field("", max_length=2_000, description="Names and words that occur, for their spelling.")
    max_bytes: int = Field(25_000_000, ge=1, le=64_000_000, description="Of one sound.")
    max_seconds: float = Field(900.0, gt=0, description="Of one sound, where its length can be seen (WAV, Ogg).")
    seconds: float = Field(60.0, gt=0, le=600, description="How long all sounds of a message may take.")


class HeardSound(Struct, frozen=True, kw_only=True):
    """What became of a sound: its words, or `problem` says why there are none."""

    sound: Attachment
    text: str = ""
    problem: str = ""

    @property
    def told(self) -> str:
        """What a model reads in its place."""
        return self.text or mention(self.sound.name, self.sound.media_type, _NO_TEXT)


class Voice(BasePlugin):
    """Turns the sounds of a message into text, which is stored and shown with it."""

    metadata = PluginMetadata(
        name="voice",
        version="1.0.0",
        author="Antiphon",
        description="Turns voice notes into text.",
        capabilities=("transcription",),
    )
    section = VoiceSettings
    priority = 1_000  # what others look at is what was said

    def register(self, house: PluginHouse) -> None:
        self._settings: VoiceSettings = house.settings
        self._services = house.services
        self.seconds = self._settings.seconds + 5.0

    async def initialize(self) -> None:
        await super().initialize()
        providers = self._services.resolve(ProviderRegistry)
        self._ears: Provider = providers.transcriber(self._settings.provider, self._settings.language)
        self._files: FileStore = self._services.resolve(FileStore)
        self._budgets = self._services.resolve(Budgets)
        self._given_up = fallbacks(get_metrics())

    async def shutdown(self) -> None:
        await self._ears.stop()
        await super().shutdown()

    async def message_arrived(self, moment: Moment, said: Said) -> Said | None:
        sounds = [file for file in moment.turn.attachments if _is_sound(file)]
        if not sounds:
            return None
        until = asyncio.get_running_loop().time() + self._settings.seconds
        heard = await gather_with_concurrency(AT_ONCE, [self._listen(moment, sound, until) for sound in sounds])
        names = ", ".join(each.sound.name for each in heard if each.text)
        problems = [each.problem for each in heard if each.problem]
        if not names and not said.text.strip() and len(sounds) == len(moment.turn.attachments):
            raise NotAllowedError(" ".join(problems))
        notices = [NoticePart(code="transcribed", text=f"Transcribed from {names}.")] if names else []
        notices += [NoticePart(code="not_transcribed", text=problem) for problem in problems]
        words = filter(None, [said.text.strip(), *(each.told for each in heard)])
        return Said(text="\n\n".join(words), notices=(*said.notices, *notices))

    async def context_built(self, moment: Moment, messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...] | None:
        """Models read what was said, and are not paid for hearing it as well. What a client of the OpenAI API brings
        along is kept nowhere and was not listened to: that they hear."""
        if not moment.turn.message_id or not any(_is_sound(file) for message in messages for file in message.files):
            return None
        return tuple(
            structs.replace(message, files=tuple(file for file in message.files if not _is_sound(file)))
            for message in messages
        )

    async def _listen(self, moment: Moment, sound: Attachment, until: float) -> HeardSound:
        try:
            async with asyncio.timeout_at(until):
                text = await self._words(moment, await self._read(sound))
        except TimeoutError:
            problem = f"“{sound.name}” was not turned into text: it took too long; send it again, or write."
        except ProcessingError as error:
            problem = f"“{sound.name}” was not turned into text: {error.public}."
        else:
            if text:
                return HeardSound(sound=sound, text=text[:LONGEST_TEXT])
            problem = f"“{sound.name}” was not turned into text: nobody speaks in it."
        return HeardSound(sound=sound, problem=problem)

    async def _read(self, sound: Attachment) -> File:
        if sound.size > self._settings.max_bytes:
            raise ProcessingError(f"it has {sound.size:,} bytes, and {self._settings.max_bytes:,} are the most")
        data = await self._files.read(sound.id) if sound.id is not None else None
        if data is None:
            raise ProcessingError("it is not kept here")
        seconds = length_of(data)
        if seconds is not None and seconds > self._settings.max_seconds:
            raise ProcessingError(f"it lasts {seconds:.0f} seconds, and {self._settings.max_seconds:.0f} are the most")
        return File(name=sound.name, media_type=sound.media_type, data=data)

    async def _words(self, moment: Moment, sound: File) -> str:
        turn, settings = moment.turn, self._settings
        link = ModelLink(f"{settings.provider}:{settings.model}", self._ears, settings.model)
        paid = self._budgets.of_turn(Chain([link], self._given_up), turn)
        question = ChatMessage(role="user", text=settings.prompt, files=(sound,))
        try:
            said = await whole_text(paid, ModelRequest(model=settings.model, messages=(question,)))
        except ProviderError as error:
            log.warning("voice.not_transcribed", turn_id=turn.id, kind=error.kind, error=str(error))
            raise ProcessingError(_WHY.get(error.kind, _LATER)) from error
        return said.strip()


def _is_sound(file: Attachment | File) -> bool:
    return file.media_type.startswith("audio/")

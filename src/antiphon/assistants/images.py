"""The tool that makes images: a model of a vendor draws, and the file is the person's, named by the conversation."""

import asyncio
import re

from antiphon.assistants.budgets import Budgets
from antiphon.domain import Attachment, Upload
from antiphon.errors import NotFoundError, ProviderError, ResourceError, ToolError, ValidationError
from antiphon.files.inline import from_base64
from antiphon.files.keeper import FILE_URL, FileKeeper
from antiphon.files.kinds import SHOWN, media_type_of
from antiphon.providers.base import ChatMessage, ModelRequest
from antiphon.providers.chain import Chain, ModelLink, fallbacks
from antiphon.providers.registry import ProviderRegistry
from antiphon.providers.whole import whole_text
from antiphon.runtime.base import Injected
from antiphon.runtime.threads import run_async
from antiphon.storage.base import ConversationStore
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import get_metrics
from antiphon.tools.base import ToolContext, tool
from antiphon.tools.config import ImageSettings

LONGEST_PROMPT = 4_000
"""Characters, which every vendor takes."""

_WORD = re.compile(r"\w+")
_WORDS = 8
_GONE = "This conversation does not exist any more, so there is no place for an image."
_NO_IMAGE = "No image was made: the vendor gave something that is none."
_WHY: dict[str, str] = {
    "auth": "The key for it is not accepted, which is for the operator to mend.",
    "quota": "The paid quota for it is used up, which is for the operator to mend.",
    "invalid": "The vendor does not accept this prompt or size, or the settings name the wrong model.",
    "too_long": "The prompt is too long.",
    "filtered": "The content filter stopped it.",
    "retired": "The service for it was shut down, which is for the operator to mend.",
}
_LATER = "Who makes images cannot be reached or is busy; try it again in a moment."
_SAYS_ITSELF: frozenset[str] = frozenset({"budget", "protocol"})

log = get_logger(__name__)


class ImageMaker(Injected):
    """Has images made by the model of `settings`, as people pay for any other. They are kept by `files`.

    Raises `ConfigError` or `ModuleError` for a vendor that makes none.
    """

    def __init__(
        self,
        conversations: ConversationStore,
        files: FileKeeper,
        providers: ProviderRegistry,
        budgets: Budgets,
        settings: ImageSettings,
    ) -> None:
        self._conversations = conversations
        self._files = files
        self._providers = providers
        self._budgets = budgets
        self._settings = settings
        self._given_up = fallbacks(get_metrics())
        self._link()

    async def make(self, prompt: str, size: str, context: ToolContext) -> Attachment:
        """The kept image; an empty `size` is the usual one. Raises `ToolError` saying why there is none."""
        if not 0 < len(prompt.strip()) <= LONGEST_PROMPT:
            raise ToolError(f"Say in 1 to {LONGEST_PROMPT:,} characters what the image shows.")
        sizes = self._settings.sizes
        if size and size not in sizes:
            raise ToolError(f"There is no size {size[:20]!r}; there is {', '.join(sizes)}.")
        conversation = await self._conversations.get(context.conversation_id)
        if conversation is None:
            raise ToolError(_GONE)
        try:
            async with asyncio.timeout(self._settings.seconds):
                drawn = await self._drawn(prompt, size or sizes[0], context, conversation.adapter)
                data = await run_async(_bytes_of, drawn)
        except TimeoutError:
            raise ToolError(f"The image was not there within {self._settings.seconds:g} seconds.") from None
        return await self._keep(data, prompt, context)

    def _link(self) -> ModelLink:
        settings = self._settings
        name, _, model = (settings.model or "").partition(":")
        painter = self._providers.painter(name, {"quality": settings.quality, **settings.body})
        return ModelLink(f"{name}:{model}", painter, model)

    async def _drawn(self, prompt: str, size: str, context: ToolContext, adapter: str) -> str:
        link = self._link()
        paid = self._budgets.metered(
            Chain([link], self._given_up),
            person_id=context.person_id,
            conversation_id=context.conversation_id,
            adapter=adapter,
        )
        question = ChatMessage(role="user", text=prompt)
        try:
            return await whole_text(paid, ModelRequest(model=link.model, messages=(question,), size=size))
        except ProviderError as error:
            log.warning("image.not_made", turn_id=context.turn_id, kind=error.kind, error=str(error))
            why = error.public if error.kind in _SAYS_ITSELF else _WHY.get(error.kind, _LATER)
            raise ToolError(f"No image was made. {why}") from error

    async def _keep(self, data: bytes, prompt: str, context: ToolContext) -> Attachment:
        """Nothing of the vendor's is believed: the bytes say what they are, and have to be what a page shows."""
        try:
            kind = media_type_of("image", "image/png", data)
        except ValidationError:
            raise ToolError(_NO_IMAGE) from None
        if kind not in SHOWN:
            raise ToolError(_NO_IMAGE)
        upload = Upload(name=f"{_said(prompt)}.{kind.partition('/')[2]}", media_type=kind, data=data)
        try:
            return await self._files.keep_for(context.conversation_id, context.person_id, upload)
        except (NotFoundError, ResourceError) as error:
            raise ToolError(f"The image was made and could not be kept. {error.public}") from error


def _bytes_of(text: str) -> bytes:
    try:
        return from_base64(text)
    except ValueError:
        raise ToolError(_NO_IMAGE) from None


def _said(prompt: str) -> str:
    """The first words of a prompt, without anything that means something in Markdown."""
    return " ".join(_WORD.findall(prompt)[:_WORDS])[:80].replace("_", " ").strip() or "image"


@tool(timeout=630)  # the time for an image is a setting, and shorter
async def generate_image(prompt: str, images: ImageMaker, context: ToolContext, size: str = "") -> str:
    """Make an image. It is shown where your answer has the Markdown line that you are given: repeat that line as it is.

    Args:
        prompt: All that the image shows and in which style, in whole sentences.
        size: Width and height in pixels such as 1024x1024; empty for the usual one.
    """
    kept = await images.make(prompt, size, context)
    return f"![{_said(prompt)}]({FILE_URL}{kept.id})"

"""The web page and every other Phoenix client: replies go out over the conversation's topic.

What comes in reaches `deliver` through the channels of `web/channels/`, so there is nothing to connect to here.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from antiphon.adapters.base import Capabilities, Deliver
from antiphon.domain import Attachment, ChannelMessage, Message, Target, Upload
from antiphon.errors import ValidationError
from antiphon.files.inline import from_base64

_DATA = re.compile(r"data:([^,;]{0,130});base64,", re.IGNORECASE)


class WebAdapter:
    """`show` broadcasts a message on its conversation's topic. A client knows a message by its id, so that showing
    it twice does no harm."""

    name = "web"
    capabilities = Capabilities(idempotent=True, reads_store=True)

    def __init__(self, show: Callable[[Message], None]) -> None:
        self._show = show

    async def start(self, deliver: Deliver) -> None:
        """Nothing to open: the server that carries the sockets is started by the workspace."""

    async def stop(self) -> None:
        """Nothing to close."""

    def parse_message(self, raw: Mapping[str, Any]) -> ChannelMessage:
        """Reads the payload of a `message` event; `place`, `account`, `sender` and `key` are set by the channel."""
        text = raw.get("text")
        if not isinstance(text, str):
            raise ValidationError("`text` must be a string.")
        files = raw.get("attachments") or []
        if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
            raise ValidationError("`attachments` must be a list of objects with an `id`, or a `url` that holds a file.")
        return ChannelMessage(
            adapter=self.name,
            place=raw["place"],
            account=raw["account"],
            sender=raw["sender"],
            key=raw["key"],
            text=text,
            attachments=tuple(_attachment(file) for file in files if "id" in file),
            uploads=tuple(_upload(file) for file in files if "id" not in file),
        )

    async def send_message(self, target: Target, message: Message) -> None:
        """The topic reaches whoever is there; whoever is not finds the message in the store."""
        self._show(message)


def _attachment(file: Mapping[str, Any]) -> Attachment:
    """A file that is kept already: what it is, the house knows."""
    return Attachment(id=_text(file, "id"), name=_text(file, "name"), media_type="", size=0)


def _upload(file: Mapping[str, Any]) -> Upload:
    """A small file in the message itself. An address elsewhere is never fetched."""
    found = _DATA.match(_text(file, "url"))
    if found is None:
        raise ValidationError(
            "An attachment has the `id` that POST /api/v1/files gave, or a `url` of the form data:type/subtype;base64,…"
        )
    try:
        data = from_base64(found.string[found.end() :])
    except ValueError:
        raise ValidationError("The `url` of this attachment holds no base64.") from None
    return Upload(name=_text(file, "name"), media_type=found[1], data=data)


def _text(file: Mapping[str, Any], field: str) -> str:
    value = file.get(field, "")
    if not isinstance(value, str):
        raise ValidationError(f"`{field}` of an attachment must be a string.")
    return value

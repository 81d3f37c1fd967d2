"""A conversation with a server, over the same socket as every other client."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from msgspec import Struct

from antiphon.cli.chat.attach import upload
from antiphon.cli.chat.events import Event, LinkChanged, NotSent, Sent
from antiphon.cli.chat.transcript import Transcript
from antiphon.cli.printable import printable
from antiphon.conversation.router import TEXT_LIMIT
from antiphon.domain import new_id
from antiphon.errors import AntiphonError, NotFoundError, ServiceError
from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.phoenix import PhoenixClient, Status
from antiphon.realtime.client.push import PushError
from antiphon.realtime.transports.frames import TOO_BIG
from antiphon.realtime.wire.base import ERROR

PAST = 6
"""Messages shown of a conversation that is gone on with."""


class Opening(Struct, frozen=True, kw_only=True):
    """Who answers, and the last messages when there are any."""

    assistant: str
    model: str
    past: list[Mapping[str, Any]]


class Talk:
    """Sends, cancels, and tells what happens. It comes back after every break, and nothing is lost or told twice.

    Everything runs in one event loop, `tell` too. A conversation begins with the first message unless one is named.
    """

    def __init__(self, url: str, tell: Callable[[Event], None], *, conversation: str | None, assistant: str | None):
        self.conversation = conversation
        self._url = url.rstrip("/")
        self._assistant = assistant
        self._tell = tell
        self._transcript = Transcript()
        self._client = PhoenixClient(f"{self._url}/socket", on_status=self._on_status)
        self._channel: ClientChannel | None = None
        self._key = new_id()
        self._ready = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._held: list[Callable[[], list[Event]]] = []
        self._lost = False
        self._too_big = False
        self._turn: str | None = None

    async def open(self) -> Opening:
        """Connects. Raises `ServiceError` when there is no server, `NotFoundError` for a name it does not know."""
        await self._client.connect()
        self._ready.set()
        assistants = (await self._get("assistants"))["items"]
        default = (await self._get("models"))["default"]
        past: list[Mapping[str, Any]] = []
        name, model = self._assistant, None
        if self.conversation is not None:
            reply = await self._join(self.conversation)
            past = sorted(reply["messages"], key=lambda message: (message["ticket"], message["position"]))[-PAST:]
            name, model = reply["conversation"]["assistant"], reply["conversation"]["model"]
        known = {item["name"]: item for item in assistants}
        if name is not None and name not in known and self.conversation is None:
            raise NotFoundError(f"There is no assistant called {name!r}. There is: {', '.join(known)}.")
        found = known.get(name or "") or assistants[0]
        return Opening(assistant=found["name"], model=model or found["model"] or default, past=past)

    async def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        await self._client.close()

    def send(self, text: str, files: Sequence[Path] = ()) -> None:
        """Takes a message with files; `Sent` or `NotSent` follows. While the connection is down it waits for it to come
        back."""
        self._sending = asyncio.create_task(self._send(text, files))

    async def cancel(self) -> None:
        """Stops the answer to the last message, or gives up sending it."""
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            self._release(NotSent(reason="Given up. It may have arrived, if the connection broke while it was sent."))
        elif self._channel is not None and self._turn is not None:
            # A turn that is over is refused, and a lost connection answers nothing: both need no words.
            with suppress(PushError, ServiceError, TimeoutError):
                await self._channel.push("cancel", {"turn_id": self._turn})

    # --- sending --------------------------------------------------------------------------------------------------

    async def _send(self, text: str, files: Sequence[Path]) -> None:
        if len(text) > TEXT_LIMIT:
            # The server would close the connection over it, again and again.
            self._release(NotSent(reason=f"The message has {len(text):,} characters; {TEXT_LIMIT:,} are the most."))
            return
        message: dict[str, Any] = {"text": text, "client_id": new_id()}
        try:
            if files:
                message["attachments"] = [await upload(self._url, path) for path in files]
        except AntiphonError as error:
            self._release(NotSent(reason=printable(error.public)))
            return
        while True:
            await self._ready.wait()
            self._too_big = False
            try:
                channel = self._channel or await self._begin()
                receipt = await channel.push("message", message)
            except PushError as error:
                self._release(NotSent(reason=_reason(error)))
                return
            except NotFoundError as error:
                self._release(NotSent(reason=error.public))
                return
            except (ServiceError, TimeoutError):
                # The same key again: the server knows a message that it has taken.
                await asyncio.sleep(0.05)
                if self._too_big:
                    self._release(NotSent(reason="The server takes no message as long as this one. Send less at once."))
                    return
                continue
            self._turn = receipt["turn_id"]
            self._transcript.own(receipt["message_id"], receipt["turn_id"])
            self._release(Sent(turn_id=receipt["turn_id"]))
            return

    async def _begin(self) -> ClientChannel:
        """Makes the conversation, once however often it is tried."""
        wish = {"client_id": self._key} | ({"assistant": self._assistant} if self._assistant else {})
        door = self._client.channel("conversation:new", wish)
        self.conversation = (await door.join())["conversation"]["id"]
        await door.leave()
        await self._join(str(self.conversation))
        assert self._channel is not None  # noqa: S101 - joined
        return self._channel

    # --- what comes -----------------------------------------------------------------------------------------------

    async def _join(self, conversation: str) -> Mapping[str, Any]:
        def since() -> Mapping[str, Any]:
            return {} if self._transcript.since is None else {"since": self._transcript.since}

        channel = self._client.channel(f"conversation:{conversation}", since)
        channel.on_joined = self._on_joined
        channel.on(ERROR, lambda *_: self._ready.clear())
        channel.on(None, lambda name, payload: self._pass(partial(self._transcript.take, name, payload)))
        try:
            reply: Mapping[str, Any] = await channel.join()
        except PushError as error:
            raise NotFoundError(_reason(error)) from error
        self._channel = channel
        return reply

    def _on_status(self, status: Status) -> None:
        if status == "reconnecting":
            self._ready.clear()
            self._too_big = self._client.close_code == TOO_BIG
            if not self._lost:
                self._lost = True
                self._tell(LinkChanged(up=False))
        elif status == "connected" and self._channel is None:
            self._back()

    def _on_joined(self, reply: Mapping[str, Any]) -> None:
        self._back()
        self._pass(partial(self._transcript.joined, reply))

    def _back(self) -> None:
        self._ready.set()
        if self._lost:
            self._lost = False
            self._tell(LinkChanged(up=True))

    def _pass(self, read: Callable[[], list[Event]]) -> None:
        """While a message is on its way, what comes is held: only its receipt tells which message is ours."""
        self._held.append(read)
        if self._sending is None or self._sending.done():
            self._release()

    def _release(self, *first: Event) -> None:
        held, self._held = self._held, []
        for event in first:
            self._tell(event)
        for read in held:
            for event in read():
                self._tell(event)

    async def _get(self, what: str) -> Any:
        url = f"{self._url}/api/v1/{what}"
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
                session.get(url, raise_for_status=True) as response,
            ):
                return await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceError(f"{url} gave no answer that an Antiphon gives: is {self._url} one?") from error


def _reason(refusal: PushError) -> str:
    """The server's own sentence."""
    reason = refusal.response.get("reason") if isinstance(refusal.response, Mapping) else None
    return printable(reason or refusal.public)

"""A long-poll session as a client holds one."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from antiphon.testing.conformance.guest import Heard, Mismatch, insist, shown, written
from antiphon.testing.conformance.raw import HttpAnswer

NDJSON = "application/x-ndjson"

Ask = Callable[..., Awaitable[HttpAnswer]]


class Poller:
    """Keeps the token, and what polls brought that nobody has asked for yet."""

    def __init__(self, ask: Ask, params: Mapping[str, str]) -> None:
        self._ask = ask
        self._params = dict(params)
        self._waiting: list[Heard] = []
        self._refs = 0
        self.token = ""

    async def open(self) -> None:
        """Makes the session."""
        answer = await self.get()
        body = answer.json()
        insist(isinstance(body, dict) and body.get("status") == 410 and body.get("token"), "a new session", answer)
        self.token = body["token"]

    async def get(self, **headers: str) -> HttpAnswer:
        """One poll."""
        answer: HttpAnswer = await self._ask("GET", "/longpoll", self._params, headers=self._headers(headers))
        return answer

    async def post(self, body: str | bytes, kind: str = NDJSON, **headers: str) -> HttpAnswer:
        """Sends a body as it is."""
        data = body.encode() if isinstance(body, str) else body
        sent = {**self._headers(headers), "Content-Type": kind} if kind else self._headers(headers)
        answer: HttpAnswer = await self._ask("POST", "/longpoll", self._params, headers=sent, body=data)
        return answer

    async def send(self, *frames: list[Any]) -> None:
        """Posts frames, which have to be taken."""
        answer = await self.post("\n".join(written(each) for each in frames))
        insist(answer.status == 200 and status_of(answer) == 200, "a post that is taken", answer)

    async def hear(self) -> Heard:
        """The next frame, polling as long as there is none."""
        for _ in range(10):
            if self._waiting:
                return self._waiting.pop(0)
            answer = await self.get()
            insist(status_of(answer) in {200, 204}, "a poll of a living session", answer)
            self._waiting += frames_of(answer)
        raise Mismatch("a frame", "nothing in ten polls")

    async def join(self, topic: str, payload: Any = None) -> None:
        """Joins the topic."""
        ref = self.new_ref()
        await self.send([ref, ref, topic, "phx_join", {} if payload is None else payload])
        heard = await self.hear()
        insist(heard.event == "phx_reply" and heard.status == "ok", "an ok reply to the join", heard)

    def new_ref(self) -> str:
        """A ref that was not used in this session."""
        self._refs += 1
        return str(self._refs)

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {"X-Phoenix-Longpoll-Token": self.token} if self.token else {}
        return {**own, **{name.replace("_", "-"): value for name, value in more.items()}}


def status_of(answer: HttpAnswer) -> Any:
    """The status inside the body: the real one (LP-1)."""
    body = answer.json()
    return body.get("status") if isinstance(body, dict) else None


def frames_of(answer: HttpAnswer) -> list[Heard]:
    """The frames that a poll brought; each is a text with JSON in it."""
    found = []
    for text in (answer.json() or {}).get("messages", ()):
        value = msgspec.json.decode(text) if isinstance(text, str) else None
        if not isinstance(value, list) or len(value) != 5:
            raise Mismatch("frames as texts", shown(text))
        join_ref, ref, topic, event, payload = value
        found.append(Heard(join_ref, ref, topic, event, payload, text.encode()))
    return found

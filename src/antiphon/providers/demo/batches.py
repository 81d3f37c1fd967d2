"""Batches of the demo server, as OpenAI and Anthropic have them.

A batch takes a step whenever it is asked for. A request with a directive that refuses becomes an error of its own, and
one with `!hang` is never carried out.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from antiphon.errors import ValidationError
from antiphon.providers.demo.engine import perform
from antiphon.providers.demo.faults import invalid, refusal
from antiphon.providers.demo.jobs import DemoJobs, JobError
from antiphon.providers.demo.wire.anthropic import AnthropicWire
from antiphon.providers.demo.wire.base import Wire
from antiphon.providers.demo.wire.openai_chat import OpenAIChatWire

_STEPS = ("validating", "in_progress", "completed")
_ANTHROPIC = "/v1/messages/batches"

Outcome = tuple[str, int, Any]
"""The id of a request, the HTTP status of its answer, and its body."""


class DemoBatches:
    """The batches of one demo server, whose files are those of `jobs`."""

    def __init__(self, jobs: DemoJobs) -> None:
        self._jobs = jobs
        self._openai: dict[str, dict[str, Any]] = {}
        self._anthropic: dict[str, dict[str, Any]] = {}
        self._results: dict[str, bytes] = {}
        self._number = count(1)

    def routes(self) -> dict[tuple[str, str], Callable[[web.Request], Any]]:
        """Handlers by method and path. They raise `JobError` for what is refused."""
        return {
            ("POST", "/v1/batches"): self._submit,
            ("GET", "/v1/batches/{id}"): self._get,
            ("POST", "/v1/batches/{id}/cancel"): self._cancel,
            ("POST", _ANTHROPIC): self._submit_messages,
            ("GET", f"{_ANTHROPIC}/{{id}}"): self._get_messages,
            ("GET", f"{_ANTHROPIC}/{{id}}/results"): self._results_of_messages,
            ("POST", f"{_ANTHROPIC}/{{id}}/cancel"): self._cancel_messages,
        }

    # --- OpenAI's ---------------------------------------------------------------------------------------------------

    async def _submit(self, request: web.Request) -> Any:
        body = msgspec.json.decode(await request.read(), type=dict[str, Any])
        if body.get("input_file_id") not in self._jobs.files:
            raise JobError(invalid("There is no such input_file_id.", 404))
        batch = {"id": f"batch-{next(self._number)}", "object": "batch", "status": _STEPS[0], **body}
        self._openai[batch["id"]] = batch
        return batch

    async def _get(self, request: web.Request) -> Any:
        batch = _found(self._openai, request)
        if batch["status"] in _STEPS[:-1]:
            batch["status"] = _STEPS[_STEPS.index(batch["status"]) + 1]
            if batch["status"] == "completed":
                self._complete(batch)
        return batch

    def _complete(self, batch: dict[str, Any]) -> None:
        try:
            rows = [msgspec.json.decode(line) for line in self._jobs.files[batch["input_file_id"]].splitlines()]
            asked = [(row["custom_id"], row["body"]) for row in rows]
        except (msgspec.DecodeError, LookupError, TypeError):
            batch |= {"status": "failed", "errors": {"data": [{"message": "The file holds no requests."}]}}
            return
        done = [
            (status, {"custom_id": place, "response": {"status_code": status, "body": body}, "error": None})
            for place, status, body in _answers(OpenAIChatWire(), asked)
        ]
        good, bad = (_lines(row for status, row in done if (status < 400) is wanted) for wanted in (True, False))
        batch["output_file_id"] = self._jobs.keep(good) if good else None
        batch["error_file_id"] = self._jobs.keep(bad) if bad else None

    async def _cancel(self, request: web.Request) -> Any:
        batch = _found(self._openai, request)
        batch["status"] = "cancelled"
        return batch

    # --- Anthropic's ------------------------------------------------------------------------------------------------

    async def _submit_messages(self, request: web.Request) -> Any:
        body = msgspec.json.decode(await request.read(), type=dict[str, Any])
        identity = f"msgbatch-{next(self._number)}"
        asked = [(row["custom_id"], row["params"]) for row in body["requests"]]
        done = {place: (status, found) for place, status, found in _answers(AnthropicWire(), asked)}
        self._results[identity] = _lines(_message_line(place, done.get(place)) for place, _ in asked)
        self._anthropic[identity] = {"id": identity, "type": "message_batch", "processing_status": "in_progress"}
        return self._anthropic[identity]

    async def _get_messages(self, request: web.Request) -> Any:
        batch = _found(self._anthropic, request)
        told = dict(batch)
        batch["processing_status"] = "ended"
        return told

    async def _results_of_messages(self, request: web.Request) -> Any:
        return web.Response(body=self._results[_found(self._anthropic, request)["id"]])

    async def _cancel_messages(self, request: web.Request) -> Any:
        batch = _found(self._anthropic, request)
        rows = map(msgspec.json.decode, self._results[batch["id"]].splitlines())
        self._results[batch["id"]] = _lines(_message_line(row["custom_id"], None, "canceled") for row in rows)
        batch["processing_status"] = "ended"
        return batch


def _answers(wire: Wire, asked: list[tuple[str, Any]]) -> Iterator[Outcome]:
    for place, body in asked:
        try:
            read = wire.read(msgspec.json.encode(body), {})
        except ValidationError as error:
            reply = wire.refuse(invalid(str(error)))
            yield place, reply.status, msgspec.json.decode(reply.body)
            continue
        script = perform(read.request)
        if script.fault is not None and script.fault.kind == "hang":
            continue
        if script.fault is not None and script.fault.kind == "refusal":
            reply = wire.refuse(refusal(script.fault.refusal))
            yield place, reply.status, msgspec.json.decode(reply.body)
        else:
            yield place, 200, msgspec.json.decode(wire.whole(read, script.events))


def _message_line(place: str, done: tuple[int, Any] | None, otherwise: str = "expired") -> dict[str, Any]:
    if done is None:
        return {"custom_id": place, "result": {"type": otherwise}}
    status, body = done
    result = {"type": "succeeded", "message": body} if status < 400 else {"type": "errored", "error": body}
    return {"custom_id": place, "result": result}


def _lines(rows: Any) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _found(batches: dict[str, dict[str, Any]], request: web.Request) -> dict[str, Any]:
    batch = batches.get(request.match_info["id"])
    if batch is None:
        raise JobError(invalid("There is no such batch.", 404))
    return batch

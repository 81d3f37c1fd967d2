"""Files and fine-tuning of the demo server, in OpenAI's protocol.

A job takes a step whenever it is asked for, so that tests wait for nothing. What a job's `suffix` says goes wrong: one
that is `fails` fails while it learns, one that is `busy` is refused with 429 twice, and of one that is `cut` the
connection breaks when it is asked for, twice.
"""

import time
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from antiphon.providers.base import DEMO
from antiphon.providers.demo.faults import Refusal, invalid, refusal

_STEPS = ("validating_files", "queued", "running", "succeeded")
_FEWEST = 10
"""Rows that a job needs, as OpenAI has it."""


class JobError(Exception):
    """Carries a refusal out of a handler."""

    def __init__(self, refused: Refusal) -> None:
        super().__init__(refused.public)
        self.refusal = refused


class DemoJobs:
    """The files and jobs of one demo server."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._number = count(1)
        self._refused: dict[str, int] = {}

    def routes(self) -> dict[tuple[str, str], Callable[[web.Request], Any]]:
        """Handlers by method and path. They raise `JobError` for what is refused."""
        jobs = "/v1/fine_tuning/jobs"
        return {
            ("POST", "/v1/files"): self._upload,
            ("GET", "/v1/files/{id}/content"): self._content,
            ("POST", jobs): self._start,
            ("GET", jobs): self._list,
            ("GET", f"{jobs}/{{id}}"): self._get,
            ("GET", f"{jobs}/{{id}}/events"): self._tell,
            ("POST", f"{jobs}/{{id}}/cancel"): self._cancel,
        }

    def serves(self, model: str) -> bool:
        """Whether a job has made this model."""
        return any(job["fine_tuned_model"] == model for job in self._jobs.values())

    def keep(self, data: bytes) -> str:
        """The id of a new file."""
        identity = f"file-{next(self._number)}"
        self.files[identity] = data
        return identity

    async def _upload(self, request: web.Request) -> Any:
        form = await request.post()
        file, purpose = form.get("file"), form.get("purpose")
        if not isinstance(file, web.FileField) or not isinstance(purpose, str):
            raise JobError(invalid("A file needs `file` and `purpose`."))
        data = file.file.read()
        return {"id": self.keep(data), "object": "file", "bytes": len(data), "purpose": purpose}

    async def _content(self, request: web.Request) -> Any:
        data = self.files.get(request.match_info["id"])
        if data is None:
            raise JobError(invalid("There is no such file.", 404))
        return web.Response(body=data, content_type="application/octet-stream")

    async def _start(self, request: web.Request) -> Any:
        body = msgspec.json.decode(await request.read(), type=dict[str, Any])
        suffix = body.get("suffix") or ""
        if suffix == "busy" and self._refused.setdefault(suffix, 0) < 2:
            self._refused[suffix] += 1
            raise JobError(refusal("429"))
        if body.get("model") != DEMO:
            raise JobError(invalid(f"The model {body.get('model')!r} cannot be trained.", 404, "model_not_found"))
        rows = self.files.get(body.get("training_file", ""))
        if rows is None:
            raise JobError(invalid("There is no such training_file.", 404))
        identity = f"ftjob-{next(self._number)}"
        job = {
            "object": "fine_tuning.job",
            "id": identity,
            "model": DEMO,
            "created_at": int(time.time()),
            "status": _STEPS[0],
            "fine_tuned_model": None,
            "trained_tokens": None,
            "error": None,
            "suffix": suffix,
            "training_file": body["training_file"],
        }
        self._jobs[identity], self._events[identity] = job, []
        self._say(identity, f"Created fine-tuning job: {identity}")
        return job

    async def _list(self, _: web.Request) -> Any:
        return {"object": "list", "data": list(reversed(self._jobs.values())), "has_more": False}

    async def _get(self, request: web.Request) -> Any:
        job = self._job(request)
        if job["suffix"] == "cut" and self._refused.setdefault("cut", 0) < 2:  # clients hide the first from themselves
            self._refused["cut"] += 1
            assert request.transport is not None  # noqa: S101 - it is being answered
            request.transport.abort()
        self._step(job)
        return job

    async def _tell(self, request: web.Request) -> Any:
        return {"object": "list", "data": list(reversed(self._events[self._job(request)["id"]])), "has_more": False}

    async def _cancel(self, request: web.Request) -> Any:
        job = self._job(request)
        if job["status"] in {"succeeded", "failed", "cancelled"}:
            raise JobError(invalid(f"The job is {job['status']} already."))
        job["status"] = "cancelled"
        self._say(job["id"], "The job was cancelled")
        return job

    def _job(self, request: web.Request) -> dict[str, Any]:
        job = self._jobs.get(request.match_info["id"])
        if job is None:
            raise JobError(invalid("There is no such fine-tuning job.", 404))
        return job

    def _step(self, job: dict[str, Any]) -> None:
        if job["status"] not in _STEPS[:-1]:
            return
        problem = _problem(self.files[job["training_file"]])
        if problem is None and job["suffix"] == "fails" and job["status"] == "running":
            problem = "The job failed, as its suffix asked."
        if problem is not None:
            job |= {"status": "failed", "error": {"code": "invalid_training_file", "message": problem}}
            self._say(job["id"], problem, "error")
            return
        job["status"] = _STEPS[_STEPS.index(job["status"]) + 1]
        self._say(job["id"], f"The job is {job['status']}")
        if job["status"] == "succeeded":
            name = f"ft:{DEMO}:antiphon:{job['suffix']}:{job['id']}"
            job |= {"fine_tuned_model": name, "trained_tokens": len(self.files[job["training_file"]]) // 4}

    def _say(self, job_id: str, text: str, level: str = "info") -> None:
        event = {"object": "fine_tuning.job.event", "id": f"ftevent-{next(self._number):06}", "level": level}
        self._events[job_id].append(event | {"created_at": int(time.time()), "message": text})


def _problem(data: bytes) -> str | None:
    """What is wrong with rows of examples."""
    rows = [line for line in data.split(b"\n") if line.strip()]
    if len(rows) < _FEWEST:
        return f"Training file has {len(rows)} example(s), but must have at least {_FEWEST} examples"
    for number, row in enumerate(rows, 1):
        try:
            messages = msgspec.json.decode(row)["messages"]
            if messages[-1]["role"] != "assistant":
                return f"Invalid file format. Example {number}: the last message must be of the assistant"
        except (msgspec.DecodeError, LookupError, TypeError):
            return f"Invalid file format. Example {number} has no messages"
    return None

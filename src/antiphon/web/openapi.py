"""What `/openapi.json` says of errors: problem details (RFC 9457) for exactly the statuses that a route can answer."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

PROBLEM_TYPE = "application/problem+json"

RETRY_AFTER_SECONDS = 2
"""When to ask again what could not be answered now: a store that was busy or full for a moment is back by then."""

_ABOUT = """The record of conversations, for programs. What happens live goes over the socket, see the page *Live*.

Errors are problem details (RFC 9457). Besides those listed, a method that a path does not have is answered with 405,
and a request that is too slow or too large to be read at all with 408 or 431."""

_REASONS: Mapping[int, str] = {
    400: "The body is no text.",
    403: "This host name is not ours, another site's page asked for a change, or it is not for everybody.",
    404: "There is nothing of this id, or not for this person.",
    408: "The file did not come in time.",
    409: "The Idempotency-Key came with another body before, or its first request is not answered yet.",
    413: "The body is larger than `server.max_body_bytes`, or a file than there is room for.",
    415: "A file is something else than its type says.",
    416: "The part that is asked for begins behind the end of the file; `Content-Range` says where that is.",
    422: "A parameter or the body is not acceptable; `errors` says which and why.",
    503: "The store, the cache or another node cannot be used now.",
}


class WrongField(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(examples=["query.limit"])
    what: str = Field(examples=["Input should be greater than or equal to 1"])


class ProblemDetails(BaseModel):
    """An error: one sentence about what happened and what to do."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(examples=["This conversation does not exist, or no longer does."])
    code: str = Field(default="", description="Name of the error for programs.", examples=["not_found"])
    errors: list[WrongField] = Field(default=[], description="Where a request is wrong.")


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can answer with these errors."""
    return {status: _failure(status) for status in statuses}


def describe(app: FastAPI) -> None:
    """Lets `app` describe its errors as it answers them."""
    app.openapi = partial(_schema, app)  # type: ignore[method-assign]  # the documented way to extend it


def _failure(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _REASONS[status],
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }
    if status == 503:
        seconds = {"type": "integer", "minimum": 0, "examples": [RETRY_AFTER_SECONDS]}
        answer["headers"] = {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": seconds}}
    return answer


def _schema(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=_ABOUT,
            routes=app.routes,
            tags=[
                {"name": "conversations", "description": "Your conversations and their messages."},
                {"name": "search", "description": "Finding what was said and what is remembered."},
                {"name": "realtime", "description": "Publishing from outside, and who is connected: for operators."},
                {"name": "approvals", "description": "Calls of tools that wait for a person."},
                {"name": "people", "description": "Who talks here, and how they want to be answered."},
                {"name": "plugins", "description": "What was added to this house: for operators."},
                {"name": "memory", "description": "What is remembered of people."},
                {"name": "files", "description": "What people attach to their messages."},
                {"name": "experiments", "description": "Prompts that are compared: for operators."},
                {"name": "usage", "description": "What models cost."},
                {"name": "catalogue", "description": "Whom there is to talk to, and what answers."},
            ],
        )
        problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"] |= {**problem.pop("$defs"), "ProblemDetails": problem}
        app.openapi_schema = schema
    return app.openapi_schema

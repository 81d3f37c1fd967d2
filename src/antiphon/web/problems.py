"""Errors over HTTP as problem details (RFC 9457): one shape, one sentence, no traceback."""

import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from antiphon.errors import AntiphonError, NotFoundError, ServiceError, ValidationError
from antiphon.telemetry.logs import get_logger
from antiphon.web.openapi import PROBLEM_TYPE, RETRY_AFTER_SECONDS, describe

log = get_logger(__name__)


def problem(
    status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
    return JSONResponse(body, status, headers=headers, media_type=PROBLEM_TYPE)


def install(app: FastAPI) -> None:
    """Lets `app` answer every error as a problem, and say so in its description."""
    describe(app)

    @app.exception_handler(AntiphonError)
    async def of_the_house(_: Request, error: AntiphonError) -> JSONResponse:
        status = 503 if isinstance(error, ServiceError) else 404 if isinstance(error, NotFoundError) else 422
        if isinstance(error, ValidationError):
            return problem(status, HTTPStatus(status).phrase, error.public, code=error.code)
        log.warning("http.failed", status=status, code=error.code, error=str(error))
        headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
        return problem(status, HTTPStatus(status).phrase, error.public, headers=headers, code=error.code)

    @app.exception_handler(HTTPException)
    async def of_the_protocol(request: Request, error: HTTPException) -> JSONResponse:
        phrase, headers = HTTPStatus(error.status_code).phrase, error.headers
        detail = _of_the_body(error.__cause__) or str(error.detail)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers = {"allow": ", ".join(_methods(app, request))}
        return problem(error.status_code, phrase, detail, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def of_the_request(_: Request, error: RequestValidationError) -> JSONResponse:
        # What the caller sent stays out of the answer and the log: only where it is wrong, and why.
        errors = [{"where": ".".join(map(str, item["loc"])), "what": item["msg"]} for item in error.errors()]
        detail = "; ".join(f"{item['where']}: {item['what']}" for item in errors)
        return problem(422, "Unprocessable Content", detail, errors=errors)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("http.crashed", path=request.url.path, exc_info=error)
        return problem(500, "Internal Server Error", "Something went wrong here. The log has the details.")


def _of_the_body(cause: BaseException | None) -> str | None:
    """What a caller can mend of a JSON body that could not be read; None for anything else."""
    if isinstance(cause, RecursionError):
        return "The body is nested too deeply to be read. Put fewer arrays and objects into each other."
    if isinstance(cause, UnicodeDecodeError):
        return "The body is no UTF-8, and JSON is always that."
    if type(cause) is ValueError:  # all that Python's parser refuses of what is valid JSON
        return f"The body holds a number that is too long. Send {sys.get_int_max_str_digits()} digits at most."
    return None


def _methods(app: FastAPI, request: Request) -> list[str]:
    """All that this path can be asked; a router names those of one route only (RFC 9110, 15.5.6)."""
    scope = request.scope
    found = [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]
    return [*found, "HEAD"] if "GET" in found else found

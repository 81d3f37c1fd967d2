"""`/health`, `/ready`, `/health/deep`, `/metrics`: asked often and by machines, so they never reach FastAPI."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from antiphon.telemetry.health import HealthChecker
from antiphon.telemetry.metrics import CONTENT_TYPE, Metrics

Endpoint = Callable[[Request], Awaitable[Response]]


def health_routes(health: HealthChecker, metrics: Metrics) -> Mapping[tuple[str, str], Endpoint]:
    """The endpoints by (method, path)."""

    async def alive(_: Request) -> Response:
        return _json({"status": "healthy"})

    async def ready(_: Request) -> Response:
        report = await health.acheck_all()
        critical = tuple(check for check in report.checks if check.critical)
        return _json(structs.replace(report, checks=critical), 200 if report.ready else 503)

    async def deep(_: Request) -> Response:
        report = await health.acheck_all()
        return _json(report, 200 if report.ready else 503)

    async def numbers(_: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return {
        ("GET", "/health"): alive,
        ("GET", "/ready"): ready,
        ("GET", "/health/deep"): deep,
        ("GET", "/metrics"): numbers,
    }


def _json(body: object, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(body), status, media_type="application/json", headers={"cache-control": "no-store"}
    )

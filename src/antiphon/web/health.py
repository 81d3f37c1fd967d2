"""`/health`, `/ready`, `/health/deep`, `/metrics`: asked often and by machines, so they never reach FastAPI."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from msgspec import structs
from starlette.responses import Response

from antiphon.telemetry.metrics import CONTENT_TYPE
from antiphon.telemetry.monitoring import MonitoringService

Endpoint = Callable[[], Awaitable[Response]]


def health_routes(monitoring: MonitoringService) -> Mapping[tuple[str, str], Endpoint]:
    """The endpoints by (method, path)."""

    well = _json({"status": "healthy"})  # said so often that it is made once

    async def alive() -> Response:
        return well

    async def ready() -> Response:
        report = await monitoring.checks.acheck_all()
        critical = tuple(check for check in report.checks if check.critical)
        return _json(structs.replace(report, checks=critical), 200 if report.ready else 503)

    async def deep() -> Response:
        report = await monitoring.status()
        return _json(report, 200 if report.ready else 503)

    async def numbers() -> Response:
        return Response(monitoring.metrics.render(), media_type=CONTENT_TYPE)

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

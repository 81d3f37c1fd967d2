"""`/health`, `/ready`, `/health/deep`, `/metrics`: asked often and by machines, so they never reach FastAPI."""

from collections.abc import Mapping

import msgspec
from msgspec import structs
from starlette.responses import Response

from antiphon.telemetry.metrics import CONTENT_TYPE
from antiphon.telemetry.monitoring import MonitoringService
from antiphon.web.guard import HEADERS
from antiphon.web.hot import Endpoint, Prepared

_HEADERS = {name.decode(): value.decode() for name, value in HEADERS.items()}
"""What the guard would add, had the answer to come by it."""


def health_routes(monitoring: MonitoringService) -> Mapping[tuple[str, str], Endpoint]:
    """The endpoints by (method, path)."""

    well = Prepared(_json({"status": "healthy"}))

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
        return Response(monitoring.metrics.render(), media_type=CONTENT_TYPE, headers=_HEADERS)

    return {
        ("GET", "/health"): alive,
        ("GET", "/ready"): ready,
        ("GET", "/health/deep"): deep,
        ("GET", "/metrics"): numbers,
    }


def _json(body: object, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(body),
        status,
        media_type="application/json",
        headers={"cache-control": "no-store", **_HEADERS},
    )

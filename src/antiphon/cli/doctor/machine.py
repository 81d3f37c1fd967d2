"""What the house stands on: Python, libraries, the system's limits, the page, the disk."""

import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from antiphon import __version__
from antiphon.cli.doctor.finding import Finding
from antiphon.web.static import STATIC

FEW_FILES = 1024
"""A socket is an open file: with fewer, a busy house refuses people."""

_SHOWN = ("aiohttp", "uvicorn", "pydantic", "msgspec", "sqlalchemy", "structlog")


async def system() -> Iterable[Finding]:
    system = f"{platform.system()} {platform.release()} ({platform.machine()})"
    return [
        Finding("ok", "Antiphon", __version__),
        Finding("ok", "Python", f"{platform.python_version()} on {system}"),
        Finding("ok", "Libraries", ", ".join(f"{name} {_version(name)}" for name in _SHOWN)),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


async def limits() -> Iterable[Finding]:
    if sys.platform == "win32":
        return []
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft > FEW_FILES:
        return [Finding("ok", "Open files", f"up to {soft}")]
    advice = f"Raise it before the start: ulimit -n {min(hard, 65536) if hard > 0 else 65536}."
    return [Finding("warn", "Open files", f"at most {soft}, and every socket is one", advice)]


async def page() -> Iterable[Finding]:
    if (STATIC / "index.html").is_file():
        return [Finding("ok", "Web page", "built")]
    return [Finding("warn", "Web page", "not built", "Type `make run` in a clone, or install a built package.")]

"""What this process takes of the machine, as far as the system tells."""

import os
import shutil
import sys
import time
from pathlib import Path

from msgspec import Struct

if sys.platform != "win32":
    import resource


class ProcessSample(Struct, frozen=True, kw_only=True):
    """At one moment. Memory and disk are in bytes; None is what this system does not tell."""

    cpu_seconds: float
    memory: int | None
    open_files: int | None
    open_files_limit: int | None
    disk_free: int | None


def sample_process(folder: Path) -> ProcessSample:
    """Measures now; `disk_free` is that of the disk that holds `folder`. May block where a disk does not answer."""
    return ProcessSample(
        cpu_seconds=time.process_time(),
        memory=_memory(),
        open_files=_open_files(),
        open_files_limit=_open_files_limit(),
        disk_free=_disk_free(folder),
    )


def _memory() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int | None:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder))  # noqa: PTH208 - ten thousand sockets need no ten thousand paths
        except OSError:
            continue
    return None


def _open_files_limit() -> int | None:
    if sys.platform == "win32":
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _disk_free(folder: Path) -> int | None:
    """Of the nearest folder above that exists: the data may not have been written yet."""
    for known in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(known).free
        except OSError:
            continue
    return None

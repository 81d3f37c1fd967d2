"""The terminal that a process was started in."""

from pathlib import Path


def has_terminal() -> bool:
    """Whether there is one: not in a session of its own, and no longer when the window was closed."""
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return False

"""What commands write: words of others in a terminal, and data for programs."""

import re
import sys
from typing import Any

import msgspec

# C0 and C1 controls but newline and tab: words must not move the cursor, set titles or answer for the keyboard.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text without control characters, which a model, a vendor or another person could aim at the terminal."""
    return _CONTROLS.sub("", text)


def print_json(value: Any) -> None:
    """For `--json`."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")

"""Words of others in a terminal."""

import re

# C0 and C1 controls but newline and tab: words must not move the cursor, set titles or answer for the keyboard.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text without control characters, which a model, a vendor or another person could aim at the terminal."""
    return _CONTROLS.sub("", text)

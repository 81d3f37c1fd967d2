"""What the terminal is told in which the house was started."""

import os
import sys
from collections.abc import Mapping


def greeting(facts: Mapping[str, str]) -> str:
    """The facts, one a line, the names of them in colour where the terminal shows it, and how to end the house."""
    bold, plain = ("\x1b[1;36m", "\x1b[0m") if sys.stderr.isatty() and "NO_COLOR" not in os.environ else ("", "")
    lines = [f"  {bold}{label:<9}{plain}{fact}\n" for label, fact in facts.items()]
    return "".join([*lines, "  Ctrl-C stops.\n"])

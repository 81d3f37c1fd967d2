"""What a vendor's bill says, whatever it leaves out or writes in its place."""

from collections.abc import Mapping
from typing import Any

_MOST = 1e9
"""Tokens of one answer. What is more is no bill, and would not fit into a ledger once it has a price."""


def count(value: Any) -> int:
    """A number of tokens; 0 for what is none."""
    return max(0, int(value)) if isinstance(value, int | float) and abs(value) <= _MOST else 0


def details(usage: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """The finer count under `field`, empty when there is none."""
    found = usage.get(field)
    return found if isinstance(found, dict) else {}

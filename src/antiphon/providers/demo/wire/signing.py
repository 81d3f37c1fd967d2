"""Signatures of the demo model, which must come back with what they sign."""

import hmac
from hashlib import blake2s

_KEY = b"the demo model"


def signature(text: str) -> str:
    """What only this model puts under `text`."""
    return blake2s(text.encode("utf-8", "surrogatepass"), key=_KEY).hexdigest()


def is_signed(text: str, given: object) -> bool:
    """Whether this is the signature that the demo model put under `text`."""
    return isinstance(given, str) and hmac.compare_digest(given.encode(), signature(text).encode())

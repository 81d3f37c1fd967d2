"""When two texts count as the same."""

import unicodedata
from hashlib import blake2b


def digest_of(text: str) -> str:
    """The same for texts that differ only in case, spacing or how Unicode spells them."""
    normalised = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return blake2b(normalised.encode(), digest_size=16).hexdigest()

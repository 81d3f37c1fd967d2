"""The words of a query, and where they stand in a text that was found: the same for every database."""

import re
import unicodedata

_WORD = re.compile("(?:[^\\W_]|[\u0300-\u036f])+")
_ACCENT = re.compile("[\u0300-\u036f]")
_MOST_WORDS = 32
_LONGEST_QUERY = 4_000


def folded(word: str) -> str:
    """`word` without case and accents."""
    bare = _ACCENT.sub("", unicodedata.normalize("NFD", word)).lower()
    return unicodedata.normalize("NFC", _ACCENT.sub("", bare))


def words_of(query: str) -> str:
    """The different words of `query`, folded, with spaces between them; empty when it has none. Any text will do."""
    found = dict.fromkeys(folded(word) for word in _WORD.findall(query[:_LONGEST_QUERY]))
    return " ".join([word for word in found if word][:_MOST_WORDS])


def marked(text: str, words: str) -> str:
    """`text` with each of `words` (of `words_of`) in «»."""
    wanted = frozenset(words.split())
    return _WORD.sub(lambda match: f"«{match[0]}»" if folded(match[0]) in wanted else match[0], text)

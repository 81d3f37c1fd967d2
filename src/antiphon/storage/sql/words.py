"""The words of a query, and where they stand in a text that was found: the same for every database."""

import re
import unicodedata

_WORD = re.compile("(?:[^\\W_]|[\u0300-\u036f])+")
_ACCENT = re.compile("[\u0300-\u036f]")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_MOST_WORDS = 32
_MOST_PIECES = 64
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


def trigrams_of(words: str) -> str:
    """Every three neighbouring characters of `words` (of `words_of`): a slip of the pen leaves some of them."""
    pieces = dict.fromkeys(word[at : at + 3] for word in words.split() for at in range(len(word) - 2))
    return " ".join(list(pieces)[:_MOST_PIECES])


def pairs_of(words: str) -> str:
    """Every two neighbouring characters of those of `words` that are written without spaces between them, as Chinese,
    Japanese and Thai are: no index by words finds what stands inside."""
    runs = [run for word in words.split() for run in _UNSPACED.findall(word)]
    pieces = dict.fromkeys(run[at : at + 2] for run in runs for at in range(max(1, len(run) - 1)))
    return " ".join(list(pieces)[:_MOST_PIECES])

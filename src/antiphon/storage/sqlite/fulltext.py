"""Any text as a query of SQLite's full-text index (https://sqlite.org/fts5.html#full_text_query_syntax)."""

import re

_WORD = re.compile(r"\w+")
_MOST_WORDS = 32
_LONGEST_QUERY = 4_000


def expression(query: str) -> str:
    """Any of the words of `query`, each quoted, so that nothing in it is syntax; empty when there is no word."""
    words = dict.fromkeys(word.lower() for word in _WORD.findall(query[:_LONGEST_QUERY]))
    return " OR ".join(f'"{word}"' for word in list(words)[:_MOST_WORDS])

"""All that may differ between a block of the documents and what is run: where a name is imported from, and a few names.

The words are replaced where they stand, token by token, so that nothing else can change.
"""

import io
import tokenize
from collections.abc import Iterator, Sequence
from tokenize import NAME, OP, TokenInfo

IMPORTS = {
    "accelerapp": "antiphon",
    "accelerapp.core": "antiphon",
    "accelerapp.monitoring": "antiphon",
    "accelerapp.services": "antiphon",
    "phidata.app.async": "antiphon",
    "phidata.app.auth": "antiphon",
    "phidata.app.batch": "antiphon",
    "phidata.app.cache": "antiphon",
    "phidata.app.config": "antiphon",
    "phidata.app.errors": "antiphon",
    "phidata.app.factory": "antiphon",
    "phidata.app.logging": "antiphon",
    "phidata.app.memory": "antiphon",
    "phidata.app.pipeline": "antiphon",
    "phidata.app.rate_limit": "antiphon",
    "phidata.app.resources": "antiphon",
    "phidata.app.security": "antiphon",
    "phidata.app.state": "antiphon",
    "phidata.app.testing": "antiphon",
    "pyphoenix": "antiphon",
}
"""The modules of the documents' import lines. (`phidata.app.async` is no module of any Python: a keyword.)"""

NAMES = {
    "AccelerappCore": "Workspace",
    "AccelerappException": "AntiphonError",
    "AsyncBatchProcessor": "BatchProcessor",
    "ConfigurationError": "ConfigError",
    "ConfigurationManager": "Config",
    "IAgent": "Agent",
    "IPlugin": "Plugin",
    "IRepository": "Repository",
    "IService": "Service",
    "PepperPyError": "AntiphonError",
    "PostgresConnection": "Store",
    "RedisCache": "Cache",
}
"""One thing that two documents name differently, or that needs no letter in front here."""


def renamed(text: str) -> str:
    """The text with the import lines and names of the table, everything else as it stands."""
    lines = text.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for first, last, word in sorted(_replacements(tokens), key=lambda each: each[0].start, reverse=True):
        row, start = first.start
        line = lines[row - 1]
        lines[row - 1] = line[:start] + word + line[last.end[1] :]
    return "".join(lines)


def _replacements(tokens: Sequence[TokenInfo]) -> Iterator[tuple[TokenInfo, TokenInfo, str]]:
    """From which token to which one stands something else."""
    for number, token in enumerate(tokens):
        if token.type == NAME and token.string in NAMES:
            yield token, token, NAMES[token.string]
        if token.string == "from" and (number == 0 or tokens[number - 1].type not in {NAME, OP}):
            path = list(_path(tokens[number + 1 :]))
            module = "".join(part.string for part in path)
            if module in IMPORTS:
                yield path[0], path[-1], IMPORTS[module]


def _path(tokens: Sequence[TokenInfo]) -> Iterator[TokenInfo]:
    """The tokens of the module behind `from`."""
    for token in tokens:
        if token.string == "import" or token.type not in {NAME, OP}:
            return
        yield token

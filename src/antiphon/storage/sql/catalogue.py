"""The statements of a database as text, read once."""

from functools import cache
from importlib.resources import files

_MARK = "-- name: "


@cache
def statements(package: str, *names: str) -> dict[str, str]:
    """Name to SQL, from the generated statements of a database package and those written by hand for it.

    A file replaces what an earlier one of `names` has under the same name.
    """
    found: dict[str, str] = {}
    for name in names:
        text = files(package).joinpath(name).read_text("utf-8")
        for block in text.split(_MARK)[1:]:
            title, _, sql = block.partition("\n")
            found[title.strip()] = sql.strip()
    return found

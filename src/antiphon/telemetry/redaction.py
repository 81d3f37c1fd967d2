"""The one place that keeps secrets and people's words out of the logs.

Three rules, applied to every field of every line, however deep: a key that names a secret hides its value; a key
that names what somebody said or wrote leaves only its length; a text that contains what looks like a credential
loses that part. Objects other than plain data are logged as their type, because a `repr` shows everything.
"""

import re
from collections.abc import Mapping, MutableMapping
from datetime import date, timedelta
from itertools import pairwise
from pathlib import PurePath
from typing import Any
from uuid import UUID

MASK = "***"

_SECRET_WORDS = frozenset(
    """apikey auth authorization cookie cookies credential credentials jwt otp passphrase passwd password passwords pwd
    secret secrets token tokens""".split()  # noqa: SIM905 - a list of words
)
_SECRET_KEYS = frozenset({"api", "access", "private", "secret", "signing", "encryption", "master", "session"})
"""Words that make a `…_key` a secret; other keys (`dedupe_key`) are names."""
_SPOKEN_WORDS = frozenset(
    """answer arguments body content delta input instructions message messages note notes output parts payload prompt
    prompts query question raw reasoning reply result snippet text texts title""".split()  # noqa: SIM905 - a list of words
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_AFTER_NAME = r"""["']?\s*[:=,]\s*(?:b?["'])?"""
_CREDENTIALS: tuple[tuple[re.Pattern[str], str], ...] = (
    # -----BEGIN PRIVATE KEY-----, cut short or whole.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL), MASK),
    # The scheme of an Authorization header, wherever it stands.
    (re.compile(r"\b(Bearer|Basic|Bot)\s+[A-Za-z0-9._~+/=:-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    # JSON Web Tokens.
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), MASK),
    # Keys by their vendors' prefixes, and bot tokens of Telegram and Discord by their form.
    (
        re.compile(
            r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|gho|ghu|ghs|ghr|glpat|github_pat|xox[abeprs]|xapp|shpat|npm|pypi)[-_][\w.-]{6,}"
        ),
        MASK,
    ),
    (re.compile(r"\b(?:AIza[\w-]{20,}|AKIA[A-Z0-9]{12,}|ya29\.[\w-]+)"), MASK),
    (re.compile(r"\b\d{6,12}:[\w-]{30,}"), MASK),
    (re.compile(r"\b[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}"), MASK),
    # scheme://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s@]+@", re.IGNORECASE), rf"\1:{MASK}@"),
    # What follows the name of a header that is secret as a whole.
    (
        re.compile(rf"\b((?:set-)?cookie|(?:proxy-)?authorization|x-api-key)({_AFTER_NAME})[^\n'\"]+", re.IGNORECASE),
        rf"\1\2{MASK}",
    ),
    # password=…, "api_key": "…", ?token=…
    (
        re.compile(
            r"([\w-]*(?:token|api[_-]?key|password|passwd|passphrase|secret|credential))(['\"]?\s*[:=]\s*['\"]?)[^\s'\"&;,)}\]]+",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    # The parameters in SQLAlchemy's errors and the inputs in pydantic's are what people wrote.
    (re.compile(r"\[parameters: [^\n]*"), f"[parameters: {MASK}]"),
    (re.compile(r"input_value=.*?, input_type="), f"input_value={MASK}, input_type="),
)

_KEEP = frozenset({"event", "level", "logger", "timestamp", "exception"})
"""Keys of a line that we write ourselves: their text is searched for credentials, but their names mean nothing."""


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: the same event, safe to write."""
    return {key: redact(value) if key in _KEEP else _redact_field(key, value) for key, value in event.items()}


def redact(value: Any) -> Any:
    """`value` as plain data without anything that looks like a credential."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact_text(value)
        case BaseException():
            return f"{type(value).__name__}: {redact_text(str(value))}"
        case Mapping():
            return {str(key): _redact_field(str(key), item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redact(item) for item in value]
        case date() | timedelta() | PurePath() | UUID():
            return redact_text(str(value))
        case _:
            return f"<{type(value).__name__}>"


def redact_text(text: str) -> str:
    """`text` without the parts that look like credentials."""
    for pattern, replacement in _CREDENTIALS:
        text = pattern.sub(replacement, text)
    return text


def _redact_field(key: str, value: Any) -> Any:
    words = [word.lower() for word in _WORD.findall(key)]
    if value is None or isinstance(value, bool):
        return value
    if _names_secret(words, value):
        return MASK
    if words and words[-1] in _SPOKEN_WORDS and not isinstance(value, int | float):
        return _length(value)
    return redact(value)


def _names_secret(words: list[str], value: Any) -> bool:
    if any(first in _SECRET_KEYS and second in {"key", "keys"} for first, second in pairwise(words)):
        return True
    if isinstance(value, int | float) and "tokens" in words:
        return False  # a count of tokens
    return not _SECRET_WORDS.isdisjoint(words)


def _length(value: Any) -> str:
    match value:
        case str():
            return f"[{len(value)} characters]"
        case bytes() | bytearray() | memoryview():
            return f"[{len(value)} bytes]"
        case Mapping() | list() | tuple() | set() | frozenset():
            return f"[{len(value)} items]"
        case _:
            return f"<{type(value).__name__}>"

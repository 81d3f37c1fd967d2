"""The one place that keeps secrets and people's words out of the logs.

Three rules, applied to every field of every line, however deep: a key that names a secret hides its value; a key
that names what somebody said or wrote leaves only its length; a text that contains what looks like a credential
loses that part. Objects other than plain data are logged as their type, because a `repr` shows everything.
"""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePath
from typing import Any, Literal, NamedTuple
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


class _Credential(NamedTuple):
    """A form of secret inside a text. The pattern is tried only where one of the (lower-case) hints occurs."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str = MASK


_VENDORS = "sk|pk|rk|gsk|xai|hf|gh[opsur]|glpat|github_pat|xox[abeprs]|xapp|npm|pypi|nvapi|pplx|r8"
_BARE = ("AIza", "AKIA")
"""How the only credentials begin that are letters and digits throughout."""

_CREDENTIALS = (
    _Credential(  # whole or cut short
        ("private key-----",),
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL),
    ),
    _Credential(  # the scheme of an Authorization header, wherever it stands
        ("bearer ", "basic ", "bot "),
        re.compile(r"\b(Bearer|Basic|Bot)\s+[A-Za-z0-9._~+/=:-]{6,}", re.IGNORECASE),
        rf"\1 {MASK}",
    ),
    _Credential(("eyj",), re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?")),  # JSON Web Token
    _Credential(("-", "_"), re.compile(rf"\b(?:{_VENDORS})[-_][\w.*-]{{6,}}")),  # with stars: a vendor's quotation
    _Credential(("aiza", "akia", "ya29."), re.compile(r"\b(?:AIza[\w-]{20,}|AKIA[A-Z0-9]{12,}|ya29\.[\w-]+)")),
    _Credential((":",), re.compile(r"(?<!\d)\d{6,12}:[\w-]{30,}")),  # Telegram
    _Credential((".",), re.compile(r"\b[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}")),  # Discord
    _Credential(("://",), re.compile(r"(://[^\s/:@]*):[^\s/]+@"), rf"\1:{MASK}@"),
    _Credential(  # headers that are secret as a whole
        ("cookie", "authorization"),
        re.compile(r"""(cookie|authorization)(["']?\s*[:=]\s*|["'],\s*)(?:b?["'])?[^\n'"]+""", re.IGNORECASE),
        rf"\1\2{MASK}",
    ),
    _Credential(  # password=…, "api_key": "…", ?token=…, (b'x-api-key', b'…')
        ("token", "key", "pass", "secret", "credential"),
        re.compile(
            r"""(token|api[-_ ]?key|password|passwd|passphrase|secret|credential)(["']?\s*[:=]\s*|["'],\s*)(b?["'])?"""
            r"""[^\s"'&;,)}\]]+""",
            re.IGNORECASE,
        ),
        rf"\1\2\3{MASK}",
    ),
    # What people wrote, in the errors of SQLAlchemy and of pydantic.
    _Credential(("[parameters: ",), re.compile(r"\[parameters: [^\n]*"), f"[parameters: {MASK}]"),
    _Credential(
        ("input_value=",), re.compile(r"input_value=.*?, input_type=", re.DOTALL), f"input_value={MASK}, input_type="
    ),
)


def redact_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a line as plain data, safe to write."""
    return {key: _redact_field(key, value) for key, value in fields.items()}


def redact(value: Any) -> Any:
    """`value` as plain data without anything that looks like a credential."""
    match value:
        case str():
            return redact_text(value)
        case None | bool() | int() | float():
            return value
        case BaseException():
            return f"{type(value).__name__}: {redact_text(str(value))}"
        case Mapping():
            return {redact_text(str(key)): _redact_field(str(key), item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redact(item) for item in value]
        case date() | timedelta() | PurePath() | UUID():
            return redact_text(str(value))
        case _:
            return f"<{type(value).__name__}>"


def redact_text(text: str) -> str:
    """`text` without the parts that look like credentials."""
    if text.isalnum() and not text.startswith(_BARE):
        return text
    lowered = text.lower()
    for credential in _CREDENTIALS:
        for hint in credential.hints:
            if hint in lowered:
                text = credential.pattern.sub(credential.replacement, text)
                break
    return text


def _redact_field(key: str, value: Any) -> Any:
    meaning = _meaning(key)
    if meaning == "plain" or value is None or isinstance(value, bool):
        return redact(value)
    if isinstance(value, int | float) and meaning in {"spoken", "count"}:
        return value
    return _length(value) if meaning == "spoken" else MASK


@lru_cache(maxsize=1024)
def _meaning(key: str) -> Literal["plain", "spoken", "secret", "count"]:
    """What a key says about its value. `count`: secret, unless the value is a number (`input_tokens`)."""
    words = [word.lower() for word in _WORD.findall(key)]
    secret_key = any(first in _SECRET_KEYS and second in {"key", "keys"} for first, second in pairwise(words))
    if secret_key or not _SECRET_WORDS.isdisjoint(words):
        return "count" if "tokens" in words else "secret"
    return "spoken" if words and words[-1] in _SPOKEN_WORDS else "plain"


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

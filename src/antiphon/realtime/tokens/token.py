"""`Token`: a value that whoever holds it can read but not change, as `Phoenix.Token` signs it (TO-1 to TO-4).

It looks like a JWT and is none. What it carries is not hidden: put no secret in it.
"""

import binascii
import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import Any, ClassVar, Literal

from antiphon.errors import ConfigError, ValidationError
from antiphon.realtime.tokens import terms

DAY = 86_400

Digest = Literal["sha256", "sha384", "sha512"]

_HEADERS: dict[Digest, str] = {"sha256": "SFMyNTY", "sha384": "SFMzODQ", "sha512": "SFM1MTI"}
_DIGESTS: dict[str, Digest] = {header: digest for digest, header in _HEADERS.items()}

_ITERATIONS, _KEY_BYTES = 1000, 32
_SHORTEST_SECRET = 20
_LONGEST_TOKEN = 2 * terms.MAX_BYTES


class TokenError(ValidationError):
    """A token was not accepted: it is `missing`, `invalid` (not ours, changed, from the future) or `expired`."""

    code: ClassVar[str] = "token"

    def __init__(self, reason: Literal["missing", "invalid", "expired"]) -> None:
        super().__init__(f"the token is {reason}: ask for a new one")
        self.reason = reason


class Token:
    """Signs and verifies. `salt` says what the token is for: one of another purpose is invalid, with the same secret.

    The secret has at least 20 bytes, else `ConfigError`; generate 64 characters of randomness and share them.
    """

    @staticmethod
    def sign(
        secret: str,
        salt: str,
        data: Any,
        *,
        signed_at: float | None = None,
        max_age: float = DAY,
        digest: Digest = "sha256",
    ) -> str:
        """The token of `data` (numbers, text, bytes, lists, tuples, dicts; at most 64 KiB).

        `signed_at` is in seconds since 1970, now unless given; `max_age` in seconds, `math.inf` for ever. Raises
        `TypeError` or `ValueError` for data that no token can carry.
        """
        moment = int((time.time() if signed_at is None else signed_at) * 1000)
        age = int(max_age) if float(max_age).is_integer() else max_age
        signed = f"{_HEADERS[digest]}.{_base64(terms.encode((data, moment, age)))}"
        return f"{signed}.{_base64(_mac(secret, salt, signed, digest))}"

    @staticmethod
    def verify(secret: str, salt: str, token: Any, *, max_age: float | None = None) -> Any:
        """The data of a token signed with this secret and salt. Raises `TokenError`, for whatever `token` is.

        `max_age` in seconds takes the place of the age inside; `math.inf` accepts one of any age. Binaries of an
        Elixir service are `str` where they are UTF-8, else `bytes`.
        """
        if token is None:
            raise TokenError("missing")
        data, signed_at, age = _opened(secret, salt, token)
        passed = int(time.time() * 1000) - signed_at
        if passed < 0:
            raise TokenError("invalid")
        limit = age if max_age is None else max_age
        if limit <= 0 or passed > limit * 1000:
            raise TokenError("expired")
        return data


def _opened(secret: str, salt: str, token: Any) -> tuple[Any, int, float]:
    """Data, moment of signing in milliseconds and age in seconds, of a token with the right signature."""
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN or not token.isascii():
        raise TokenError("invalid")
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    digest = _DIGESTS.get(header)
    if digest is None:
        raise TokenError("invalid")
    # The signature is compared as text, in constant time: base64 has several texts for the same bytes.
    if not hmac.compare_digest(_base64(_mac(secret, salt, signed, digest)), signature):
        raise TokenError("invalid")
    try:
        content = terms.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, terms.TermError) as error:
        raise TokenError("invalid") from error
    return _parts(content)


def _parts(content: Any) -> tuple[Any, int, float]:
    match content:
        case (data, int(moment), int(age) | float(age)) if isinstance(content, tuple):
            return data, moment, age
        case (data, int(moment)) if isinstance(content, tuple):
            return data, moment, DAY
        case {"data": data, "signed": int(moment)}:
            return data, moment, DAY
    raise TokenError("invalid")


def _mac(secret: str, salt: str, signed: str, digest: Digest) -> bytes:
    return hmac.digest(_key(secret, salt), signed.encode("ascii"), digest)


@lru_cache(maxsize=64)
def _key(secret: str, salt: str) -> bytes:
    """Takes a thousand rounds on purpose, so each pair pays for them once."""
    if len(secret.encode()) < _SHORTEST_SECRET:
        raise ConfigError(f"the secret of the tokens is shorter than {_SHORTEST_SECRET} bytes: use a longer one")
    return hashlib.pbkdf2_hmac("sha256", secret.encode(), salt.encode(), _ITERATIONS, _KEY_BYTES)


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

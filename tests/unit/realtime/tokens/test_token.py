"""Tokens: those of a real Phoenix are ours, and nobody changes one."""

import hashlib
import hmac
import math
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import Token
from antiphon.errors import ConfigError, ValidationError
from antiphon.realtime.tokens.terms import encode
from antiphon.realtime.tokens.token import TokenError
from tests.rules import rule

SECRET, SALT = "a" * 64, "user auth"

# A real Phoenix.Token made it: data 1, signed at 1 700 000 000 000 ms, good for a day.
PHOENIX = "SFMyNTY.g2gDYQFuBgAAaOXPiwFiAAFRgA.9gShOaPCMVYklRMi2bi1jGGGEQ1n5rsnhPvGUJk-QLQ"
PHOENIX_KEY = bytes.fromhex("31fbb3adecec68c972fd2697491c1a02763359667d5ac06901233fb98a57fb14")


def sealed(content: bytes, header: str = "SFMyNTY", digest: str = "sha256") -> str:
    """A token with the right signature around anything."""

    def plain(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    signed = f"{header}.{plain(content)}"
    return f"{signed}.{plain(hmac.digest(PHOENIX_KEY, signed.encode(), digest))}"


def reason(token: Any, *, secret: str = SECRET, salt: str = SALT, max_age: float | None = None) -> str:
    with pytest.raises(TokenError) as caught:
        Token.verify(secret, salt, token, max_age=max_age)
    assert isinstance(caught.value, ValidationError)
    return caught.value.reason


@rule("TO-1", "TO-2", "TO-3", "TO-6")
def test_the_token_of_a_real_phoenix_is_made_and_read() -> None:
    assert Token.sign(SECRET, SALT, 1, signed_at=1_700_000_000) == PHOENIX
    assert Token.verify(SECRET, SALT, PHOENIX, max_age=math.inf) == 1
    assert hashlib.pbkdf2_hmac("sha256", SECRET.encode(), SALT.encode(), 1000, 32) == PHOENIX_KEY


@rule("TO-1")
@pytest.mark.parametrize(("digest", "header"), [("sha256", "SFMyNTY"), ("sha384", "SFMzODQ"), ("sha512", "SFM1MTI")])
def test_three_digests_are_known(digest: Any, header: str) -> None:
    token = Token.sign(SECRET, SALT, "ann", digest=digest)
    assert token.startswith(f"{header}.")
    assert "=" not in token
    assert Token.verify(SECRET, SALT, token) == "ann"


@rule("TO-2", "TO-4")
@given(st.data())
def test_a_changed_token_is_invalid(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(PHOENIX) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda letter: letter != PHOENIX[at]))
    assert reason(PHOENIX[:at] + other + PHOENIX[at + 1 :], max_age=math.inf) == "invalid"


@rule("TO-4")
@given(st.text() | st.none().map(lambda _: "") | st.binary() | st.integers() | st.lists(st.text()))
def test_what_is_no_token_is_invalid(token: Any) -> None:
    assert reason(token) == "invalid"


@rule("TO-2", "TO-4")
@pytest.mark.parametrize(
    "token",
    [
        PHOENIX + "=",
        PHOENIX.rpartition(".")[0],
        PHOENIX.rpartition(".")[0] + ".",
        "bm9uZQ." + PHOENIX.partition(".")[2],
        PHOENIX.replace("SFMyNTY", "SFM1MTI"),
        "é" + PHOENIX,
        "x" * 10_000_000,
    ],
)
def test_a_token_that_is_cut_padded_or_relabelled_is_invalid(token: str) -> None:
    assert reason(token, max_age=math.inf) == "invalid"


@rule("TO-4")
def test_a_token_of_another_secret_or_purpose_is_invalid() -> None:
    assert reason(PHOENIX, secret="b" * 64, max_age=math.inf) == "invalid"
    assert reason(PHOENIX, salt="password reset", max_age=math.inf) == "invalid"


@rule("TO-4")
def test_no_token_is_missing() -> None:
    assert reason(None) == "missing"


@rule("TO-4")
def test_a_token_expires() -> None:
    now = time.time()
    assert reason(PHOENIX) == "expired"
    assert reason(Token.sign(SECRET, SALT, 1, signed_at=now - 11, max_age=10)) == "expired"
    assert Token.verify(SECRET, SALT, Token.sign(SECRET, SALT, 1, signed_at=now - 5, max_age=10)) == 1
    assert reason(Token.sign(SECRET, SALT, 1, max_age=0)) == "expired"
    assert reason(Token.sign(SECRET, SALT, 1, max_age=-1)) == "expired"
    assert Token.verify(SECRET, SALT, Token.sign(SECRET, SALT, 1, signed_at=1, max_age=math.inf)) == 1


@rule("TO-4")
def test_the_age_given_at_verify_overrides_the_one_inside() -> None:
    token = Token.sign(SECRET, SALT, 1, signed_at=time.time() - 100, max_age=10)
    assert Token.verify(SECRET, SALT, token, max_age=1000) == 1
    assert reason(Token.sign(SECRET, SALT, 1, signed_at=time.time() - 100), max_age=10) == "expired"
    assert reason(Token.sign(SECRET, SALT, 1, max_age=math.inf), max_age=0) == "expired"


@rule("TO-4")
def test_a_token_from_the_future_is_invalid() -> None:
    assert reason(Token.sign(SECRET, SALT, 1, signed_at=time.time() + 60)) == "invalid"
    assert reason(Token.sign(SECRET, SALT, 1, signed_at=time.time() + 60), max_age=math.inf) == "invalid"


@rule("TO-3")
def test_the_older_forms_are_read_and_last_a_day() -> None:
    def both(moment: int) -> list[str]:
        as_map = b"\x83t\x00\x00\x00\x02w\x04dataa\x07w\x06signed" + encode(moment)[1:]
        return [sealed(encode((7, moment))), sealed(as_map)]

    now = int(time.time() * 1000)
    for token in both(now - 3600_000):
        assert Token.verify(SECRET, SALT, token) == 7
    for token in both(now - 90_000_000):
        assert reason(token) == "expired"
        assert Token.verify(SECRET, SALT, token, max_age=math.inf) == 7


@rule("TO-3", "TO-5")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x83w\x04exit",
        encode(7),
        encode([7, 1]),
        encode([7, 1, 1]),
        encode((7,)),
        encode((7, "now")),
        encode((7, 1, "long")),
        encode((7, 1, 1, 1)),
        encode({"data": 7}),
    ],
)
def test_a_right_signature_around_something_else_is_invalid(content: bytes) -> None:
    assert reason(sealed(content), max_age=math.inf) == "invalid"


@rule("TO-4")
@pytest.mark.parametrize("moment", [-(2**2000), 2**2000])
@pytest.mark.parametrize("age", [2**2000, -(2**2000), 1e308, 10])
def test_numbers_beyond_all_bounds_are_no_crash(moment: int, age: float) -> None:
    token = sealed(encode((7, moment, age)))
    with pytest.raises(TokenError):
        Token.verify(SECRET, SALT, token, max_age=1e300 if age == 10 else -1)


@rule("TO-1")
@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none(), max_size=5))
def test_what_is_signed_is_verified(data: Any) -> None:
    assert Token.verify(SECRET, SALT, Token.sign(SECRET, SALT, data)) == data


@rule("TO-7")
def test_an_encrypted_token_is_not_one_of_ours() -> None:
    assert reason("QTEyOEdDTQ.KKfPzEpLwPkOEEDyYSzuGsmJPw.dGhlIGl2.Y2lwaGVydGV4dA.dGhlIHRhZw") == "invalid"


def test_a_weak_secret_is_refused_on_both_sides() -> None:
    with pytest.raises(ConfigError, match="longer one"):
        Token.sign("short", SALT, 1)
    with pytest.raises(ConfigError, match="longer one"):
        Token.verify("short", SALT, PHOENIX)


def test_what_cannot_be_signed_is_an_error_at_the_sender() -> None:
    with pytest.raises(TypeError, match="object"):
        Token.sign(SECRET, SALT, object())
    with pytest.raises(ValueError, match="larger"):
        Token.sign(SECRET, SALT, "x" * 100_000)
    with pytest.raises(ValueError):
        Token.sign(SECRET, SALT, 1, max_age=math.nan)

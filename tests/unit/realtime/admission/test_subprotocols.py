"""What browsers may say before a socket is open."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.admission.connect import Refused
from antiphon.realtime.admission.subprotocols import bearer_token, choose, offered
from antiphon.telemetry.logs import get_logger
from tests.rules import rule

BEARER = "base64url.bearer.phx."
# In the two alphabets these are `fn4/` and `fn4_`, `fj4+` and `fj4-`.
TRICKY = ["~~?", "~>>", "~~?a", "~>>ab", "", "t", "é🎵"]

log = get_logger(__name__)


def silent(event: str, **fields: Any) -> None:
    raise AssertionError(f"{event} was said")


@rule("AU-1")
def test_the_offer_is_taken_apart() -> None:
    offer = offered({"sec-websocket-protocol": " phoenix ,, base64url.bearer.phx.dG9rZW4 "})
    assert offer == ["phoenix", "base64url.bearer.phx.dG9rZW4"]
    assert bearer_token(offer, silent) == "token"
    assert choose(offer, (), silent) == "phoenix"
    assert offered({}) == []


@rule("AU-2")
@pytest.mark.parametrize("token", TRICKY)
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["", "="])
def test_both_alphabets_with_and_without_padding(token: str, encode: Callable[[bytes], bytes], padding: str) -> None:
    text = encode(token.encode()).decode()
    assert bearer_token([BEARER + (text if padding else text.rstrip("="))], silent) == token


@rule("AU-4")
@pytest.mark.parametrize("text", ["%%", "dG9rZW4!", "a", "dG9rZ", "/w", "gICA", "ð", "dG 9rZW4"])
def test_a_token_that_cannot_be_read_is_refused(text: str, logged: list[dict[str, object]]) -> None:
    with pytest.raises(Refused) as caught:
        bearer_token(["phoenix", BEARER + text], log.warning)
    assert caught.value.status == 403
    assert [line["event"] for line in logged] == ["realtime.token_unreadable"]


@rule("AU-4")
def test_of_two_tokens_none_is_used() -> None:
    assert bearer_token([BEARER + "YQ", BEARER + "Yg", "phoenix"], silent) is None
    assert bearer_token([BEARER + "%%", BEARER + "%%"], silent) is None
    assert bearer_token(["phoenix"], silent) is None


@rule("AU-4")
@given(st.text())
def test_any_token_is_text_or_refused(text: str) -> None:
    with suppress(Refused):
        assert isinstance(bearer_token([BEARER + text], log.warning), str)


@rule("AU-3", "AU-5")
@pytest.mark.parametrize(
    ("offer", "configured", "chosen"),
    [
        ([], (), None),
        ([], ("sip",), None),
        (["graphql-ws"], (), None),
        (["phoenix"], (), "phoenix"),
        (["phoenix", "sip"], (), "phoenix"),
        (["other", "phoenix"], ("sip",), "phoenix"),
        (["xmpp", "sip"], ("sip", "xmpp"), "sip"),
        (["phoenix", "xmpp"], ("sip", "xmpp"), "xmpp"),
        (["sip", "phoenix"], ("phoenix", "sip"), "phoenix"),
        ([BEARER + "YQ"], ("sip",), None),
    ],
)
def test_the_first_configured_one_is_chosen(offer: list[str], configured: tuple[str, ...], chosen: str | None) -> None:
    assert choose(offer, configured, silent) == chosen


@rule("AU-5")
@pytest.mark.parametrize("offer", [["xmpp"], ["SIP"], ["xmpp", BEARER + "YQ"]])
def test_none_that_we_speak_is_refused(offer: list[str], logged: list[dict[str, object]]) -> None:
    with pytest.raises(Refused) as caught:
        choose(offer, ("sip",), log.warning)
    assert caught.value.status == 403
    assert [line["event"] for line in logged] == ["realtime.subprotocol_refused"]
    assert "YQ" not in str(logged)

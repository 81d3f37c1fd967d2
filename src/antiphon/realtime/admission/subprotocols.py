"""The header `Sec-WebSocket-Protocol`, the one that a page may set: it names protocols, and carries a token (AU-1)."""

from base64 import b64decode
from collections.abc import Mapping, Sequence

from antiphon.realtime.admission.connect import BEARER, Refused
from antiphon.realtime.limits import Say

PHOENIX = "phoenix"


def offered(headers: Mapping[str, str]) -> list[str]:
    """What the client offers, tokens included."""
    header = headers.get("sec-websocket-protocol")
    return [name for entry in header.split(",") if (name := entry.strip())] if header else []


def bearer_token(offer: Sequence[str], say: Say) -> str | None:
    """The one token in the offer, None where there is none, or several (AU-4); `Refused` when it is not readable."""
    found = [entry.removeprefix(BEARER) for entry in offer if entry.startswith(BEARER)]
    if len(found) != 1:
        return None
    # The name says base64url, and the clients write the other alphabet (AU-2).
    text = found[0].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except ValueError as error:
        say("realtime.token_unreadable")
        raise Refused from error


def choose(offer: Sequence[str], configured: Sequence[str], say: Say) -> str | None:
    """The sub-protocol to answer, None for no word of it; `Refused` when we speak nothing that is offered (AU-5).

    `phoenix` is always understood: browsers give up when it is offered and the answer names nothing (AU-3).
    """
    names = [entry for entry in offer if not entry.startswith(BEARER)]
    chosen = next((name for name in (*configured, PHOENIX) if name in names), None)
    if chosen is None and names and configured:
        say("realtime.subprotocol_refused", offered=", ".join(names)[:200], served=", ".join(configured))
        raise Refused
    return chosen

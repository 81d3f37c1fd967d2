"""What should not go to a vendor, or come from one: personal data and keys; and the guardrails of the house."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from antiphon.assistants.config import GuardrailSettings
from antiphon.assistants.guardrails import Action, Guardrail, Spot, Way, length, pattern
from antiphon.errors import ConfigError

_STEP = 16_384
_BEYOND = 512
"""Characters behind a step within which is told whether something begins in it."""

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\b")
_PHONE = re.compile(r"(?<![\w.])(?:\+\d{1,3}[\s./-]?|0)(?:\(\d{1,4}\)[\s./-]?)?\d(?:[\s./-]?\d){6,12}(?![\w])")
_CARD = re.compile(r"(?<![\w])\d(?:[ -]?\d){12,18}(?![\w])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")

_SECRETS = re.compile(
    r"""
      \b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}             # OpenAI, Anthropic, Stripe and who does as they do
    | \bgh[pousr]_[A-Za-z0-9]{20,}                  # GitHub
    | \bgithub_pat_\w{20,}
    | \bAKIA[0-9A-Z]{16}\b                          # AWS
    | \bAIza[\w-]{30,}                              # Google
    | \bxox[abeoprs]-[\w-]{10,}                     # Slack
    | \beyJ[\w-]{8,90}\.eyJ[\w.-]*                # a JSON Web Token
    | -----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----[A-Za-z0-9+/=\s]*
    """,
    re.VERBOSE,
)


def _digits(text: str) -> list[int]:
    return [int(each) for each in text if each.isdigit()]


def _is_card(text: str) -> bool:
    """Luhn's check, https://en.wikipedia.org/wiki/Luhn_algorithm."""
    doubled = [
        digit if at % 2 == 0 else (2 * digit - 9 if digit > 4 else 2 * digit)
        for at, digit in enumerate(reversed(_digits(text)))
    ]
    return sum(doubled) % 10 == 0 and any(doubled)


def _is_iban(text: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as numbers, modulo 97 is 1."""
    plain = text.replace(" ", "").upper()
    return int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def _matches(expression: re.Pattern[str], mask: str, holds: Callable[[str], bool]) -> Callable[[str], Iterator[Spot]]:
    return lambda text: (Spot(*match.span(), mask) for match in _searched(expression, text) if holds(match[0]))


def _searched(expression: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """All matches, found step by step: nothing else runs in the process while one call of a regular expression does."""
    done = 0
    for begin in range(0, len(text), _STEP):
        end = begin + _STEP
        for near in expression.finditer(text, max(begin, done), end + _BEYOND):
            if near.start() >= end:
                break
            if near.start() >= done and (match := expression.match(text, near.start())):
                done = match.end()
                yield match


_KINDS: Mapping[str, Callable[[str], Iterator[Spot]]] = MappingProxyType(
    {
        "email": _matches(_EMAIL, "[e-mail address]", lambda _: True),
        "phone": _matches(_PHONE, "[phone number]", lambda _: True),
        "card": _matches(_CARD, "[card number]", _is_card),
        "iban": _matches(_IBAN, "[account number]", _is_iban),
    }
)
KINDS = tuple(_KINDS)
"""The kinds of personal data that are known."""


def personal_data(kinds: Collection[str] = KINDS, *, action: Action = "mask", on: Way = "in") -> Guardrail:
    """E-mail addresses, phone numbers, card numbers (that pass Luhn's check) and IBANs. Raises `ConfigError` for an
    unknown kind."""
    if unknown := set(kinds) - set(KINDS):
        raise ConfigError(f"There is no personal data called {min(unknown)!r}. There is: {', '.join(KINDS)}.")
    return Guardrail(
        name="personal data",
        find=lambda text: (found for kind in kinds for found in _KINDS[kind](text)),
        says="Personal data was found here, such as an address or a number of an account."
        if action == "warn"
        else "Personal data, such as an address or a number of an account, does not pass here.",
        action=action,
        on=on,
    )


def secrets(*, action: Action = "refuse", on: Way = "both") -> Guardrail:
    """Keys and tokens of well-known services, JSON Web Tokens, private keys."""
    return Guardrail(
        name="secrets",
        find=_matches(_SECRETS, "[secret]", lambda _: True),
        says="This contains a key or a token. Change it if it is a real one, and ask without it.",
        action=action,
        on=on,
    )


def of_the_house(settings: GuardrailSettings) -> tuple[Guardrail, ...]:
    """What the settings do not let pass. Raises `ConfigError` for what is no regular expression."""
    wanted: list[Guardrail] = []
    if settings.secrets != "off":
        wanted.append(secrets(action=settings.secrets))
    if settings.personal_data != "off":
        wanted.append(personal_data(action=settings.personal_data, on="both"))
    if settings.forbidden:
        wanted.append(pattern("forbidden", *settings.forbidden))
    if settings.input_characters is not None:
        wanted.append(length(settings.input_characters))
    return tuple(wanted)

"""What a vendor says or does wrong, told in one sentence: who must act, whether to try again, and when.

`Error.message` holds only codes, so it may be logged. `Error.public` may quote the vendor's own sentence, without
anything that looks like a key and shortened.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from antiphon.providers.base import Error, ErrorKind
from antiphon.providers.limit_headers import bounded, read_limits, retry_after
from antiphon.providers.overlong import excess_of, is_overlong
from antiphon.telemetry.redaction import MASK, redact_text

_SENTENCES: dict[ErrorKind, str] = {
    "auth": "{who} does not accept the API key, or it may not use this model. Check the key of providers.{who}.",
    "rate": "{who} gets too many requests at the moment. Try again {when}.",
    "quota": "The paid quota at {who} is used up. Add credit there or choose another model with /model.",
    "resting": "{who} failed several times in a row and is left alone for a while. Try again {when}, or choose another "
    "model with /model.",
    "overload": "{who} is overloaded. Try again {when}, or choose another model with /model.",
    "timeout": "{who} did not answer in time. Try again, or choose another model with /model.",
    "unreachable": "{who} cannot be reached. Check the network and base_url of providers.{who}.",
    "interrupted": "The answer of {who} was cut off. Ask again to get a whole one.",
    "invalid": "{who} does not accept this request. Choose another model with /model or shorten the conversation.",
    "too_long": "The conversation is too long for this model of {who}. Begin afresh with /reset or choose another "
    "model.",
    "filtered": "The content filter of {who} stopped the answer. Put the question in other words.",
    "retired": "The service of {who} was shut down. Choose another model with /model or change base_url of it.",
    "server": "{who} failed on its side. Try again, or choose another model with /model.",
    "protocol": "{who} gave an answer that cannot be understood. Check base_url of providers.{who}.",
}

_UNKNOWN_MODEL = "{who} does not know this model. Choose another one with /model."

_RETRYABLE: frozenset[ErrorKind] = frozenset({"rate", "overload", "timeout", "unreachable", "server"})

_BY_STATUS: dict[int, ErrorKind] = {
    401: "auth",
    402: "quota",
    403: "auth",
    408: "timeout",
    410: "retired",
    429: "rate",
    503: "overload",
    504: "timeout",
    524: "timeout",  # Cloudflare: the origin did not answer in time
    529: "overload",
}

_BY_CODE: tuple[tuple[re.Pattern[str], ErrorKind], ...] = (
    (re.compile(r"insufficient_quota|billing|credit_balance|insufficient_(credit|balance|fund)|payment"), "quota"),
    (re.compile(r"content_filter|content_policy|moderation|responsibleai"), "filtered"),
    (re.compile(r"overload|over_capacity|at_capacity"), "overload"),
    (re.compile(r"rate_limit|too_many_requests|resource_exhausted"), "rate"),
    (
        re.compile(
            r"invalid_api_key|api_key_invalid|api_key_expired|authentication|permission|unauthorized|access_denied"
        ),
        "auth",
    ),
    (re.compile(r"timeout|timed_out"), "timeout"),
    (re.compile(r"server_error|internal|unavailable|api_error"), "server"),
    (re.compile(r"invalid|not_found|bad_request|unsupported"), "invalid"),
)

_QUOTA_TEXT = re.compile(
    r"billing|insufficient (quota|credit|balance|fund)|credit balance|current quota|usage limit", re.IGNORECASE
)
_NO_CREDIT_TEXT = re.compile(r"credit balance is too low", re.IGNORECASE)
_OVERLOAD_TEXT = re.compile(r"overloaded|at capacity|over capacity", re.IGNORECASE)
_FILTER_TEXT = re.compile(r"flagged|moderation|content (filter|management|policy)", re.IGNORECASE)

_KEY_LIKE = re.compile(r"\b(?=\w*\d)(?=\w*[a-z])\w{24,}", re.IGNORECASE)
"""What may be a key of a form that nobody has told us of."""

_CODE = re.compile(r"[a-z0-9_.-]{1,48}")
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\s]+")
_LONGEST_QUOTE = 240
_LONGEST_TEXT = 16_384
"""Characters of a sentence that are looked at: a megabyte would stop everybody else for a second."""


def quoted(text: str, secret: str | None = None) -> str:
    """A vendor's sentence, fit to be shown: one line, short, without keys."""
    if secret:
        text = text.replace(secret, MASK)
    line = _UNPRINTABLE.sub(" ", text[: 8 * _LONGEST_QUOTE]).strip()
    line = _KEY_LIKE.sub(MASK, redact_text(line))
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1] + "…"


class Failures:
    """Makes the `Error`s of one vendor.

    `secret` is its key, cut out of whatever is quoted; `retired` is the sentence for a service that was shut down.
    """

    def __init__(self, who: str, secret: str | None = None, retired: str | None = None) -> None:
        self._who = who
        self._secret = secret
        self._sentences = _SENTENCES if retired is None else {**_SENTENCES, "retired": retired}

    def of(
        self,
        kind: ErrorKind,
        what: str,
        *,
        wait: float | None = None,
        quote: str = "",
        sentence: str | None = None,
        retryable: bool | None = None,
    ) -> Error:
        """`what` goes into the log: codes of ours or of the vendor, never text."""
        when = "in a moment" if wait is None else f"in {max(1, round(wait))} s"
        public = (sentence or self._sentences[kind]).format(who=self._who, when=when)
        if said := quoted(quote, self._secret):
            public = f"{public} It said: “{said}”"
        again = kind in _RETRYABLE if retryable is None else retryable
        return Error(kind, f"{self._who}: {kind}, {what}", public, retryable=again, retry_after=wait)

    def of_status(self, status: int, body: bytes, headers: Mapping[str, str]) -> Error:
        """The error of an HTTP answer that is not 2xx, whatever its body is."""
        if 300 <= status < 400:
            return self.of("protocol", f"HTTP {status} redirects elsewhere, and a key is never sent after it")
        wait = retry_after(headers)
        if wait is None and status == 429:
            wait = max((limit.reset for limit in read_limits(headers) if limit.left < 1), default=None)
        return self.of_object(_decoded(body), status=status, wait=wait)

    def of_object(self, error: Any, *, status: int | None = None, wait: float | None = None) -> Error:
        """The error of an object inside an answer, in any of the shapes that vendors give it."""
        codes, text = _codes_and_text(error)
        wait = _delay(error) if wait is None else wait
        if status is None:
            status = next((int(code) for code in codes if re.fullmatch(r"[45]\d\d", code)), None)
        kind = _kind(status, codes, text, wait)
        if kind in {"invalid", "server"} and is_overlong(status, codes, text):
            kind = "too_long"
        safe = [code for code in codes if _CODE.fullmatch(code) and quoted(code, (self._secret or "").lower()) == code]
        said = " ".join([f"HTTP {status}" if status else "error inside the answer", *safe])
        made = self.of(kind, said, wait=wait, quote=text, sentence=_narrower(kind, status, codes))
        if kind != "too_long":
            return made
        return msgspec.structs.replace(made, excess=excess_of(_innermost(error), text))


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None  # an HTML page of a proxy, or nothing: the status says enough


def _codes_and_text(error: Any) -> tuple[list[str], str]:
    """The machine-readable words and the sentence of an error: `{"error": {…}}`, `[{…}]`, `{"detail": …}`, a string."""
    error = _innermost(error)
    if not isinstance(error, dict):
        return [], error[:_LONGEST_TEXT] if isinstance(error, str) else ""
    inner = error.get("innererror")
    words = [error.get(field) for field in ("code", "type", "status")]
    words += [inner.get("code")] if isinstance(inner, dict) else []
    words += [reason for detail in _details(error) for reason in _reasons(detail)]
    codes = [str(word)[:256].lower() for word in words if isinstance(word, str | int) and not isinstance(word, bool)]
    text = error.get("message") or error.get("detail") or ""
    return codes, text[:_LONGEST_TEXT] if isinstance(text, str) else ""


def _innermost(error: Any) -> Any:
    for _ in range(3):
        if isinstance(error, list) and error:
            error = error[0]
        elif isinstance(error, dict) and error.get("error"):
            inner = error["error"]
            error = {**error, "error": None, "message": inner} if isinstance(inner, str) else inner
    return error


def _details(error: Any) -> list[dict[str, Any]]:
    """What Google adds to an error: https://cloud.google.com/apis/design/errors, google.rpc.*"""
    details = error.get("details") if isinstance(error, dict) else None
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _reasons(detail: dict[str, Any]) -> list[str]:
    """`API_KEY_INVALID`; `insufficient_quota` for what is used up until tomorrow, which its status calls the rate."""
    violations = detail.get("violations")
    quotas = (
        [each.get("quotaId") for each in violations if isinstance(each, dict)] if isinstance(violations, list) else ()
    )
    used_up = any("PerDay" in quota for quota in quotas if isinstance(quota, str))
    reason = detail.get("reason")
    return ["insufficient_quota"] * used_up + ([reason] if isinstance(reason, str) else [])


def _delay(error: Any) -> float | None:
    """The seconds to wait that Google says in the body: `{"retryDelay": "36.5s"}`."""
    for detail in _details(_innermost(error)):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (seconds := _SECONDS.fullmatch(delay)):
            return bounded(float(seconds[1]))
    return None


def _narrower(kind: ErrorKind, status: int | None, codes: list[str]) -> str | None:
    """A better sentence than the one for the whole kind, where the vendor's codes allow it."""
    return _UNKNOWN_MODEL if kind == "invalid" and (status == 404 or "model_not_found" in codes) else None


def _kind(status: int | None, codes: list[str], text: str, wait: float | None) -> ErrorKind:
    named: ErrorKind | None = next((kind for pattern, kind in _BY_CODE if pattern.search(" ".join(codes))), None)
    if named in {"quota", "filtered"}:
        return named
    if status in {None, 400, 403} and _FILTER_TEXT.search(text):
        return "filtered"
    if status in {400, 403} and _NO_CREDIT_TEXT.search(text):
        return "quota"
    if status == 400 and named == "auth":  # Google, of a key that it does not know
        return "auth"
    if status in {None, 429}:
        # With a time to wait, "exceeded your current quota" means the quota of this minute.
        if wait is None and _QUOTA_TEXT.search(text):
            return "quota"
        if _OVERLOAD_TEXT.search(text) or named == "overload":
            return "overload"
    if status is None:
        return named or "server"
    if status >= 500 and (named == "overload" or _OVERLOAD_TEXT.search(text)):
        return "overload"
    return _BY_STATUS.get(status, "invalid" if status < 500 else "server")

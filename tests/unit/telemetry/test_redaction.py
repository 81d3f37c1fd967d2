import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.domain import TextPart
from antiphon.telemetry import pipeline
from antiphon.telemetry.redaction import redact, redact_fields, redact_text


def line(**fields: Any) -> dict[str, Any]:
    return redact_fields(fields)


# Made up, and put together here, so that no scanner of repositories takes them for real.
CREDENTIALS = [
    "sk-" + "abcdefghijklmnop123456",
    "sk-proj-" + "abc_def-123456789",
    "sk-ant-api03-" + "abcdefgh-12345678",
    "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_" + "11ABCDEFG0abcdefghijkl",
    "gsk_" + "abcdefghijklmnop",
    "nvapi-" + "abcdefghijklmnop",
    "xoxb-" + "123456789012-abcdefghijkl",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "110201543:" + "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
    "MTk4NjIyNDgzNDcxOTI1MjQ4." + "Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs",
]


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize(
    "sentence", ["{}", "401 from vendor: key {} is wrong", "('{}',)", "https://host/bot{}/send?a={}"]
)
def test_what_looks_like_a_credential_is_hidden_wherever_it_stands(credential: str, sentence: str) -> None:
    if "bot{}" in sentence and not credential[0].isdigit():
        sentence = "https://host/?a={}"
    hidden = redact_text(sentence.replace("{}", credential))
    assert credential not in hidden
    assert "***" in hidden


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: ***"),
        ("sent bearer abcdef123 and more", "sent bearer *** and more"),
        ("postgresql://antiphon:hun:ter2@db:5432/x", "postgresql://antiphon:***@db:5432/x"),
        ("redis://:hunter2@cache/0", "redis://:***@cache/0"),
        ("GET /socket/websocket?token=abc123&vsn=2.0.0 HTTP/1.1", "GET /socket/websocket?token=***&vsn=2.0.0 HTTP/1.1"),
        ('{"api_key": "abc", "model": "x"}', '{"api_key": "***", "model": "x"}'),
        ("{'password': 'abc', 'user': 'x'}", "{'password': '***', 'user': 'x'}"),
        ("Incorrect API key: abc", "Incorrect API key: ***"),
        ("key provided: " + "sk-proj-" + "aBcD1234*****wxyz.", "key provided: ***"),
        ("client_secret=abc; refresh_token=def", "client_secret=***; refresh_token=***"),
        ("[(b'x-api-key', b'abc'), (b'cookie', b'sid=1; b=2')]", "[(b'x-api-key', b'***'), (b'cookie', ***')]"),
        ("Cookie: sid=abc; other=def\nHost: x", "Cookie: ***\nHost: x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nrest", "***\nrest"),
        ("-----BEGIN PRIVATE KEY-----\nabc", "***"),
        ("[SQL: INSERT]\n[parameters: ('my diary', 1)]\n(x)", "[SQL: INSERT]\n[parameters: ***]\n(x)"),
        ("[type=str, input_value='my diary', input_type=str]", "[type=str, input_value=***, input_type=str]"),
    ],
)
def test_only_the_secret_part_of_a_text_is_hidden(text: str, hidden: str) -> None:
    assert redact_text(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "turn.finished",
        "http://127.0.0.1:4000/api/v1/models?limit=10",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "openai:gpt-5",
        "the task-force asked for 12 tokens",
        "took 12.5 ms: ok",
        "2026-11-21T09:55:52.490222Z",
    ],
)
def test_harmless_texts_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "key",
    ["token", "api_key", "API-Key", "apiKey", "x-api-key", "Authorization", "password", "db_password", "client_secret",
     "set-cookie", "webhookSecret", "private_key", "OPENAI_API_KEY", "jwt", "tokens"],
)  # fmt: skip
def test_a_key_that_names_a_secret_hides_every_value(key: str) -> None:
    for value in ("abc", b"abc", ["abc"], {"a": "abc"}, object()):
        assert line(**{key: value}) == {key: "***"}
    assert line(**{key: None}) == {key: None}


def test_numbers_of_tokens_are_no_secrets_but_numeric_passwords_are() -> None:
    assert line(input_tokens=3, max_tokens=9.5, tokens=1) == {"input_tokens": 3, "max_tokens": 9.5, "tokens": 1}
    assert line(password=123456) == {"password": "***"}


@pytest.mark.parametrize("key", ["text", "content", "prompt", "system_prompt", "message", "messageBody", "arguments"])
def test_what_people_say_leaves_only_its_length(key: str) -> None:
    assert line(**{key: "my diary"}) == {key: "[8 characters]"}
    assert line(**{key: b"my diary"}) == {key: "[8 bytes]"}
    assert line(**{key: [1, 2]}) == {key: "[2 items]"}
    assert line(**{key: 12}) == {key: 12}
    assert line(**{key: TextPart(text="my diary")}) == {key: "<TextPart>"}


def test_everything_is_reached_however_deep() -> None:
    deep: Any = {"headers": [{"Authorization": "abc"}, {"also": ({"text": "my diary"},)}], "note": {"token": "abc"}}
    assert line(frame=deep) == {
        "frame": {"headers": [{"Authorization": "***"}, {"also": [{"text": "[8 characters]"}]}], "note": "[1 items]"}
    }


def test_objects_show_their_type_and_plain_values_themselves() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert line(a=moment, b=Path("/data/x"), c=TextPart(text="my diary"), d=ValueError("bad token=abc")) == {
        "a": "2026-01-01 00:00:00+00:00",
        "b": "/data/x",
        "c": "<TextPart>",
        "d": "ValueError: bad token=***",
    }


def test_the_keys_of_the_line_itself_are_searched_but_not_hidden() -> None:
    assert line(event="got token=abc", exception="ValueError: sk-" + "abcdefghijk", level="info") == {
        "event": "got token=***",
        "exception": "ValueError: ***",
        "level": "info",
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=12), PLAIN, max_size=4))
def test_whatever_is_logged_becomes_plain_json(fields: dict[str, Any]) -> None:
    msgspec.json.encode(redact_fields(fields))


@given(st.text(), st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=24), st.text())
def test_no_surroundings_bring_a_secret_out(before: str, secret: str, after: str) -> None:
    shown = str(redact({"x": [f"{before} Bearer {secret} {after}"]}))
    assert secret not in shown or secret in before + after


# --- whatever the secret, wherever it stands ----------------------------------------------------------------------

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
CHANCE = st.text(LETTERS, min_size=24, max_size=40)
PASSWORD = st.builds("Zq{}".format, st.text(LETTERS + "!$%^*_+=~.-:@", min_size=6, max_size=30))

BY_SHAPE = st.one_of(
    st.builds("{}{}".format, st.sampled_from(
        ["sk-", "sk-proj-", "sk-ant-api03-", "sk_live_", "rk_test_", "pk_live_", "gsk_", "xai-", "hf_", "ghp_", "gho_",
         "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xapp-", "npm_", "pypi-", "nvapi-", "pplx-", "r8_",
         "ya29.", "AIza"]
    ), CHANCE),
    st.builds("AKIA{}".format, st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=16)),
    st.builds("eyJ{}.{}.{}".format, CHANCE, CHANCE, CHANCE),
    st.builds("{}:{}".format, st.integers(10**8, 10**10 - 1), st.text(LETTERS, min_size=35, max_size=35)),
)  # fmt: skip
"""Secrets that can be told by what they look like."""

BY_PLACE = st.one_of(
    st.builds("{}://{}:{{}}@{}".format, st.sampled_from(["postgresql", "redis", "https", "amqp+ssl", "mongodb"]),
              st.sampled_from(["", "antiphon", "a.user"]), st.sampled_from(["db", "10.0.0.1:5432/x", "h/0?ssl=1"])),
    st.sampled_from([
        "Authorization: Bearer {}", "authorization=Basic {}", "Proxy-Authorization: {}", "Cookie: sid={}; lang=de",
        "Set-Cookie: session={}; HttpOnly", "(b'cookie', b'{}')", "{{'Authorization': '{}'}}", "x-api-key: {}",
        "password={}", "'passwd': '{}'", '"client_secret": "{}"', "?access_token={}&x=1", "api_key = {}", "apikey:{}",
        "passphrase: {}", "token={}",
    ]),
)  # fmt: skip
"""Places at which anything is a secret."""

SURROUNDINGS = st.sampled_from(["{}", "could not reach {} (refused)", "a\n{}\nb", "[{}]", "401: {}; try again", "<{}>"])


def logged_in_every_way(text: str) -> Iterator[str]:
    """The lines that come of a text in a field, deep inside, in an exception with its cause, and of another library."""
    output = io.StringIO()
    outlets = pipeline.LogPipeline()
    outlets.configure("debug", "json", (), output)
    try:
        raise ValueError(text) from ConnectionError(text)
    except ValueError as error:
        for fields in ({"detail": text}, {"at": [{"deep": (text,)}, {text: 1}]}, {"error": error}, {"exc_info": True}):
            outlets.write(logging.INFO, pipeline._line(text, fields, "info"))
    record = logging.LogRecord("library", logging.WARNING, "", 0, "saw %s", (text,), None)
    pipeline._Records(outlets).emit(record)
    yield from output.getvalue().splitlines()


@pytest.fixture(scope="module", autouse=True)
def untouched_logging() -> Iterator[None]:
    root, package = logging.getLogger(), logging.getLogger("antiphon")
    before = root.handlers[:], root.level, package.level
    yield
    root.handlers, root.level, package.level = before


@settings(max_examples=100)
@given(BY_SHAPE, SURROUNDINGS)
def test_a_key_of_a_known_vendor_is_in_no_line(secret: str, around: str) -> None:
    lines = list(logged_in_every_way(around.replace("{}", secret)))
    assert len(lines) == 5
    assert not [line for line in lines if secret in line]


@settings(max_examples=150)
@given(PASSWORD, BY_PLACE, SURROUNDINGS)
def test_what_stands_where_secrets_stand_is_in_no_line(secret: str, place: str, around: str) -> None:
    text = around.replace("{}", place.replace("{{", "{").replace("}}", "}").replace("{}", "\0"))
    for line in logged_in_every_way(text.replace("\0", secret)):
        assert secret not in line, line


@given(PASSWORD, st.sampled_from(["password", "apiKey", "X-Api-Key", "db_password", "set-cookie", "refreshToken"]))
def test_a_field_that_names_a_secret_hides_it_however_deep(secret: str, key: str) -> None:
    fields: dict[str, Any] = {
        "request": {"headers": [{key: secret}, {"nested": {key: [secret, {"x": secret}]}}]},
        key: secret,
    }
    assert secret not in str(line(**fields))

"""Files as people and others write them: each gives settings with their lines, or one sentence, whatever is in it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.errors import ConfigError
from antiphon.settings.config import Config
from antiphon.settings.files import MOST_BYTES, read_secrets, read_text, read_variables, read_yaml

MARKER = "geheim0123456789"
"""Stands for a secret, which no sentence may repeat."""


def values(tmp_path: Path, text: str) -> dict[str, tuple[Any, str]]:
    file = tmp_path / "a.yaml"
    file.write_text(text, encoding="utf-8")
    return {".".join(path): (value, place) for path, value, place in read_yaml(file, "a.yaml")}


def test_each_value_has_its_line(tmp_path: Path) -> None:
    text = "one: 1\n\n# between\ntwo:\n  three: [a, b]\n  four: {}\n  five:\n"
    assert values(tmp_path, text) == {
        "one": (1, "a.yaml:1"),
        "two.three": (["a", "b"], "a.yaml:5"),
        "two.four": ({}, "a.yaml:6"),
        "two.five": (None, "a.yaml:7"),
    }


def test_anchors_and_merges_work_as_people_mean_them(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 3}\nmine:\n  <<: [*base, *other]\n  a: 9\nsame: *base\n"
    found = {name: value for name, (value, _) in values(tmp_path, text).items()}
    assert found["mine.a"] == 9
    assert found["mine.b"] == 2
    assert found["mine.c"] == 3
    assert found["same.b"] == 2


def test_nothing_and_comments_alone_are_no_settings(tmp_path: Path) -> None:
    for text in ("", "# nothing\n", "---\n", "null\n", "~", "\ufeff"):
        assert values(tmp_path, text) == {}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}], {name}{name}: 1}}\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(BOMB, "there are more than 20000 values, aliases counted each time.", id="a billion laughs"),
        pytest.param(MERGES, "there are more than 20000 values, aliases counted each time.", id="a billion merges"),
        pytest.param("a: &a [*a]", "nested deeper than 40 levels.", id="a list that holds itself"),
        pytest.param("a: &a {<<: *a}", "nested deeper than 40 levels.", id="a mapping that merges itself"),
        pytest.param("a: " + "[" * 60 + "]" * 60, "nested deeper than 40 levels.", id="deep"),
        pytest.param("a: " + "[" * 20_000, "is not valid YAML.", id="deeper than the parser goes"),
        pytest.param("a: 1\na: 2", "line 2: a is written twice; keep one.", id="twice"),
        pytest.param("b: {a: 1,\n a: 2}", "line 2: b.a is written twice; keep one.", id="twice in a section"),
        pytest.param("? [a, b]\n: 1", "line 1: a name must be a single word.", id="a list as name"),
        pytest.param("a:\n  <<: [1]", "line 2: `<<` takes a mapping.", id="a merge of a number"),
        pytest.param("a: !!python/object/apply:os.system [ls]", "", id="code"),
        pytest.param("a: !!python/name:os.system ''", "put it into quotes.", id="a name of code"),
        pytest.param("a: !!int x", "put it into quotes.", id="no number"),
        pytest.param(f"a: {'9' * 5000}", "put it into quotes.", id="a number that is too long"),
        pytest.param("a: 2026-02-31", "put it into quotes.", id="a day that does not exist"),
        pytest.param("a: \0", "is not valid YAML.", id="NUL"),
        pytest.param("--- a: 1\n--- b: 2", "is not valid YAML.", id="two documents"),
        pytest.param("a: 1\n---\nb: 2", "is not valid YAML.", id="two documents in a row"),
        pytest.param("just words", "must hold settings as `name: value`.", id="words"),
    ],
)
def test_hostile_yaml_is_one_sentence(folder: Path, text: str, sentence: str) -> None:
    (folder / "antiphon.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Config.load(environ={})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "antiphon.yaml" in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        read_text(file)
    file.write_bytes(b"#" * MOST_BYTES)
    assert len(read_text(file)) == MOST_BYTES


def test_what_cannot_be_read_says_why(folder: Path) -> None:
    (folder / "antiphon.yaml").symlink_to("antiphon.yaml")
    with pytest.raises(ConfigError, match=r"antiphon\.yaml cannot be read \(Too many levels"):
        Config.load(environ={})
    with pytest.raises(ConfigError, match="is a folder and not a file"):
        read_text(folder)


def test_variables_are_what_stands_there(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("\n# a\nA=1\nexport B='x ${A}'\nC\nD=\"two\nlines\"\nE=\n")
    assert list(read_variables(file)) == [
        ("A", "1", ".env:3"),
        ("B", "x ${A}", ".env:4"),
        ("D", "two\nlines", ".env:6"),
        ("E", "", ".env:8"),
    ]
    file.write_text("A=1\n\n=b\n")
    with pytest.raises(ConfigError, match=r"\.env, line 3: write NAME=value"):
        list(read_variables(file))
    assert list(read_variables(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("data", "text"), [(b"k\n", "k"), (b"k\r\n", "k"), (b"k\n\n", "k\n"), (b"k\r", "k\r"), (b"", "")]
)
def test_a_secret_loses_one_line_feed(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "key").write_bytes(data)
    (tmp_path / "..data").mkdir()
    (tmp_path / ".hidden").write_bytes(b"\xff")
    assert [(name, found) for name, found, _ in read_secrets(tmp_path)] == [("key", text)]


# --- anything at all ----------------------------------------------------------------------------------------------

KEYS = ("server__port", "providers__openai__api_key", "realtime__origins", "features__choose_model", "providers__x")
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(
        ["{", "[", "{}", "[]", "null", "[[[[", '{"a": 1', "1e999", "NaN", "[NaN]", '"\\ud800"', "9" * 5000]
    ),
    st.sampled_from(["[" * 2000 + "]" * 2000, '{"a":' * 900 + "1" + "}" * 900, "\ud800", "\0", "true", "-1", "%"]),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5).map(str),
)


def settled(action: Callable[[], object]) -> None:
    """It works, or it says in one sentence without the secret what is wrong."""
    told = ""
    try:
        action()
    except ConfigError as error:
        told = f"{error}{error.__cause__ or ''}"
    assert MARKER not in told
    assert len(told) < 4000
    assert not told or told.endswith((".", "?"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No installed package has sections or rules: to look for them takes most of the time."""
    monkeypatch.setattr("antiphon.settings.config.entry_points", lambda group: [])
    monkeypatch.setattr("antiphon.settings.rules.entry_points", lambda group: [])


fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@fixtures
@given(st.binary(max_size=400))
def test_any_bytes_as_a_file(folder: Path, alone: None, data: bytes) -> None:
    for name in ("antiphon.yaml", ".env"):
        (folder / name).write_bytes(data)
        settled(lambda: Config.load(environ={}))
        (folder / name).unlink()


@fixtures
@given(st.sampled_from(KEYS), TEXTS)
def test_any_text_as_a_variable(folder: Path, alone: None, key: str, text: str) -> None:
    settled(lambda: Config.load(environ={f"ANTIPHON_{key.upper()}": text + MARKER}))
    settled(lambda: Config.load(environ={f"ANTIPHON_{key.upper()}": text}))


@fixtures
@given(st.text(min_size=1).map(lambda text: f"ANTIPHON_{text}"), TEXTS)
def test_any_name_of_a_variable(folder: Path, alone: None, name: str, text: str) -> None:
    settled(lambda: Config.load(environ={name: text}))


@fixtures
@given(st.sampled_from(KEYS), st.binary(max_size=200))
def test_any_bytes_as_a_secret(folder: Path, alone: None, key: str, data: bytes) -> None:
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / key).write_bytes(data + MARKER.encode())
    settled(lambda: Config.load(environ={}, secrets_dir=str(secrets)))
    (secrets / key).unlink()


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(MARKER)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@fixtures
@given(st.dictionaries(st.sampled_from(sorted(Config.model_fields)), TREES, max_size=4))
def test_any_values_as_arguments(folder: Path, alone: None, tree: dict[str, Any]) -> None:
    tree.pop("rules", None)  # they name code, which is loaded
    if MARKER in str(tree.get("secrets_dir")):
        tree.pop("secrets_dir")  # a path, and no secret
    settled(lambda: Config.load(environ={}, **tree))


def test_the_environment_of_a_process_may_hold_bytes_that_are_no_text(folder: Path) -> None:
    name = os.fsdecode(b"ANTIPHON_DEFAULT_MODEL")
    settled(lambda: Config.load(environ={name: os.fsdecode(b"\xff\xfe")}))

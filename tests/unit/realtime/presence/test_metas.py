"""Metas are plain data with a ref that no other has."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from antiphon.errors import ValidationError
from antiphon.realtime.presence.metas import MetaWriter
from tests.rules import rule

NAMES = ("room:1", "7", "ann")


@rule("PR-9")
def test_refs_are_16_url_safe_characters_and_differ_between_writers() -> None:
    writers = [MetaWriter() for _ in range(50)]
    refs = [writer.write(NAMES, {}, None)[0]["phx_ref"] for writer in writers for _ in range(100)]
    assert len(set(refs)) == len(refs)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16}", ref) for ref in refs)


@rule("PR-6")
def test_the_ref_before_is_there_after_an_update_only_and_nobody_makes_one_up() -> None:
    writer = MetaWriter()
    forged = {"phx_ref": "forged", "phx_ref_prev": "forged", "n": 1}
    first, _ = writer.write(NAMES, forged, None)
    assert first == {"n": 1, "phx_ref": first["phx_ref"]}
    assert first["phx_ref"] != "forged"
    second, _ = writer.write(NAMES, forged, first["phx_ref"])
    assert second == {"n": 1, "phx_ref": second["phx_ref"], "phx_ref_prev": first["phx_ref"]}


def test_the_meta_is_a_copy_of_plain_data() -> None:
    given: dict[Any, Any] = {"at": datetime(2026, 1, 2, tzinfo=UTC), "list": [1], 3: "x"}
    meta, size = MetaWriter().write(NAMES, given, None)
    given["list"].append(2)
    assert meta == {"at": "2026-01-02T00:00:00Z", "list": [1], "3": "x", "phx_ref": meta["phx_ref"]}
    assert 90 < size < 200


def well() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "meta",
    [{"x": object()}, {"x": 2**70}, {"x": "\ud800"}, [], None, "text", {"x": well()}],
    ids=["object", "large number", "half a character", "list", "nothing", "text", "deep"],
)
def test_what_cannot_be_sent_is_refused(meta: Any) -> None:
    with pytest.raises(ValidationError, match="a meta"):
        MetaWriter().write(NAMES, meta, None)

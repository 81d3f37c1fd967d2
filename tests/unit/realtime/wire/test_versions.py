"""Which version a client gets."""

from typing import Any

import pytest

from antiphon.realtime.wire.v1 import V1
from antiphon.realtime.wire.v2 import V2
from antiphon.realtime.wire.versions import serializer_for
from tests.rules import rule


@rule("TR-3")
@pytest.mark.parametrize("vsn", ["2.0.0", "2.0.7", "2.0.0+build1", "2.0.1-rc.1"])
def test_versions_that_are_served(vsn: str) -> None:
    assert serializer_for(vsn) is V2


@rule("TR-3")
@pytest.mark.parametrize(
    "vsn",
    ["1.1.0", "2", "2.0", "abc", "", "3.0.0", "123.1.1", "2.1.0", "2.0.0-rc.1", "02.0.0", " 2.0.0", "2.0.0\n",
     f"{'9' * 5000}.0.0", f"2.0.{'1' * 5000}", ["2.0.0"], None],
)  # fmt: skip
def test_versions_that_are_not(vsn: Any) -> None:
    assert serializer_for(vsn) is None


@rule("TR-2", "TR-3")
@pytest.mark.parametrize("vsn", ["1.0.0", "1.0.9", "1.0.0+x"])
def test_the_first_version_is_served_too(vsn: str) -> None:
    assert serializer_for(vsn) is V1

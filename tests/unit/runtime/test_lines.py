"""A listener is told in order, and nobody waits for it, however slow it is."""

import asyncio

import pytest

from antiphon.runtime import lines
from antiphon.runtime.lines import Line


async def test_a_line_is_bounded_and_an_end_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lines, "WAITING", 2)
    heard, go_on = [], asyncio.Event()

    async def listen(what: str) -> None:
        await go_on.wait()
        heard.append(what)

    line = Line("who is slow", listen)
    line.take("first")
    await asyncio.sleep(0)
    for what in ("second", "third", "fourth", "fifth"):
        line.take(what)
    go_on.set()
    await line.finish(5.0)
    assert heard == ["first", "second", "third"]
    assert caplog.messages == ["listener.too_slow: who is slow was not told of 2"]
    go_on.clear()
    line.take("never")
    line.take("nor this")
    await line.finish(0.05)
    await line.finish(0.05)
    assert heard == ["first", "second", "third"]
    assert caplog.messages[1:] == ["listener.given_up: who is slow was not told of 2"]

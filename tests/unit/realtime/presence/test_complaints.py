"""One line for each limit and topic."""

import pytest

from antiphon.realtime.presence.complaints import Complaints


def test_each_thing_is_said_once_until_cleared(capsys: pytest.CaptureFixture[str]) -> None:
    complaints = Complaints()
    for _ in range(100):
        complaints.make("presence.topic_full", "room:1")
        complaints.make("presence.topic_full", "room:2", sent=3)
        complaints.make("presence.state_cut", "room:1")
    assert len(capsys.readouterr().err.splitlines()) == 3
    complaints.clear()
    complaints.make("presence.topic_full", "room:1")
    assert len(capsys.readouterr().err.splitlines()) == 1

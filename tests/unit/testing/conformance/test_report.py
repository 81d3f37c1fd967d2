"""What people and programs read of a run."""

import json

from antiphon.testing.conformance import report
from antiphon.testing.conformance.registry import chosen
from antiphon.testing.conformance.runner import Verdict

KEPT = Verdict("MS-1", "must", "A frame reaches the channel.", "passed", 0.01)
BROKEN = Verdict("MS-4", "must", "A stale frame is dropped.", "failed", 2.0, "nothing", "a reply", ("-> [1]", "<- [2]"))
OURS = Verdict("MS-10", "ours", "An unknown event is answered.", "failed", 2.0, "a reply", "an error")
ABSENT = Verdict("LP-1", "must", "Every answer is JSON.", "not offered", 0.0)


def test_a_run_in_which_everything_holds() -> None:
    assert report.summary([KEPT]) == "1 of 1 rules hold."
    assert report.table([KEPT]).splitlines()[1] == "MS  Messages                     1       0            0"


def test_a_failure_shows_what_was_expected_and_what_was_said() -> None:
    text = report.table([KEPT, BROKEN, OURS, ABSENT])
    assert "MS  Messages                     1       2            0" in text
    assert "LP  Long-poll                    0       0            1" in text
    assert (
        "MS-4: A stale frame is dropped.\n   expected  nothing\n   received  a reply\n      -> [1]\n      <- [2]"
        in text
    )
    assert "MS-10 (our decision, no rule of Phoenix): " in text
    assert text.endswith(
        "1 of 3 rules hold, 1 are of parts that the server does not offer; broken: MS-4; other than we decided: MS-10."
    )


def test_json_holds_everything() -> None:
    (verdict,) = json.loads(report.as_json([BROKEN]))
    assert verdict["transcript"] == ["-> [1]", "<- [2]"]
    assert verdict["outcome"] == "failed"


def test_the_list_says_what_is_ours_and_what_is_slow() -> None:
    lines = report.listing(chosen("HB-4,MS-10")).splitlines()
    assert lines[0].startswith("HB-4   must  slow A socket that says nothing")
    assert lines[1].startswith("MS-10  ours       An event without a handler")

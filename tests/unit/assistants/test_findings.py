"""What is said of an experiment: states, shares, and what is honest to say of them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from antiphon.assistants.findings import Finding, State, report_of
from antiphon.assistants.prompts import Experiment, Variant
from antiphon.storage.experiments import Tally

TODAY = datetime(2026, 11, 21, tzinfo=UTC)
TONE = Experiment(
    name="tone",
    variants=tuple(Variant(name=name, prompt=name, weight=weight) for name, weight in (("plain", 3.0), ("warm", 1.0))),
)


def tally(variant: str, up: int, down: int) -> Tally:
    """Of as many people as thumbs."""
    judges = up + down
    counted = dict.fromkeys(Tally.__struct_fields__[1:-2], 0)
    sums = {"judges": judges, "up": up, "down": down, "up_up": up, "up_all": up, "all_all": judges}
    return Tally(variant=variant, **counted | sums | {"people": judges, "turns": judges, "answered": judges})


@dataclass
class Case:
    changes: dict[str, object] = field(default_factory=dict)
    state: State = "running"


@pytest.mark.parametrize(
    "case",
    [
        Case(),
        Case({"until": TODAY + timedelta(seconds=1)}),
        Case({"until": TODAY}, "over"),
        Case({"paused": True, "until": TODAY}, "paused"),
        Case({"winner": "warm", "paused": True}, "decided"),
    ],
)
def test_a_state_is_what_people_meet(case: Case) -> None:
    assert report_of("tone", structs.replace(TONE, **case.changes), [], TODAY).state == case.state


@pytest.mark.parametrize(
    ("warm", "finding"),
    [
        (tally("warm", 45, 5), "better"),
        (tally("warm", 5, 45), "worse"),
        (tally("warm", 27, 23), "no difference shown"),
        (tally("warm", 5, 4), "not enough data"),
        (None, "not enough data"),
    ],
)
def test_a_variant_is_compared_with_the_first(warm: Tally | None, finding: Finding) -> None:
    stored = [tally("plain", 25, 25), *([warm] if warm else [])]
    first, second = report_of("tone", TONE, stored, TODAY).variants
    assert (first.finding, first.p, first.difference, first.weight) == ("first", None, None, 3.0)
    assert first.success == 0.5
    assert first.interval == pytest.approx((0.3664, 0.6336), abs=5e-5)
    assert second.finding == finding
    assert (second.p is None) == (second.difference is None) == (finding == "not enough data")


def test_the_more_are_compared_the_more_it_takes() -> None:
    """43 of 60 beside 32 of 60 is significant alone (p = 0.038), but not as one of three."""
    plain, warm = tally("plain", 32, 28), tally("warm", 43, 17)
    alone = report_of("tone", TONE, [plain, warm], TODAY).variants[1]
    assert alone.p is not None
    assert alone.p == pytest.approx(0.0381, abs=5e-5)
    assert alone.finding == "better"
    more = tuple(Variant(name=name, prompt=name) for name in ("dry", "odd"))
    wider = structs.replace(TONE, variants=(*TONE.variants, *more))
    others = [tally("dry", 33, 27), tally("odd", 31, 29)]
    together = report_of("tone", wider, [plain, warm, *others], TODAY).variants
    assert together[1].p == pytest.approx(3 * alone.p)
    assert [each.finding for each in together] == ["first", *["no difference shown"] * 3]


def test_results_outlive_their_experiment_and_its_variants() -> None:
    stored = [tally("dry", 1, 0), tally("plain", 2, 0)]
    report = report_of("tone", TONE, stored, TODAY)
    assert [(each.tally.variant, each.weight) for each in report.variants] == [("plain", 3), ("warm", 1), ("dry", None)]
    gone = report_of("tone", None, stored, TODAY)
    assert gone.state == "gone"
    assert [each.tally.variant for each in gone.variants] == ["dry", "plain"]
    assert gone.variants[0].interval is not None

"""What is promised of samples, on SQLite and on PostgreSQL."""

from dataclasses import replace

import pytest

from searcher.workbench.database import Database
from searcher.workbench.ledger import Ledger
from searcher.workbench.records import NewJudgement, Verdict
from searcher.workbench.samples import SampleMissingError, Samples
from tests.workbenches import DRAWN, Clock


def test_a_sample_comes_back_as_it_was_drawn(database: Database, clock: Clock) -> None:
    case = Ledger(database, clock).open_case("Mugs", "", [], "ann")
    samples = Samples(database, clock)
    kept = samples.add(case.case_id, DRAWN, "ann")
    assert kept == samples.last(case.case_id)
    assert (kept.drawn, kept.who, kept.drawn_at, kept.drawn_before) == (DRAWN, "ann", clock.moment, 0)


def test_the_last_sample_of_each_case_counts(database: Database, clock: Clock) -> None:
    ledger, samples = Ledger(database, clock), Samples(database, clock)
    first, second = (ledger.open_case(name, "", [], "ann").case_id for name in ("first", "second"))
    samples.add(first, DRAWN, "ann")
    with pytest.raises(SampleMissingError):
        samples.last(second)
    other = samples.add(first, replace(DRAWN, images=["d"], of=[0], after=7), "bob")
    samples.add(second, DRAWN, "ann")
    assert samples.last(first) == other
    assert (other.drawn_before, samples.last(second).drawn_before) == (1, 0)


def test_verdicts_can_be_asked_for_as_they_were(database: Database, clock: Clock) -> None:
    ledger = Ledger(database, clock)
    assert ledger.last_number() == 0
    case_id = ledger.open_case("Mugs", "", [], "ann").case_id
    ledger.judge(case_id, [NewJudgement("a", Verdict.RELEVANT), NewJudgement("b", Verdict.UNSURE)], "ann")
    then = ledger.last_number()
    ledger.judge(case_id, [NewJudgement("a", Verdict.WITHDRAWN), NewJudgement("c", Verdict.RELEVANT)], "ann")
    assert {one.image_id: one.verdict for one in ledger.verdicts(case_id, then)} == {
        "a": Verdict.RELEVANT,
        "b": Verdict.UNSURE,
    }
    assert {one.image_id for one in ledger.verdicts(case_id)} == {"b", "c"}

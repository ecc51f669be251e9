"""What the workbench's ledger promises, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from searcher.workbench.database import Database, WorkbenchUnavailableError, new_engine
from searcher.workbench.ledger import CaseMissingError, EvidenceMissingError, Ledger
from searcher.workbench.records import CaseSeed, CaseState, Evidence, NewJudgement, Progress, Verdict
from searcher.workbench.tables import METADATA
from shared.errors import ConfigurationError
from tests.workbenches import SECONDS, Clock

SEED = CaseSeed(b"\x01" * 32, "encoder-1", weight=2, image_id="mug-1")
SEARCH = '{"seeds":[{"code":"01"}]}'


@pytest.fixture
def ledger(database: Database, clock: Clock) -> Ledger:
    return Ledger(database, clock)


def relevant(*image_ids: str) -> list[NewJudgement]:
    return [NewJudgement(image_id, Verdict.RELEVANT) for image_id in image_ids]


def test_a_case_comes_back_as_it_was_opened(ledger: Ledger, clock: Clock) -> None:
    opened = ledger.open_case("Blue mugs", "asked by trust & safety", [SEED], "ann")
    found = ledger.case(opened.case_id)
    assert found == opened
    assert (found.name, found.note, found.state) == ("Blue mugs", "asked by trust & safety", CaseState.OPEN)
    assert found.seeds == [SEED]
    assert found.made_at == found.changed_at == clock.moment
    assert found.progress == Progress()


def test_a_case_is_renamed_closed_and_given_more_seeds(ledger: Ledger, clock: Clock) -> None:
    case = ledger.open_case("Mugs", "", [SEED], "ann")
    clock.advance()
    other = CaseSeed(b"\x02" * 32, "encoder-1", weight=-1, url="https://example.com/a.jpg")
    changed = ledger.change_case(case.case_id, {"name": "Red mugs", "state": CaseState.CLOSED}, [other], "bob")
    assert changed == ledger.case(case.case_id)
    assert (changed.name, changed.state, changed.seeds) == ("Red mugs", CaseState.CLOSED, [SEED, other])
    assert changed.changed_at == clock.moment > changed.made_at


def test_an_unknown_case_is_told(ledger: Ledger) -> None:
    with pytest.raises(CaseMissingError):
        ledger.case("0")
    with pytest.raises(CaseMissingError):
        ledger.change_case("0", {}, [SEED], "ann")
    with pytest.raises(CaseMissingError):
        ledger.judge("0", relevant("a"), "ann")
    with pytest.raises(CaseMissingError):
        ledger.entries("0", 0, 10)
    with pytest.raises(CaseMissingError):
        ledger.verdicts("0")


def test_cases_are_listed_by_their_last_change_page_by_page(ledger: Ledger, clock: Clock) -> None:
    names = {}
    for number in range(5):
        if number % 2:
            clock.advance()  # So that some are changed in the same millisecond.
        names[ledger.open_case(f"case {number}", "", [], "ann").case_id] = number
    whole = ledger.cases(None, None, 10)
    assert [names[case.case_id] for case in whole if case.made_at == clock.moment] in ([3, 4], [4, 3])
    listed = []
    after = None
    while page := ledger.cases(None, after, 2):
        listed += page
        after = round(page[-1].changed_at.timestamp() * 1000), page[-1].case_id
    assert listed == whole
    assert len(whole) == 5
    ledger.change_case(whole[-1].case_id, {"state": CaseState.CLOSED}, [], "ann")
    assert [case.case_id for case in ledger.cases(CaseState.CLOSED, None, 10)] == [whole[-1].case_id]
    assert len(ledger.cases(CaseState.OPEN, None, 10)) == 4


def test_the_last_entry_of_an_image_is_its_verdict(ledger: Ledger) -> None:
    case = ledger.open_case("Mugs", "", [SEED], "ann").case_id
    ledger.judge(case, relevant("a", "b", "c"), "ann", SEARCH)
    ledger.judge(case, [NewJudgement("b", Verdict.NOT_RELEVANT)], "bob", SEARCH)
    progress = ledger.judge(case, [NewJudgement("c", Verdict.WITHDRAWN)], "bob")
    assert progress == Progress(relevant=1, not_relevant=1)
    assert {one.image_id: (one.verdict, one.who) for one in ledger.verdicts(case)} == {
        "a": (Verdict.RELEVANT, "ann"),
        "b": (Verdict.NOT_RELEVANT, "bob"),
    }
    assert ledger.case(case).progress == ledger.cases(None, None, 1)[0].progress == progress


def test_nothing_that_was_written_is_lost_from_the_ledger(ledger: Ledger, clock: Clock) -> None:
    case = ledger.open_case("Mugs", "", [SEED], "ann").case_id
    digest = ledger.keep([Evidence("image/webp", b"thumbnail")])[0]
    judgement = NewJudgement("a/b", Verdict.UNSURE, 3, 17, "encoder-1", b"\x00\xff", '{"title":"Blüte"}', digest)
    ledger.judge(case, [judgement], "ann", SEARCH)
    clock.advance()
    ledger.judge(case, [NewJudgement("a/b", Verdict.WITHDRAWN)], "ann")
    first, second = ledger.entries(case, 0, 10)
    assert (first.image_id, first.verdict, first.rank, first.distance) == ("a/b", Verdict.UNSURE, 3, 17)
    assert (first.encoder, first.code, first.search) == ("encoder-1", b"\x00\xff", SEARCH)
    assert (first.image, first.evidence) == ('{"title":"Blüte"}', digest)
    assert (second.verdict, second.search, second.at) == (Verdict.WITHDRAWN, None, clock.moment)
    assert ledger.entries(None, first.number, 10) == [second]
    assert ledger.entries(None, 0, 1) == [first]


def test_what_was_said_already_is_not_written_again(ledger: Ledger) -> None:
    case = ledger.open_case("Mugs", "", [SEED], "ann").case_id
    ledger.judge(case, relevant("a", "a"), "ann", SEARCH)
    ledger.judge(case, relevant("a", "b"), "ann", SEARCH)
    ledger.judge(case, [NewJudgement("c", Verdict.WITHDRAWN)], "ann")
    assert [one.image_id for one in ledger.entries(case, 0, 10)] == ["a", "b"]


def test_cases_do_not_share_verdicts(ledger: Ledger) -> None:
    first, second = (ledger.open_case(name, "", [SEED], "ann").case_id for name in ("Mugs", "Cups"))
    ledger.judge(first, relevant("a"), "ann", SEARCH)
    ledger.judge(second, [NewJudgement("a", Verdict.NOT_RELEVANT)], "ann", SEARCH)
    assert [one.verdict for one in ledger.verdicts(first)] == [Verdict.RELEVANT]
    assert [one.verdict for one in ledger.verdicts(second)] == [Verdict.NOT_RELEVANT]
    assert len(ledger.entries(None, 0, 10)) == 2


def test_pictures_are_kept_once_by_their_bytes(ledger: Ledger) -> None:
    pictures = [Evidence("image/jpeg", b"one"), Evidence("image/webp", b"two"), Evidence("image/jpeg", b"one")]
    digests = ledger.keep(pictures)
    assert digests == ledger.keep(pictures)
    assert digests[0] == digests[2] != digests[1]
    assert [ledger.evidence(digest) for digest in digests] == pictures
    with pytest.raises(EvidenceMissingError):
        ledger.evidence("0" * 64)


def test_analysts_who_judge_at_once_lose_nothing_and_number_in_order(ledger: Ledger) -> None:
    case = ledger.open_case("Mugs", "", [SEED], "ann").case_id
    with ThreadPoolExecutor(4) as pool:
        done = [
            pool.submit(ledger.judge, case, relevant(*(f"{analyst}-{n}" for n in range(5))), analyst, SEARCH)
            for analyst in ("ann", "bob", "eve", "joe")
        ]
        for one in done:
            one.result()
    entries = ledger.entries(case, 0, 100)
    assert len({one.image_id for one in entries}) == len(entries) == 20
    # One call's entries are together: each call is one transaction, one after another.
    assert [entries[start].who for start in range(0, 20, 5)] == [entries[start + 4].who for start in range(0, 20, 5)]


def test_the_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    with database.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_several_searchers_may_open_a_new_database_at_once(address: tuple[str, str | None]) -> None:
    with ThreadPoolExecutor(3) as pool:
        for opened in pool.map(lambda _: Database(new_engine(*address, SECONDS)), range(3)):
            opened.close()


def test_tables_of_a_newer_program_are_refused(database: Database, address: tuple[str, str | None]) -> None:
    with database.transaction(writes=True) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="another version"):
        Database(new_engine(*address, SECONDS))


@pytest.mark.parametrize(
    "url",
    ["mysql://host/db", "sqlite:", "sqlite://relative.db", "postgresql://host", "postgresql://a:secret@host/db"],
)
def test_a_url_that_names_no_workbench_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CATALOGUE_WORKBENCH_URL") as refused:
        new_engine(url, None, SECONDS)
    assert "secret" not in str(refused.value)


def test_a_database_that_is_away_is_told_as_such() -> None:
    with pytest.raises(WorkbenchUnavailableError):
        Database(new_engine("postgresql://nobody@127.0.0.1:1/none", None, SECONDS))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "workbench.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        Database(new_engine(f"sqlite://{path}", None, SECONDS))

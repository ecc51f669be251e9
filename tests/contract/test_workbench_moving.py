"""Copying a workbench out of SQLite, into another file and into PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from searcher.__main__ import main
from searcher.workbench.database import Database, new_engine
from searcher.workbench.moving import copy_workbench
from searcher.workbench.records import CaseSeed, Evidence, NewJudgement, Verdict
from searcher.workbench.tables import METADATA
from searcher.workbench.workbench import Workbench
from shared.errors import ConfigurationError
from tests.workbenches import DRAWN, SECONDS, Clock


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Database]:
    found = Database(new_engine(f"sqlite://{tmp_path}/embedded.db", None, SECONDS))
    yield found
    found.close()


@pytest.fixture
def case_id(source: Database, clock: Clock) -> str:
    """A case with something in most of its tables; more rows than are copied at once."""
    bench = Workbench.over(source, clock)
    (digest,) = bench.ledger.keep([Evidence("image/webp", bytes(range(256)))])
    opened = bench.ledger.open_case(
        "Tassen 茶碗 \N{TEACUP WITHOUT HANDLE}", "", [CaseSeed(b"\0\xff" * 16, "e", evidence=digest)], "ann"
    )
    judged = [NewJudgement(f"mug-{n}", Verdict.RELEVANT, rank=n + 1, code=bytes([n % 256])) for n in range(450)]
    bench.ledger.judge(opened.case_id, judged, "ann", '{"seeds":[]}')
    bench.samples.add(opened.case_id, replace(DRAWN, after=bench.ledger.last_number()), "ann")
    return opened.case_id


def counts(database: Database) -> dict[str, int]:
    with database.transaction() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in METADATA.sorted_tables
        }


def test_a_workbench_is_the_same_elsewhere_and_goes_on_there(
    source: Database, database: Database, case_id: str, clock: Clock
) -> None:
    copied = copy_workbench(source, database)
    assert {table.name: table.rows for table in copied} == counts(source) == counts(database)
    assert next(table.rows for table in copied if table.name == "judgements") == 450
    old, new = Workbench.over(source, clock), Workbench.over(database, clock)
    assert new.ledger.case(case_id) == old.ledger.case(case_id)
    assert new.ledger.entries(case_id, 0, 1000) == old.ledger.entries(case_id, 0, 1000)
    assert new.samples.last(case_id) == old.samples.last(case_id)
    last = new.ledger.last_number()
    new.ledger.judge(case_id, [NewJudgement("another", Verdict.UNSURE)], "bob")
    assert new.ledger.last_number() == last + 1
    new.ledger.open_case("Cups", "", [CaseSeed(b"\0", "e")], "bob")


def test_a_database_that_holds_anything_is_left_alone(
    source: Database, database: Database, case_id: str, clock: Clock
) -> None:
    Workbench.over(database, clock).ledger.keep([Evidence("image/webp", b"kept")])
    before = counts(database)
    with pytest.raises(ConfigurationError, match="not empty: evidence has rows"):
        copy_workbench(source, database)
    assert counts(database) == before
    assert counts(source)["cases"] == 1


def test_the_command_moves_a_workbench(
    source: Database, case_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, to = f"sqlite://{tmp_path}/embedded.db", f"sqlite://{tmp_path}/other/workbench.db"
    command = ["cases", "move", "--workbench-url", url, "--to", to]
    assert main(command) == 0
    assert "450 judgements\n" in capsys.readouterr().out
    assert main(["cases", "--workbench-url", to]) == 0
    assert case_id in capsys.readouterr().out
    assert main(command) == 2
    assert "the target is not empty" in capsys.readouterr().err
    assert main([*command, "--password-file", "/nowhere"]) == 2

"""`indexer verify` with the real programs: faults planted below the stores are found, repaired, and gone; and a worker
that writes meanwhile gives no false alarm."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.document import Document, Kind
from shared.rolling_window import month_of, to_milliseconds
from shared.store import Restriction, Store
from shared.store.elasticsearch import Connection
from shared.store.elasticsearch_documents import index_of
from shared.store.elasticsearch_store import ElasticsearchStore
from shared.store.monthly_indices import Put
from shared.store.opening import open_store
from tests.pictures import jpeg_picture
from tests.programs import Programs, programs, until

IMAGES = 40
THEIR_CODE = b"\x0f\xf0"
MARKERS = 3_000
"""More than a page of a scan."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How a run ended, and its report."""

    exit_code: int
    report: dict[str, Any]

    @property
    def faults(self) -> dict[str, tuple[int, int, list[str]]]:
        """For each fault that was found: how often, how often repaired, and examples."""
        return {
            one["fault"]: (one["found"], one["repaired"], one["examples"])
            for one in self.report["faults"]
            if one["found"]
        }


def verify(job: Programs, *arguments: str) -> Verified:
    done = job.run("indexer", "verify", "--json", *arguments)
    assert done.returncode in (0, 4), done.stderr
    return Verified(done.returncode, json.loads(done.stdout))


def picture_event(image_id: str, version: int, picture: int) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"image_id": image_id, "version": version, "event_time": now, "image": {"bytes": jpeg_picture(picture)}}


def catch_up(job: Programs) -> None:
    job.ok("indexer", "run", "--until-caught-up")


def index_a_catalogue(job: Programs) -> None:
    """Images of version 2, deletes, and one dead letter."""
    now = datetime.now(UTC).isoformat()
    job.append(picture_event(f"image/{number:02}", 2, number) for number in range(IMAGES))
    job.append(
        {"image_id": f"gone/{number:04}", "version": 1, "event_time": now, "deleted": True} for number in range(MARKERS)
    )
    job.append([picture_event("image/00", 9, 0) | {"image": {"bytes": "bm8gcGljdHVyZQ=="}}])
    job.ok("indexer", "fit", "--sample", str(IMAGES))
    catch_up(job)


def plant_in_sqlite(job: Programs, store: Store, missing: str, stale: str, foreign: str) -> None:
    """What only a mistake, or a restored backup, can do to a file that has one row an image."""
    theirs = replace(store.documents([foreign])[foreign], codes={"theirs": THEIR_CODE})
    with closing(sqlite3.connect(job.settings["store_url"].removeprefix("sqlite://"))) as database, database:
        for image_id in (missing, foreign):
            for table in ("codes", "thumbnails"):
                number = "SELECT number FROM documents WHERE image_id = ?"
                database.execute(f"DELETE FROM {table} WHERE document = ({number})", (image_id,))
            database.execute("DELETE FROM documents WHERE image_id = ?", (image_id,))
        database.execute("UPDATE documents SET version = version - 1 WHERE image_id = ?", (stale,))
    store.write([theirs], datetime.now(UTC))


def make_foreign(store: ElasticsearchStore, image_id: str) -> None:
    """Another encoder's code in place of ours, as where an older index was restored."""
    month = month_of(datetime.now(UTC))
    store.indices.prepare(month, {"theirs": len(THEIR_CODE) * 8})
    theirs = replace(store.documents([image_id])[image_id], codes={"theirs": THEIR_CODE})
    store.indices.put([Put(month, theirs, over_equal=True)])
    store.indices.refresh([month])


def plant_in_elasticsearch(store: ElasticsearchStore, url: str, missing: str, stale: str, doubled: list[str]) -> None:
    """Older live copies in last month's index, as a worker leaves them that dies between two puts, or wakes up late."""
    now = datetime.now(UTC)
    older = month_of(now.replace(day=1) - timedelta(days=1))
    found = store.documents([stale, *doubled])
    store.indices.prepare(older, {name: len(code) * 8 for name, code in found[stale].codes.items()})
    copies = [replace(document, version=1) for document in found.values()]
    # One of them is of the same version, as of two workers that wrote the same event in two months.
    copies[-1] = found[doubled[-1]]
    store.indices.put([Put(older, one) for one in copies])
    store.indices.refresh([older])
    connection = Connection([url.replace("elasticsearch", "http")], api_key=None, ca_file=None, seconds=30)
    index = index_of(month_of(now))
    with closing(connection):
        # A deleted document's version is remembered for a minute otherwise.
        connection.ask(lambda client: client.indices.put_settings(index=index, settings={"index.gc_deletes": "0s"}))
        operations = [{"delete": {"_index": index, "_id": image_id}} for image_id in (missing, stale)]
        connection.ask(lambda client: client.bulk(operations=operations, refresh=True))


def plant(job: Programs, store: Store) -> dict[str, tuple[int, list[str]]]:
    """Make faults of every repairable kind; gives how many, with their ids."""
    missing, stale, doubled, foreign = "image/01", "image/02", ["image/03", "image/04"], "image/05"
    store.write([Document("forgotten", Kind.IMAGE, 1, True, 0)], datetime(2024, 1, 5, tzinfo=UTC))
    expected = {
        "missing": (1, [missing]),
        "stale": (1, [stale]),
        "expired": (1, ["2024.01"]),
        "foreign_encoder": (1, [foreign]),
    }
    if isinstance(store, ElasticsearchStore):
        plant_in_elasticsearch(store, job.settings["store_url"], missing, stale, doubled)
        make_foreign(store, foreign)
        return expected | {"doubled": (2, doubled)}
    plant_in_sqlite(job, store, missing, stale, foreign)
    return expected


def test_planted_faults_are_found_repaired_and_gone(job: Programs) -> None:
    index_a_catalogue(job)
    clean = verify(job)
    assert (clean.exit_code, clean.faults) == (0, {})
    assert {name: clean.report[name] for name in ("against", "images", "copies", "records", "not_in_source")} == {
        "against": "source",
        "images": IMAGES + MARKERS,
        "copies": IMAGES + MARKERS,
        "records": IMAGES + MARKERS + 1,
        "not_in_source": 0,
    }
    assert (clean.report["pending"], clean.report["set_aside"], clean.report["unreadable"]) == (0, 1, 0)

    with closing(open_store(job.settings_of_programs())) as store:
        before = store.documents(["image/05"])["image/05"]
        ((encoder_id, code),) = before.codes.items()
        planted = plant(job, store)
        assert not found_at(store, encoder_id, code)
        found = verify(job, "--metrics-file", "catalogue.prom")
        assert found.exit_code == 4
        assert found.faults == {fault: (count, 0, ids) for fault, (count, ids) in planted.items()}
        assert 'catalogue_verify_faults{fault="stale"} 1.0' in (job.folder / "catalogue.prom").read_text()

        repaired = verify(job, "--repair")
        assert (repaired.exit_code, repaired.report["left"]) == (0, 0)
        assert repaired.faults == {fault: (count, count, ids) for fault, (count, ids) in planted.items()}
        catch_up(job)
        second = verify(job)
        assert (second.exit_code, second.faults, second.report["pending"]) == (0, {}, 0)
        kept = store.documents(["image/01", "image/02", "image/03", "image/04", "forgotten"])
        assert {name: (one.kind, one.version) for name, one in kept.items()} == {
            f"image/{number:02}": (Kind.IMAGE, 2) for number in (1, 2, 3, 4)
        }

        # The code is as it was, the other encoder's is still there, and searches find the image again.
        assert store.documents(["image/05"]) == {
            "image/05": replace(before, codes={"theirs": THEIR_CODE, encoder_id: code})
        }
        assert store.thumbnail("image/05") is not None
        until(lambda: found_at(store, encoder_id, code), 10, "the code that was added")

        foreign = Document("foreign", Kind.IMAGE, 1, True, to_milliseconds(datetime.now(UTC)), codes={"x": b"\0\0"})
        store.write([foreign], datetime.now(UTC))
    left = verify(job, "--repair")
    assert (left.exit_code, left.faults) == (4, {"foreign_encoder": (1, 0, ["foreign"])})
    assert (left.report["not_in_source"], left.report["left"]) == (1, 1)


def found_at(store: Store, encoder_id: str, code: bytes) -> bool:
    """Whether a search for just this code finds image/05."""
    found = store.nearest(encoder_id, code, IMAGES, 0, Restriction(visible_after_ms=0)).neighbours
    return "image/05" in {one.document.image_id for one in found}


@pytest.mark.containers
def test_a_worker_that_moves_images_meanwhile_gives_no_false_alarm(
    tmp_path: Path, clean_elasticsearch_url: str
) -> None:
    job = programs(tmp_path, store_url=clean_elasticsearch_url)
    now = datetime.now(UTC)
    job.append(picture_event(f"image/{number:03}", 1, number % 20) for number in range(300))
    job.ok("indexer", "fit", "--sample", "60")
    encoder = open_store(job.settings_of_programs()).active_encoder()
    assert encoder is not None
    with closing(open_store(job.settings_of_programs())) as store:
        # The first versions lie in last month's index, so that every update moves its image.
        codes = {encoder.encoder_id: bytes(encoder.bits // 8)}
        first = [
            Document(f"image/{number:03}", Kind.IMAGE, 1, True, to_milliseconds(now), codes=codes)
            for number in range(300)
        ]
        store.write(first, now.replace(day=1) - timedelta(days=1))
    with job.worker() as worker:
        verified = []
        for versions in ((2, 3), (4, 5)):
            for version in versions:
                job.append(picture_event(f"image/{number:03}", version, number % 20) for number in range(300))
            verified.append(verify(job))
        until(_is_done(job, 1500), 120, "the worker", worker)
        verified.append(verify(job))
    assert [(one.exit_code, one.faults) for one in verified] == [(0, {})] * 3
    # Which of the two met the worker at its work depends on how busy the machine is.
    assert any(one.report["pending"] > 0 for one in verified[:2])
    assert verified[-1].report["copies"] == 600


def _is_done(job: Programs, records: int) -> Callable[[], bool]:
    return lambda: job.worker_metric("records_total") >= records


def test_a_store_that_is_away_ends_it_with_its_own_exit_code(tmp_path: Path) -> None:
    job = programs(tmp_path, store_url="elasticsearch://127.0.0.1:9")
    done = job.run("indexer", "verify")
    assert (done.returncode, done.stdout) == (3, "")
    assert "Elasticsearch can't be reached" in done.stderr


def test_it_prints_a_table_and_what_it_looked_at(tmp_path: Path) -> None:
    job = programs(tmp_path)
    lines = job.ok("indexer", "verify", "--against", "store").splitlines()
    assert [line.split("│")[1].strip() for line in lines if line.startswith("│")] == [
        "doubled",
        "stale",
        "missing",
        "foreign_encoder",
        "expired",
    ]
    assert lines[-1].startswith("0 images (0 copies) compared with the store itself in ")

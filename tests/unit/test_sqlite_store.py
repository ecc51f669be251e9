"""What is particular to the SQLite store: its file, its locks, and a second process beside the writer."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.document import Document, Kind
from shared.errors import ConfigurationError, QueryInvalidError, StoreUnavailableError
from shared.hash_code import subcode_keys
from shared.store import Restriction, WriteOutcome
from shared.store.sqlite import Connection, Database
from shared.store.sqlite_changes import SqliteChangeFeed
from shared.store.sqlite_store import SqliteStore
from shared.watch import WatchList

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ALL = Restriction(visible_after_ms=0)
OLDER = (
    r"of schema version 1, and this program reads 2; name another file, or remove this one, and index again from the "
    "start of the events"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on demand" / "catalogue.db"


def image(image_id: str, version: int = 1) -> Document:
    return Document(image_id, Kind.IMAGE, version, True, 1000, codes={"e": b"\0\0"}, thumbnail=b"x" * 10_000)


def test_what_was_written_is_there_after_reopening(path: Path) -> None:
    first = SqliteStore(path)
    first.write([image("a")], NOW)
    first.close()
    second = SqliteStore(path)
    assert set(second.documents(["a"])) == {"a"}
    second.close()


def test_a_file_from_before_there_were_watches_is_used_as_it_is(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.write([image("a")], NOW)
        with store._database.writing() as connection:
            connection.execute("DROP TABLE watches")
    with closing(SqliteStore(path)) as store:
        assert store.watches_revision() == 0
        store.publish_watches(WatchList(1, []))
        assert (store.watches_revision(), set(store.documents(["a"]))) == (1, {"a"})


def test_every_commit_is_synced_to_the_disk_before_it_is_acknowledged(path: Path) -> None:
    store = SqliteStore(path)
    with store._database.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        ("CREATE TABLE somebody_elses (x)", "of another program"),
        ("PRAGMA user_version = 1", "of another program"),
        ("PRAGMA application_id = 1130460257; PRAGMA user_version = 1; CREATE TABLE x (y)", OLDER),
    ],
)
def test_a_database_of_another_making_is_left_alone(tmp_path: Path, statements: str, what: str) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.executescript(statements)
    other.close()
    with pytest.raises(ConfigurationError, match=f"CATALOGUE_STORE_URL: .*other.db is a database {what}"):
        SqliteStore(path)
    other = sqlite3.connect(path)
    assert other.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'documents'").fetchone() == (0,)
    other.close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_said_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalogue.db"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is no SQLite database, or a damaged one"):
        SqliteStore(path)


def test_a_truncated_file_is_said_so(path: Path) -> None:
    store = SqliteStore(path)
    store.write([image(f"{number}") for number in range(200)], NOW)
    store.close()
    path.write_bytes(path.read_bytes()[: 40 * 4096])
    with pytest.raises(ConfigurationError, match="a damaged one"), closing(SqliteStore(path)) as reopened:
        reopened.documents([f"{number}" for number in range(200)])


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"CATALOGUE_STORE_URL: .*file"):
        SqliteStore(tmp_path / "file" / "catalogue.db")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"CATALOGUE_STORE_URL: .*can't be used"):
        SqliteStore(tmp_path)


def test_a_lock_that_outlasts_the_patience_is_an_outage_that_ends(path: Path) -> None:
    store = SqliteStore(path, busy_seconds=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match=r"was locked by another program for 0\.05 s"):
        store.write([image("a")], NOW)
    assert store.documents(["a"]) == {}, "readers are not kept waiting"
    other.execute("ROLLBACK")
    other.close()
    assert store.write([image("a")], NOW) == [WriteOutcome.WRITTEN]
    store.close()


def test_a_full_disk_is_an_outage_that_leaves_no_half_batch(path: Path) -> None:
    """In a process of its own whose files may not grow beyond 1 MB."""
    script = f"""
import resource
from datetime import UTC, datetime
from pathlib import Path
from shared.errors import StoreUnavailableError
from tests.unit.test_sqlite_store import NOW, image
from shared.store.sqlite_store import SqliteStore
store = SqliteStore(Path({str(path)!r}))
store.write([image("before")], NOW)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    store.write([image(str(number)) for number in range(500)], NOW)
except StoreUnavailableError as error:
    print("waits:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(sorted(store.documents(["before", "0", "499"])))
print([outcome.value for outcome in store.write([image("0")], NOW)])
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    lines = result.stdout.splitlines()
    assert lines[0].startswith("waits: "), result.stderr
    assert lines[1:] == ["['before']", "['written']"]


def test_another_process_reads_what_this_one_has_committed(path: Path) -> None:
    store = SqliteStore(path)
    store.write([image("a")], NOW)
    script = (
        "import sys; from pathlib import Path; from shared.store.sqlite_store import SqliteStore; "
        "store = SqliteStore(Path(sys.argv[1])); print(sorted(store.documents(['a', 'b']))); store.close()"
    )
    run = [sys.executable, "-c", script, str(path)]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "['a']\n"
    store.close()


def test_readers_in_many_threads_see_whole_batches_while_one_writes(path: Path) -> None:
    store = SqliteStore(path)
    stop = threading.Event()
    counts: list[int] = []

    def read() -> None:
        while not stop.is_set():
            counts.append(len(store.nearest("e", b"\0\0", 100, None, ALL).neighbours))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for batch in range(10):
        store.write([image(f"{batch}-{number}") for number in range(7)], NOW)
    stop.set()
    for reader in readers:
        reader.join()
    assert store.visible_count(ALL) == 70
    assert {count % 7 for count in counts} == {0}
    store.close()


def test_dropping_a_month_leaves_nothing_of_it_in_any_table(path: Path) -> None:
    store = SqliteStore(path)
    many = [image(f"{number}") for number in range(6000)]
    store.write([Document("a", Kind.DELETED, 1, True, 0), *many], datetime(2026, 7, 1, tzinfo=UTC))
    assert store.drop_expired(NOW, 3) == ["2026.07"]
    with store._database.reading() as connection:
        for table in ("documents", "codes", "subcodes", "terms", "words", "thumbnails", "months"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    store.close()


def test_a_name_that_sqlite_takes_for_memory_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    SqliteStore(Path(":memory:")).close()
    assert (tmp_path / ":memory:").exists()


def test_common_and_rare_words_find_the_same_images_in_the_same_order(path: Path) -> None:
    store = SqliteStore(path)
    titles = {f"{number:04}": f"blue {'mug' if number % 2 else 'cup'} n{number}" for number in range(2500)}
    documents = [replace(image(image_id), attributes={"title": title}) for image_id, title in titles.items()]
    store.write(documents, NOW)

    def found(*words: str) -> list[str]:
        return [one.image_id for one in store.newest(words, ALL, None, 5000)]

    assert found("blu") == list(titles)
    assert found("blu", "mug") == [image_id for image_id in titles if int(image_id) % 2]
    assert found("blu", "n7", "cup") == [image_id for image_id, title in titles.items() if "cup n7" in title]
    assert found("blue", "red") == []
    store.close()


def coded(image_id: str, code: bytes, version: int = 1) -> Document:
    return replace(image(image_id, version), codes={"e": code}, thumbnail=None)


def test_subcodes_are_found_in_every_run_and_leave_no_rows_behind(path: Path) -> None:
    store = SqliteStore(path)
    store.write([coded("first", b"\0\1\0\2"), coded("updated", b"\0\1\0\2"), coded("deleted", b"\0\1\0\2")], NOW)
    for last in (16_382, 200_000):
        with store._database.writing() as connection:
            connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'documents'", (last,))
        store.write([coded(f"{last}-{number}", b"\0\1\0\3") for number in range(3)], NOW)
    store.write([coded("updated", b"\0\4\0\4", 2), Document("deleted", Kind.DELETED, 2, True, 0)], NOW)
    keys = Restriction(0, subcodes=subcode_keys(b"\0\1\0\2").tolist())
    found = store.nearest("e", b"\0\1\0\3", 10, None, keys).neighbours
    others = [(0, f"{last}-{number}") for last in (16_382, 200_000) for number in range(3)]
    assert [(one.distance, one.document.image_id) for one in found] == [*others, (1, "first")]
    with store._database.reading() as connection:
        # Two of each image that is left.
        assert connection.execute("SELECT count(*) FROM subcodes").fetchone() == (16,)
    store.close()


def test_an_approximate_search_is_refused(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(QueryInvalidError, match="keeps no graph"):
        store.approximately_nearest("e", b"\0\0", 10, None, ALL)
    store.close()


class Interrupted(Database):
    """Reads may fail at their end, when all has been read."""

    failing = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with super().reading() as connection:
            yield connection
            if self.failing:
                raise StoreUnavailableError("the disk went away")


def test_a_step_that_failed_is_given_by_the_next_read(path: Path) -> None:
    store = SqliteStore(path)
    store.write([image(f"{number}") for number in range(5)], datetime(2026, 7, 1, tzinfo=UTC))
    database = Interrupted(path, busy_seconds=1)
    feed = SqliteChangeFeed(database, "e", terms=True, step_changes=3)

    def read() -> tuple[list[str], bool, bool]:
        database.failing = True
        with pytest.raises(StoreUnavailableError):
            feed.read()
        database.failing = False
        step = feed.read()
        return [one.image_id for one in step.changes], step.caught_up, step.lost

    assert read() == (["0", "1", "2"], False, False)
    assert read() == (["3", "4"], True, False)
    store.write([image("1", 2), image("new")], NOW)
    assert read() == (["1", "new"], True, False)
    store.drop_expired(NOW, 3)
    assert read() == (["1", "new"], True, True)
    assert read() == ([], True, False)
    database.close()
    store.close()

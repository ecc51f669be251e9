"""Rows out of the cache are those that would be computed, and no state of the file gives wrong ones."""

import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from shared.encoding.embedder import EmbedderSpec
from shared.encoding.embedding_cache import CachedEmbedder, EmbeddingCache
from shared.encoding.opening import open_embedder
from shared.errors import ConfigurationError, DependencyUnavailableError
from shared.settings import Settings
from tests.pictures import draw

MEBIBYTE = 1 << 20
SPEC = EmbedderSpec("fake", "means", "ab" * 32, "float32", "pixels/1", 48)

Pixels = NDArray[np.uint8]


@dataclass
class CountingEmbedder:
    """Means of 4 x 4 fields as float32; counts the pictures. A black picture gives NaN."""

    spec: EmbedderSpec = SPEC
    batch_size: int = 8
    factor: float = 1.0
    computed: list[int] = field(default_factory=list)

    def embed(self, pixels: Pixels) -> NDArray[np.float32]:
        self.computed.append(len(pixels))
        means = pixels.reshape(len(pixels), 4, 56, 4, 56, 3).mean(axis=(2, 4)).reshape(len(pixels), 48) * self.factor
        means[(pixels == 0).all(axis=(1, 2, 3))] = np.nan
        return np.asarray(means, np.float32)


def pictures(count: int, seed: int = 0) -> Pixels:
    return np.stack([np.asarray(draw(224, 224, seed + n)) for n in range(count)])


def cached(path: Path, embedder: CountingEmbedder, conditions: str = "", bytes_max: int = MEBIBYTE) -> CachedEmbedder:
    return CachedEmbedder(embedder, EmbeddingCache(path, bytes_max), conditions)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "embeddings.db"


@pytest.fixture
def filled(path: Path) -> Path:
    """A cache with the rows of `pictures(6)`."""
    cached(path, CountingEmbedder()).embed(pictures(6))
    return path


def test_only_new_pictures_are_computed_and_every_row_has_its_place(filled: Path) -> None:
    embedder = CountingEmbedder()
    images = pictures(9)[::-1]
    rows = cached(filled, embedder).embed(images)
    assert embedder.computed == [3]
    np.testing.assert_array_equal(rows, CountingEmbedder().embed(images))
    assert rows.dtype == np.float32


def test_a_real_embedder_gives_the_same_bits_from_the_cache(path: Path) -> None:
    given = {"embedder": "classic", "embedding_cache": path}
    images = pictures(3)
    expected = open_embedder(Settings(_env_file=None, embedder="classic")).embed(images)
    for _ in range(2):
        opened = open_embedder(Settings(_env_file=None, **given))  # type: ignore[arg-type]
        assert opened.embed(images).tobytes() == expected.tobytes()
    (rows,) = sqlite3_rows(path, "SELECT count(*) FROM embeddings")
    assert rows == (3,)


@pytest.mark.parametrize(
    ("embedder", "conditions"),
    [
        (CountingEmbedder(EmbedderSpec("fake", "means", "cd" * 32, "float32", "pixels/1", 48)), ""),
        (CountingEmbedder(EmbedderSpec("fake", "means", "ab" * 32, "bfloat16", "pixels/1", 48)), ""),
        (CountingEmbedder(batch_size=4), ""),
        (CountingEmbedder(), "another device"),
    ],
    ids=["weights", "number format", "batch", "conditions"],
)
def test_rows_of_another_network_or_under_other_conditions_are_not_taken(
    embedder: CountingEmbedder, conditions: str, filled: Path
) -> None:
    cached(filled, embedder, conditions).embed(pictures(6))
    assert sum(embedder.computed) == 6


def test_rows_that_are_not_finite_are_not_kept(path: Path) -> None:
    embedder = CountingEmbedder()
    black = np.zeros((1, 224, 224, 3), np.uint8)
    for _ in range(2):
        assert np.isnan(cached(path, embedder).embed(black)).all()
    assert embedder.computed == [1, 1]


def test_a_row_that_was_damaged_is_computed_again_and_replaced(filled: Path) -> None:
    with sqlite3.connect(filled) as connection:
        connection.execute("UPDATE embeddings SET row = zeroblob(192) WHERE rowid = 2")
        connection.execute("UPDATE embeddings SET row = substr(row, 1, 100) WHERE rowid = 3")
    connection.close()
    embedder = CountingEmbedder()
    opened = cached(filled, embedder)
    with capture_logs() as logs:
        for _ in range(2):
            np.testing.assert_array_equal(opened.embed(pictures(6)), CountingEmbedder().embed(pictures(6)))
    assert embedder.computed == [2]
    assert [(entry["event"], entry["rows"]) for entry in logs] == [("embedding_cache_rows_damaged", 2)]


def test_damage_that_shows_while_it_is_used_turns_the_cache_off(filled: Path) -> None:
    embedder = CountingEmbedder()
    opened = cached(filled, embedder)
    with filled.open("r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(b"\xff" * len(content))
    with capture_logs() as logs:
        for _ in range(2):
            np.testing.assert_array_equal(opened.embed(pictures(6)), CountingEmbedder().embed(pictures(6)))
    assert embedder.computed == [6, 6]
    assert [entry["event"] for entry in logs] == ["embedding_cache_off"]


def test_a_full_cache_keeps_what_it_has_and_takes_no_more(path: Path) -> None:
    embedder = CountingEmbedder()
    opened = cached(path, embedder, bytes_max=32 * 1024)
    with capture_logs() as logs:
        for start in range(0, 200, 50):
            opened.embed(noise(50, seed=start))
    assert [entry["event"] for entry in logs] == ["embedding_cache_full"]
    assert path.stat().st_size <= 32 * 1024
    assert embedder.computed == [50] * 4
    opened.embed(noise(50, seed=0))
    assert embedder.computed == [50] * 4


def noise(count: int, seed: int) -> Pixels:
    """Pictures that are cheap to make."""
    levels = np.random.default_rng(seed).integers(1, 256, (count, 1, 1, 3), dtype=np.uint8)
    return np.broadcast_to(levels, (count, 224, 224, 3))


def test_while_another_writes_pictures_are_computed_and_later_ones_kept(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.encoding.embedding_cache._BUSY_SECONDS", 0.01)
    embedder = CountingEmbedder()
    opened = cached(filled, embedder)
    other = sqlite3.connect(filled)
    other.execute("BEGIN IMMEDIATE")
    with capture_logs() as logs:
        opened.embed(pictures(8))
    assert [entry["event"] for entry in logs] == ["embedding_cache_busy"]
    with pytest.raises(DependencyUnavailableError, match="locked by another program"):
        EmbeddingCache(filled, MEBIBYTE)
    other.rollback()
    other.close()
    for _ in range(2):
        opened.embed(pictures(8))
    assert embedder.computed == [2, 2]


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, "other program"], ids=["no database", "other program"]
)
def test_a_file_of_another_kind_is_told_and_left_as_it_is(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "something.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE theirs (value)")
        connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"CATALOGUE_EMBEDDING_CACHE: .*something\.db can't be used"):
        EmbeddingCache(path, MEBIBYTE)
    if isinstance(content, bytes):
        assert path.read_bytes() == before
    else:
        assert sqlite3_rows(path, "SELECT name FROM sqlite_schema") == [("theirs",)]


def test_a_place_where_nothing_can_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="CATALOGUE_EMBEDDING_CACHE"):
        EmbeddingCache(tmp_path / "file" / "cache.db", MEBIBYTE)
    with pytest.raises(ConfigurationError, match="CATALOGUE_EMBEDDING_CACHE"):
        EmbeddingCache(tmp_path, MEBIBYTE)


SCRIPT = """
import sys
from pathlib import Path
from tests.unit.test_embedding_cache import CountingEmbedder, cached, noise
opened = cached(Path(sys.argv[1]), CountingEmbedder(), bytes_max=1 << 30)
for turn in range(20):
    opened.embed(noise(10, seed=turn))
"""


def test_several_processes_fill_one_cache_at_once(path: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], stderr=subprocess.PIPE) for _ in range(3)]
    assert [(each.communicate()[1], each.returncode) for each in running] == [(b"", 0)] * 3
    embedder = CountingEmbedder()
    for turn in range(20):
        images = noise(10, seed=turn)
        np.testing.assert_array_equal(cached(path, embedder).embed(images), CountingEmbedder().embed(images))
    assert embedder.computed == []


def sqlite3_rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute(statement).fetchall()
    connection.close()
    return rows

"""Measures, their conventions, ties, and what is computed beside them."""

import gzip
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from indexer.training.validation import mean_average_precision
from searcher.evaluation import trec
from searcher.evaluation.curves import RECALL_LEVELS, cosine, draw_curves, hamming
from searcher.evaluation.measures import measure
from searcher.evaluation.ranking import Ranking, rank_by_cosine, reduced_by_pca, unit_rows
from searcher.evaluation.statistics import bit_statistics, bootstrap, places_by_quality, recall_of, vote
from searcher.evaluation.task import Task, TaskRules, divide
from shared.errors import ConfigurationError
from tests.evaluations import NO_CODES, average_precision, leave_one_out, pictures, ranking


def ignore(_: int) -> None:
    """No progress bar."""


def random_task(
    seed: int, count: int = 40, classes: int = 4
) -> tuple[Task, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    random = np.random.default_rng(seed)
    rows = unit_rows(random.standard_normal((count, 8)).astype(np.float32))
    return leave_one_out(*(f"c{label}" for label in random.integers(0, classes, count))), rows


def test_measures_are_those_of_a_brute_force_by_their_definitions() -> None:
    task, rows = random_task(1)
    k = 12
    columns = measure(task, rank_by_cosine(task, rows, rows, k, ignore), ignore)
    for query, picture in enumerate(task.queries):
        label = picture.attributes["category"]
        others = [place for place in range(len(rows)) if place != query]
        others.sort(key=lambda place: (1 - float(rows[query] @ rows[place]), task.gallery[place].image_id))
        good = [task.gallery[place].attributes["category"] == label for place in others]
        relevant, found = sum(good), sum(good[:k])
        expected = {
            f"AP@{k}": average_precision(good[:k], relevant),
            f"AP@{k}/min({k},R)": average_precision(good[:k], min(k, relevant)),
            f"AP@{k}/found": average_precision(good[:k], found),
            "P@10": sum(good[:10]) / 10,
            f"P@{k}": found / k,
            f"R@{k}": found / relevant,
            f"nDCG@{k}": sum(one / np.log2(rank + 2) for rank, one in enumerate(good[:k]))
            / sum(1 / np.log2(rank + 2) for rank in range(min(k, relevant))),
            "RR": next((1 / rank for rank, one in enumerate(good[:k], start=1) if one), 0.0),
            "Success@1": float(good[0]),
            "Success@20": float(any(good[:k])),
        }
        assert {name: pytest.approx(column[query], abs=1e-6) for name, column in columns.items()} == expected


def test_training_measures_what_trec_eval_does() -> None:
    # Of one class there are more than can be among 100 hits, which is where conventions differ.
    shown = pictures(*["frequent"] * 220, *["rare"] * 60)
    rows = unit_rows(np.random.default_rng(3).standard_normal((len(shown), 8)).astype(np.float32))
    row_of = {picture.image_id: row for picture, row in zip(shown, rows, strict=True)}
    task = divide(shown, TaskRules(queries="held-out:20", relevance=["category"]))
    assert min(task.relevant_counts()) < 100 < max(task.relevant_counts())
    queries, gallery = (np.stack([row_of[one.image_id] for one in side]) for side in (task.queries, task.gallery))
    by_trec_eval = measure(task, rank_by_cosine(task, queries, gallery, 100, ignore), ignore)["AP@100/min(100,R)"]
    found = mean_average_precision(queries, gallery, task.query_labels, task.gallery_labels, seed=0)
    assert found == pytest.approx(by_trec_eval.mean(), abs=1e-6)


def test_equal_distances_count_in_the_order_of_ids_and_not_in_that_of_trec_eval() -> None:
    task = leave_one_out("a", "b", "a")
    # The query 0 meets 1 and 2 at the same distance: 1, which is not relevant, comes first.
    hits = [[(5.0, 1), (5.0, 2)], [(1.0, 0)], [(5.0, 0), (5.0, 1)]][: len(task.queries)]
    assert measure(task, ranking([hits[0], [(5.0, 0), (5.0, 1)]], 2), ignore)["RR"].tolist() == [0.5, 1.0]


def test_a_query_that_finds_nothing_relevant_measures_nothing() -> None:
    task = leave_one_out("a", "a", "b")
    columns = measure(task, ranking([[(1.0, 2)], []], 1), ignore)
    assert {name: column.tolist() for name, column in columns.items()} == {name: [0.0, 0.0] for name in columns}


def test_many_judgements_are_measured_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task, rows = random_task(2)
    hits = rank_by_cosine(task, rows, rows, 10, ignore)
    at_once = measure(task, hits, ignore)
    monkeypatch.setattr("searcher.evaluation.measures._JUDGEMENTS_AT_ONCE", 30)
    told: list[int] = []
    in_blocks = measure(task, hits, told.append)
    assert len(told) > 10
    assert sum(told) == len(task.queries)
    assert all((at_once[name] == in_blocks[name]).all() for name in at_once)


def test_trec_files_load_again_and_measure_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, rows = random_task(3)
    hits = rank_by_cosine(task, rows, rows, 10, ignore)
    expected = measure(task, hits, ignore)["AP@10"].mean()
    run, qrels = trec.write_run(task, hits, "float", tmp_path), trec.write_qrels(task, tmp_path)
    monkeypatch.setattr(trec, "PLAIN_LINES_MAX", 10)
    packed = trec.write_run(task, hits, "float", tmp_path)
    assert packed.suffix == ".gz"
    assert gzip.decompress(packed.read_bytes()) == run.read_bytes()
    for file in (run, packed):
        measured = ir_measures.calc_aggregate(
            [ir_measures.parse_measure("AP@10")],
            list(ir_measures.read_trec_qrels(str(qrels))),  # type: ignore[no-untyped-call]
            list(ir_measures.read_trec_run(str(file))),  # type: ignore[no-untyped-call]
        )
        assert list(measured.values()) == [pytest.approx(expected)]


def test_a_bootstrap_interval_holds_the_mean_and_is_the_same_for_a_seed() -> None:
    values = {"x": np.random.default_rng(0).normal(0.5, 0.1, 400), "constant": np.full(400, 0.25)}
    first, again = (bootstrap(values, np.random.default_rng(7)) for _ in range(2))
    assert first == again
    # The standard error is 0.005, so the interval is about 0.02 wide.
    assert first["x"].low < first["x"].mean < first["x"].high
    assert first["x"].high - first["x"].low == pytest.approx(0.0196, abs=0.003)
    assert (first["constant"].low, first["constant"].high) == (0.25, 0.25)


def test_recall_counts_the_exact_hits_that_were_found() -> None:
    exact = ranking([[(1.0, 1), (2.0, 2)], [(1.0, 0)]], 2)
    found = ranking([[(1.0, 2), (2.0, 3)], [(1.0, 0), (3.0, 2)]], 2)
    assert recall_of(exact, found).tolist() == [0.5, 1.0]


def test_neighbours_vote_and_of_equal_votes_the_nearest_wins() -> None:
    task = leave_one_out("a", "a", "b", "b", "b")
    nearest = [[(1.0, 1), (2.0, 2)], [(1.0, 2), (2.0, 0)], [(1.0, 3)], [(1.0, 0), (2.0, 1)], []]
    voted = vote(task, ranking(nearest, 2), 2)
    assert voted.by_class == {"a": (0.5, 2), "b": (pytest.approx(1 / 3), 3)}
    assert voted.accuracy == pytest.approx(2 / 5)


def test_exact_ranking_marks_a_cut_through_a_tie() -> None:
    task = leave_one_out("a", "a", "a", "a")
    rows = np.array([[1, 0], [0, 1], [0, 1], [1, 0]], np.float32)
    hits = rank_by_cosine(task, rows, rows, 2, ignore)
    assert hits.places.tolist() == [[3, 1], [2, 0], [1, 0], [0, 1]]
    assert hits.tied.tolist() == [True, True, True, True]
    assert not rank_by_cosine(task, rows, rows, 3, ignore).tied.any()


def test_a_ranking_is_read_as_it_was_written_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    hits = ranking([[(1.0, 1)]], 2, np.array([[255], [1]], np.uint8))
    hits.save(tmp_path / "ranking.npz")
    read = Ranking.load(tmp_path / "ranking.npz")
    assert read.places.tolist() == [[1, -1]]
    assert read.gallery_codes.tolist() == [[255], [1]]
    (tmp_path / "ranking.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ConfigurationError, match="delete it"):
        Ranking.load(tmp_path / "ranking.npz")


def test_pca_keeps_the_directions_that_differ_most() -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((50, 6)) * [9, 5, 0.01, 0.01, 0.01, 0.01]
    gallery = rows.astype(np.float32)
    _, reduced = reduced_by_pca(gallery[:3], gallery, 2)
    centred = gallery - gallery.mean(axis=0)
    plain = unit_rows(np.ascontiguousarray(centred[:, :2]))
    assert np.abs(reduced @ reduced.T - plain @ plain.T).max() < 0.01
    with pytest.raises(ConfigurationError, match="float-pca:7"):
        reduced_by_pca(gallery, gallery, 7)


def test_bits_that_never_change_have_no_entropy_and_no_correlation() -> None:
    found = bit_statistics(np.array([[0b10000001], [0b00000001], [0b10000011], [0b00000011]], np.uint8))
    assert found.ones.tolist() == [0.5, 0, 0, 0, 0, 0, 0.5, 1]
    assert found.entropy == pytest.approx(2 / 8)
    assert found.correlations.max() == pytest.approx(0)
    assert found.distinct == 4


def test_curves_of_a_perfect_order_are_perfect() -> None:
    task = leave_one_out("a", "a", "a", "b", "b", "b")
    codes = np.array([[0], [1], [3], [255], [254], [252]], np.uint8)
    curves = draw_curves(task, hamming(codes, codes), np.random.default_rng(0))
    assert curves.precision.tolist() == [1.0] * len(RECALL_LEVELS)
    assert (curves.recall[0], curves.recall[-1]) == (0.0, 1.0)
    # No relevant pair is more than 2 of 8 bits apart, no other pair less than 5.
    assert curves.recall[np.searchsorted(curves.radii, 0.25)] == 1.0
    assert curves.relevant[curves.radii > 0.25].sum() == 0
    assert curves.others[curves.radii < 0.6].sum() == 0
    assert curves.returned[np.searchsorted(curves.radii, 0.25)] == pytest.approx(2 / 5)


def test_half_of_one_minus_cosine_is_the_distance_of_floats() -> None:
    rows = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    assert cosine(rows, rows)(0).tolist() == [0.0, 0.5, 1.0]


def test_the_best_and_the_worst_queries_are_told_in_order() -> None:
    assert places_by_quality(np.array([0.5, 1.0, 0.0, 0.5]), 2) == ([1, 0], [2, 0])


def test_no_codes_means_an_empty_array() -> None:
    task, rows = random_task(4, count=12, classes=2)
    assert rank_by_cosine(task, rows, rows, 3, ignore).gallery_codes.shape == NO_CODES.shape

"""Learned codes: they find what labels and judgements say, are the same each time, and refuse what teaches nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.fitting import Sample
from indexer.training.command import Request, learned
from indexer.training.evidence import Evidence, read_labels, read_triplets
from indexer.training.hash_head import HeadOptions, learn_head
from indexer.training.validation import mean_average_precision
from shared.document import Attributes
from shared.encoding.binarizer import Binarizer
from shared.encoding.classic import ClassicEmbedder
from shared.errors import ConfigurationError

KINDS = ("hat", "shoe", "skirt", "shirt")
OPTIONS = HeadOptions(bits=32, share=0.5)
REQUEST = Request(["category"], {}, None, 1000, 0.25, OPTIONS)


def catalogue(each: int = 40, dimensions: int = 24, seed: int = 0) -> Sample:
    """Categories that lie a little apart along directions of their own, under larger differences that mean nothing."""
    generator = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(len(KINDS)), each)
    rows = generator.standard_normal((len(kinds), dimensions))
    rows[:, : len(KINDS)] *= 0.3
    rows[np.arange(len(kinds)), kinds] += 1.2
    fields: list[Attributes] = [{"category": KINDS[kind], "item_id": f"item {n // 2}"} for n, kind in enumerate(kinds)]
    return Sample([f"image {number:03}" for number in range(len(kinds))], rows.astype(np.float32), fields)


def unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)


def precision(head: Binarizer, sample: Sample) -> float:
    """The mean share of a picture's category among the ten nearest others."""
    signs = np.where(np.unpackbits(head.encode(unit(sample.embeddings)), axis=1), 1, -1).astype(np.float32)
    kinds = np.array([str(each["category"]) for each in sample.fields])
    products = signs @ signs.T
    np.fill_diagonal(products, -np.inf)
    nearest = np.argsort(-products, axis=1, kind="stable")[:, :10]
    return float((kinds[nearest] == kinds[:, None]).mean())


def head_of(sample: Sample, evidence: Evidence, options: HeadOptions = OPTIONS) -> Binarizer:
    head, _ = learn_head(unit(sample.embeddings), evidence, options)
    return head


def test_learned_bits_find_the_labels_in_new_pictures() -> None:
    sample, new = catalogue(), catalogue(seed=1)
    evidence = read_labels(sample, ["category"], {})
    none, half, every = (
        precision(head_of(sample, evidence, replace(OPTIONS, share=share)), new) for share in (0, 0.5, 1)
    )
    assert none < 0.5
    assert min(half, every) > 0.75


def test_the_same_evidence_and_seed_give_the_same_bytes() -> None:
    first, second = (learned(ClassicEmbedder(), catalogue(), REQUEST)[0] for _ in range(2))
    other, _ = learned(ClassicEmbedder(), catalogue(), replace(REQUEST, options=replace(OPTIONS, seed=1)))
    assert first.to_stored() == second.to_stored()
    assert first.encoder_id != other.encoder_id
    assert "-learned-32-" in first.encoder_id


def test_a_stored_head_gives_the_same_codes_whatever_the_batch() -> None:
    sample = catalogue()
    head = head_of(sample, read_labels(sample, ["category"], {}))
    rows = unit(sample.embeddings)
    read = Binarizer.from_bytes(head.to_bytes())
    assert (read.kind, read.bits, read.digest) == ("learned", 32, head.digest)
    assert np.array_equal(read.encode(rows), np.concatenate([head.encode(row[None]) for row in rows]))


def test_judgements_teach_what_no_field_says(tmp_path: Path) -> None:
    sample = catalogue()
    generator = np.random.default_rng(3)
    file = tmp_path / "judgements.jsonl"
    with file.open("w") as lines:
        for anchor in range(160):
            same = anchor // 40 * 40 + int(generator.integers(40))
            other = (anchor + int(generator.integers(40, 120))) // 40 % 4 * 40 + int(generator.integers(40))
            names = {"anchor": anchor, "positive": same, "negative": other}
            lines.write(json.dumps({role: f"image {number:03}" for role, number in names.items()}) + "\n")
        lines.write(json.dumps({"anchor": "image 000", "positive": "gone", "negative": "image 001"}) + "\n")
    triplets, unknown = read_triplets(file, sample.image_ids)
    assert (triplets.shape, unknown) == ((160, 3), 1)
    taught = head_of(sample, Evidence({}, triplets), replace(OPTIONS, share=1))
    untaught = head_of(sample, read_labels(sample, ["category"], {}), replace(OPTIONS, share=0))
    assert precision(taught, catalogue(seed=1)) > precision(untaught, catalogue(seed=1)) + 0.1
    encoder, report = learned(ClassicEmbedder(), sample, replace(REQUEST, labels=[], triplets=file))
    assert (report.triplets, report.triplets_unknown, report.validation) == (160, 1, None)
    assert encoder.bits == 32


def test_images_with_a_left_out_value_take_no_part() -> None:
    request = replace(REQUEST, left_out={"category": ["hat"]})
    sample = catalogue()
    changed = sample.embeddings.copy()
    changed[:40] = np.random.default_rng(9).standard_normal((40, 24))
    first, report = learned(ClassicEmbedder(), sample, request)
    second, _ = learned(ClassicEmbedder(), Sample(sample.image_ids, changed, sample.fields), request)
    assert first.to_stored() == second.to_stored()
    assert (report.pictures, report.left_out_pictures) == (120, 40)
    assert sorted(report.labels["category"]) == ["shirt", "shoe", "skirt"]


def test_lists_and_missing_fields_are_labels_and_none() -> None:
    fields: list[Attributes] = [{"tag": ["a", "b"]}, {"tag": "a"}, {"tag": ["b"]}, {"other": 1}, {"tag": "c"}]
    sample = Sample(list("vwxyz"), np.eye(5, dtype=np.float32), fields)
    evidence = read_labels(sample, ["tag"], {})
    assert {value: rows.tolist() for value, rows in evidence.labels["tag"].items()} == {"a": [0, 1], "b": [0, 2]}


def test_the_report_measures_on_what_was_held_out() -> None:
    _, report = learned(ClassicEmbedder(), catalogue(), REQUEST)
    assert report.validation is not None
    assert report.validation.seen.queries == 40
    assert report.validation.seen.learned > report.validation.seen.itq
    assert report.validation.unseen is not None
    assert set(report.validation.unseen_values) < set(KINDS)
    assert json.loads(report.to_json())["validation"]["seen"]["queries"] == 40


def test_average_precision_counts_the_reachable_ranks_and_leaves_ties_to_chance() -> None:
    index = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    values = np.array([0, 0, 1, 1])
    found = [mean_average_precision(index[:1], index, np.array([0]), values, seed) for seed in range(40)]
    # First is the picture itself or its tie; the other picture of its value is third or fourth.
    assert set(np.round(found, 6)) == {round(value, 6) for value in (5 / 6, 3 / 4, 7 / 12, 1 / 2)}


@pytest.mark.parametrize(
    ("labels", "left_out", "message"),
    [
        ([], {}, "--labels or --triplets is needed"),
        (["colour"], {}, "no sampled picture has the attribute 'colour'; there are: category, item_id"),
        (["category"], {"category": ["hat", "shoe", "skirt"]}, "'category' has 1 values among 40 pictures, of which 1"),
        (["category"], {"colour": ["red"]}, "no sampled picture has the attribute 'colour'"),
    ],
)
def test_evidence_that_teaches_nothing_is_refused(
    labels: list[str], left_out: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        learned(ClassicEmbedder(), catalogue(), replace(REQUEST, labels=labels, left_out=left_out))


def test_labels_on_single_pictures_are_refused() -> None:
    sample = catalogue(each=2)
    alone: list[Attributes] = [{"sku": str(number)} for number in range(8)]
    with pytest.raises(ConfigurationError, match="'sku' has 8 values among 8 pictures, of which 0 have two"):
        read_labels(Sample(sample.image_ids, sample.embeddings, alone), ["sku"], {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"anchor": "x", "positive": "y", "negative": "z"}\n', "no triplet is left: 1 name images"),
        ('{"anchor": "x"}\n', "a line is no"),
        ("nonsense\n", "a line is no"),
        (None, "No such file"),
    ],
)
def test_triplets_that_teach_nothing_are_refused(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "triplets.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        read_triplets(file, ["image 1"])

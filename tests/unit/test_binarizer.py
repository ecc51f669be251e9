import io

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.encoding.binarizer import Binarizer, fit_binarizer
from shared.errors import ConfigurationError

KINDS = ("itq", "pca-rotation", "hyperplanes", "hyperplanes-centred", "median")
RANDOM_KINDS = KINDS[:-1]
PRINCIPAL_KINDS = KINDS[:2]


def rows(count: int = 300, dimensions: int = 48, seed: int = 0) -> NDArray[np.float64]:
    """Correlated rows away from the origin, with variances that fall."""
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((dimensions, dimensions)) * np.linspace(1, 0.1, dimensions)
    return generator.standard_normal((count, dimensions)) @ mixing + 3


def bits_of(binarizer: Binarizer, embeddings: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.unpackbits(binarizer.encode(embeddings), axis=1).astype(bool)


def principal_directions(embeddings: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """By singular values: another way than the binarizer's."""
    return np.linalg.svd(embeddings - embeddings.mean(axis=0), full_matrices=False)[2][:count].T


# Each kind against its plain definition -------------------------------------------------------------------------------


def test_median_bits_say_which_dimensions_lie_above_their_median() -> None:
    embeddings = rows(101, 32)
    binarizer, warnings = fit_binarizer(embeddings, 32, "median", seed=0)
    assert warnings == ()
    assert np.array_equal(bits_of(binarizer, embeddings), embeddings > np.median(embeddings, axis=0))


def test_median_takes_the_dimensions_of_largest_variance_in_their_order() -> None:
    embeddings = rows(100, 40) * np.tile([0.01, 5.0], 20)
    binarizer, _ = fit_binarizer(embeddings, 16, "median", seed=0)
    chosen = sorted(np.argsort(embeddings.var(axis=0))[-16:])
    assert np.array_equal(bits_of(binarizer, embeddings), (embeddings > np.median(embeddings, axis=0))[:, chosen])


def test_median_bits_are_balanced() -> None:
    embeddings = rows(200, 32)
    binarizer, _ = fit_binarizer(embeddings, 32, "median", seed=0)
    assert bits_of(binarizer, embeddings).sum(axis=0).tolist() == [100] * 32


def test_hyperplanes_are_gaussian_and_pass_through_the_origin() -> None:
    embeddings = rows()
    binarizer, _ = fit_binarizer(embeddings, 64, "hyperplanes", seed=5)
    normals = np.random.default_rng(5).standard_normal((48, 64))
    assert np.array_equal(bits_of(binarizer, embeddings), embeddings @ normals > 0)


def test_centred_hyperplanes_pass_through_the_mean() -> None:
    embeddings = rows()
    binarizer, _ = fit_binarizer(embeddings, 64, "hyperplanes-centred", seed=5)
    normals = np.random.default_rng(5).standard_normal((48, 64))
    assert np.array_equal(bits_of(binarizer, embeddings), (embeddings - embeddings.mean(axis=0)) @ normals > 0)


def test_hyperplanes_differ_in_proportion_to_the_angle() -> None:
    angle = np.pi / 3
    pair = np.zeros((2, 48))
    pair[0, 0] = 1
    pair[1, :2] = np.cos(angle), np.sin(angle)
    binarizer, _ = fit_binarizer(rows(), 4096, "hyperplanes", seed=1)
    first, second = bits_of(binarizer, pair)
    assert np.mean(first != second) == pytest.approx(angle / np.pi, abs=0.03)


@pytest.mark.parametrize("kind", PRINCIPAL_KINDS)
@pytest.mark.parametrize("count", [300, 40], ids=["more rows than dimensions", "fewer rows than dimensions"])
def test_principal_kinds_rotate_the_principal_components(kind: str, count: int) -> None:
    embeddings = rows(count)
    binarizer, warnings = fit_binarizer(embeddings, 16, kind, seed=0)
    directions = principal_directions(embeddings, 16)
    rotation = directions.T @ binarizer.projection
    assert warnings == ()
    assert np.allclose(directions @ rotation, binarizer.projection, atol=1e-6)
    assert np.allclose(rotation @ rotation.T, np.eye(16), atol=1e-6)
    assert np.allclose(binarizer.thresholds, embeddings.mean(axis=0) @ binarizer.projection)


def test_itq_is_a_fixed_point_of_its_two_steps() -> None:
    embeddings = rows(500)
    binarizer, _ = fit_binarizer(embeddings, 16, "itq", seed=0)
    projected = embeddings @ binarizer.projection - binarizer.thresholds
    vertices = np.where(projected > 0, 1.0, -1.0)
    left, _, right = np.linalg.svd(vertices.T @ projected)
    best = projected @ (right.T @ left.T)
    loss, best_loss = (np.sum((vertices - each) ** 2) for each in (projected, best))
    assert best_loss <= loss <= best_loss * 1.001


def test_itq_loses_less_than_a_random_rotation() -> None:
    embeddings = rows(500)
    losses = {}
    for kind in PRINCIPAL_KINDS:
        binarizer, _ = fit_binarizer(embeddings, 32, kind, seed=0)
        projected = embeddings @ binarizer.projection - binarizer.thresholds
        losses[kind] = np.sum((np.sign(projected) - projected) ** 2)
    assert losses["itq"] < 0.99 * losses["pca-rotation"]


def test_itq_finds_a_planted_cube() -> None:
    """Rows near the corners of a turned cube: each bit of the code is one of the planted bits, or its opposite."""
    generator = np.random.default_rng(3)
    corners = generator.choice([-1.0, 1.0], (500, 16))
    axes = np.linalg.qr(generator.standard_normal((32, 32)))[0][:16]
    embeddings = (corners + generator.normal(0, 0.2, corners.shape)) @ axes + 7
    agreement = {}
    for kind in PRINCIPAL_KINDS:
        binarizer, _ = fit_binarizer(embeddings, 16, kind, seed=0)
        agreement[kind] = np.abs(np.where(bits_of(binarizer, embeddings), 1, -1).T @ corners) / 500
    assert sorted(agreement["itq"].argmax(axis=1)) == list(range(16))
    assert agreement["itq"].max(axis=1).tolist() == [1.0] * 16
    assert agreement["pca-rotation"].max(axis=1).mean() < 0.6


# What every kind keeps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_and_seed_give_the_same_binarizer(kind: str) -> None:
    first, _ = fit_binarizer(rows(), 32, kind, seed=4)
    again, _ = fit_binarizer(rows(), 32, kind, seed=4)
    assert first.digest == again.digest
    assert np.array_equal(first.encode(rows(seed=1)), again.encode(rows(seed=1)))


@pytest.mark.parametrize("kind", RANDOM_KINDS)
def test_another_seed_gives_another_binarizer(kind: str) -> None:
    assert fit_binarizer(rows(), 32, kind, seed=4)[0].digest != fit_binarizer(rows(), 32, kind, seed=5)[0].digest


@pytest.mark.parametrize("kind", KINDS)
def test_stored_bytes_give_the_fitted_binarizer_back(kind: str) -> None:
    binarizer, _ = fit_binarizer(rows(), 48, kind, seed=0)
    restored = Binarizer.from_bytes(binarizer.to_bytes())
    assert (restored.kind, restored.bits, restored.dimensions) == (kind, 48, 48)
    assert restored.digest == binarizer.digest
    assert np.array_equal(restored.projection, binarizer.projection)
    assert np.array_equal(restored.encode(rows(seed=1)), binarizer.encode(rows(seed=1)))
    assert restored.to_bytes() == binarizer.to_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_rows_code_does_not_depend_on_the_other_rows(kind: str) -> None:
    embeddings = rows(257, 64, seed=2)
    binarizer, _ = fit_binarizer(rows(257, 64), 64, kind, seed=0)
    together = binarizer.encode(embeddings)
    alone = np.concatenate([binarizer.encode(embeddings[i : i + 1]) for i in range(257)])
    assert np.array_equal(alone, together)
    assert np.array_equal(binarizer.encode(embeddings[::-1])[::-1], together)


def test_one_array_or_the_kind_changes_the_digest() -> None:
    original = Binarizer("itq", np.ones((4, 16)), np.zeros(16))
    other_projection = np.ones((4, 16))
    other_projection[3, 15] = 1.5
    other_thresholds = np.zeros(16)
    other_thresholds[0] = 1e-9
    others = [
        Binarizer("pca-rotation", np.ones((4, 16)), np.zeros(16)),
        Binarizer("itq", other_projection, np.zeros(16)),
        Binarizer("itq", np.ones((4, 16)), other_thresholds),
    ]
    assert len({original.digest, *(other.digest for other in others)}) == 4
    assert Binarizer("itq", np.ones((4, 16)), np.zeros(16)).digest == original.digest


# Too few pictures, too many bits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PRINCIPAL_KINDS)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_fewer_pictures_than_bits_are_completed_by_random_directions(kind: str, count: int) -> None:
    embeddings = rows(count)
    binarizer, warnings = fit_binarizer(embeddings, 32, kind, seed=0)
    again, _ = fit_binarizer(embeddings, 32, kind, seed=0)
    assert len(warnings) == 1
    assert f"{count} pictures fix only {count - 1} of 32 directions" in warnings[0]
    assert np.allclose(binarizer.projection.T @ binarizer.projection, np.eye(32), atol=1e-6)
    assert np.array_equal(binarizer.projection, again.projection)
    # All that the pictures vary in is kept: the projection turns it, and loses nothing.
    centred = embeddings - embeddings.mean(axis=0)
    kept = np.linalg.norm(centred @ binarizer.projection, axis=1)
    assert np.allclose(kept, np.linalg.norm(centred, axis=1), atol=1e-5)


def test_completed_directions_tell_new_pictures_apart() -> None:
    binarizer, _ = fit_binarizer(rows(3), 32, "itq", seed=0)
    balance = bits_of(binarizer, rows(500, seed=9)).mean(axis=0)
    assert np.count_nonzero((balance > 0.02) & (balance < 0.98)) >= 24


@pytest.mark.parametrize("kind", PRINCIPAL_KINDS)
def test_more_bits_than_dimensions_keep_all_distances(kind: str) -> None:
    embeddings = rows(300, 20)
    binarizer, warnings = fit_binarizer(embeddings, 64, kind, seed=0)
    assert warnings == ("64 bits from 20 dimensions: the bits can't all be independent",)
    assert np.allclose(binarizer.projection @ binarizer.projection.T, np.eye(20), atol=1e-6)
    varying = bits_of(binarizer, embeddings).std(axis=0) > 0
    assert varying.all()


def test_both_lacks_are_told() -> None:
    _, warnings = fit_binarizer(rows(5, 20), 64, "itq", seed=0)
    assert len(warnings) == 2
    assert "5 pictures fix only 4 of 20 directions" in warnings[1]


def test_equal_pictures_fix_no_direction_and_still_give_a_binarizer() -> None:
    binarizer, warnings = fit_binarizer(np.ones((10, 24)), 16, "itq", seed=0)
    assert "fix only 0 of 16" in warnings[0]
    assert np.isfinite(binarizer.projection).all()


@pytest.mark.parametrize("kind", ["hyperplanes", "hyperplanes-centred"])
def test_hyperplanes_need_neither_many_pictures_nor_many_dimensions(kind: str) -> None:
    binarizer, warnings = fit_binarizer(rows(1, 8), 512, kind, seed=0)
    assert warnings == ()
    assert binarizer.encode(rows(3, 8)).shape == (3, 64)


def test_median_refuses_more_bits_than_dimensions() -> None:
    with pytest.raises(ConfigurationError, match="24 at most, not 32"):
        fit_binarizer(rows(50, 24), 32, "median", seed=0)


@pytest.mark.parametrize("bits", [0, 8, 100, 4112])
def test_lengths_that_no_code_has_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        fit_binarizer(rows(), bits, "itq", seed=0)


def test_an_unknown_kind_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="'lsh' is none of itq, pca-rotation, hyperplanes"):
        fit_binarizer(rows(), 16, "lsh", seed=0)


# Damaged bytes --------------------------------------------------------------------------------------------------------


def damaged_contents() -> list[bytes]:
    whole = fit_binarizer(rows(), 16, "itq", seed=0)[0].to_bytes()
    other, objects = io.BytesIO(), io.BytesIO()
    np.savez(other, kind=np.array("itq"))
    np.savez(objects, kind=np.array([{}], dtype=object), allow_pickle=True)
    return [b"", b"no archive", whole[: len(whole) // 2], other.getvalue(), objects.getvalue()]


@pytest.mark.parametrize("content", damaged_contents(), ids=["empty", "text", "truncated", "lacking", "pickled"])
def test_damaged_bytes_are_a_configuration_error(content: bytes) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        Binarizer.from_bytes(content)

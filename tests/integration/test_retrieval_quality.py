"""What the codes are worth on real photos: precision at 10 by category, every picture once as the query.

The expected figures were measured independently, on 600 of the pictures as queries, with the same network.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.encoding.embedder import Embedder
from shared.encoding.encoder import fit_encoder
from shared.encoding.opening import open_embedder
from shared.images.picture import SIDE, DecodeLimits, decode
from shared.settings import Settings

pytestmark = pytest.mark.data

NEIGHBOURS = 10
CHANCE = 0.104
"""Precision at 10 of a random order: the sum of the squared shares of the categories."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings (count, dimensions) of unit length, their embedder, and the pictures' categories."""

    embedder: Embedder
    embeddings: NDArray[np.float32]
    categories: NDArray[np.str_]

    @classmethod
    def by(cls, embedder_setting: str, pixels: NDArray[np.uint8], categories: NDArray[np.str_]) -> "Embedded":
        embedder = open_embedder(Settings(_env_file=None, embedder=embedder_setting))
        embeddings = embedder.embed(pixels)
        return cls(embedder, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), categories)

    def cosine_precision(self) -> float:
        return self._precision(self.embeddings @ self.embeddings.T)

    def code_precision(self, kind: str, bits: int) -> float:
        encoder, warnings = fit_encoder(self.embedder, self.embeddings, bits, kind, seed=0)
        assert warnings == ()
        codes = encoder.binarizer.encode(self.embeddings)
        # The product of two rows of signs is the number of bits less twice the Hamming distance.
        signs = np.where(np.unpackbits(codes, axis=1), 1, -1).astype(np.float32)
        return self._precision(signs @ signs.T)

    def _precision(self, similarities: NDArray[np.float32]) -> float:
        """The mean share of a picture's category among its nearest ten, itself left out, ties in stable order."""
        np.fill_diagonal(similarities, -np.inf)
        nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :NEIGHBOURS]
        return float((self.categories[nearest] == self.categories[:, None]).mean())


@pytest.fixture(scope="module")
def clothing(data_dir: Path) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """1,905 photos of clothes, decoded to (count, 224, 224, 3), and their categories, of which there are 10."""
    folder = data_dir / "data" / "clothing"
    with (folder / "items.csv").open() as table:
        rows = list(csv.DictReader(table))
    limits = DecodeLimits.of(Settings(_env_file=None), cores=1)
    pixels = np.empty((len(rows), SIDE, SIDE, 3), np.uint8)
    for row, target in zip(rows, pixels, strict=True):
        picture = decode((folder / row["path"]).read_bytes(), limits, thumbnail=False)
        target[:] = np.frombuffer(picture.pixels, np.uint8).reshape(target.shape)
    return pixels, np.array([row["category"] for row in rows])


@pytest.fixture(scope="module")
def by_network(clothing: tuple[NDArray[np.uint8], NDArray[np.str_]], data_dir: Path) -> Embedded:
    return Embedded.by(f"onnx:{data_dir / 'models' / 'mobilenet_v1_075_224.onnx'}#embedding", *clothing)


def test_cosines_of_the_embeddings_rank_as_measured(by_network: Embedded) -> None:
    assert by_network.embeddings.shape == (1905, 768)
    assert by_network.cosine_precision() == pytest.approx(0.654, abs=0.02)


def test_256_bits_of_itq_rank_as_measured(by_network: Embedded) -> None:
    assert by_network.code_precision("itq", 256) == pytest.approx(0.646, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "bits", "expected_loss"),
    [
        ("itq", 256, 0.008),
        ("itq", 64, 0.039),
        ("pca-rotation", 256, 0.022),
        ("hyperplanes", 256, 0.129),
        ("hyperplanes-centred", 256, 0.065),
        ("median", 768, 0.017),
    ],
)
def test_codes_lose_as_much_of_the_embeddings_precision_as_measured(
    kind: str, bits: int, expected_loss: float, by_network: Embedded
) -> None:
    """Against the own embedding, so that the choice of queries matters less."""
    loss = by_network.cosine_precision() - by_network.code_precision(kind, bits)
    assert loss == pytest.approx(expected_loss, abs=0.02)


def test_the_classic_embedder_ranks_far_above_chance(clothing: tuple[NDArray[np.uint8], NDArray[np.str_]]) -> None:
    assert Embedded.by("classic", *clothing).code_precision("itq", 256) > 3.5 * CHANCE

"""The colour block: beside the network's part, in proportion, and part of what an encoder is."""

import numpy as np
import pytest

from shared.encoding.classic import ClassicEmbedder
from shared.encoding.colour import ColourEmbedder
from shared.encoding.encoder import fit_encoder, load_encoder
from shared.encoding.opening import open_embedder
from shared.errors import ConfigurationError
from shared.settings import Settings

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3), dtype=np.uint8)


def settings(weight: float) -> Settings:
    return Settings(_env_file=None, embedder="classic", colour_weight=weight)


def test_the_block_lies_beside_the_unit_row_with_the_given_length() -> None:
    plain = ClassicEmbedder().embed(PICTURES)
    rows = ColourEmbedder(ClassicEmbedder(), 0.6).embed(PICTURES)
    assert rows.shape == (6, plain.shape[1] + 36)
    assert np.allclose(rows[:, :-36], plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)
    assert np.allclose(np.linalg.norm(rows[:, -36:], axis=1), 0.6, atol=1e-6)


def test_a_row_depends_on_its_own_picture_only() -> None:
    embedder = ColourEmbedder(ClassicEmbedder(), 0.6)
    assert np.array_equal(embedder.embed(PICTURES), np.concatenate([embedder.embed(each[None]) for each in PICTURES]))


def test_a_recoloured_picture_is_further_away() -> None:
    both = np.stack([PICTURES[0] // 2 + 64, np.roll(PICTURES[0] // 2, 1, axis=-1)])
    both[0, ..., 0] = 250
    both[1, ..., 2] = 250
    rows = ColourEmbedder(ClassicEmbedder(), 1.0).embed(both)
    assert rows[0, -36:] @ rows[1, -36:] < 0.1


def test_an_encoder_is_opened_with_its_own_weight_alone() -> None:
    embedder = open_embedder(settings(0.5))
    stored = fit_encoder(embedder, embedder.embed(PICTURES), 16, "itq", seed=0)[0].to_stored()
    assert load_encoder(stored, settings(0.5)).encoder_id == stored.encoder_id
    for other in (0, 0.6):
        with pytest.raises(ConfigurationError, match=r"preprocessing was '.*colours/1:0.5' and is"):
            load_encoder(stored, settings(other))

"""Bags of visual words: the counts against a plain search, the blocks' lengths, vocabularies and their files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.__main__ import main
from shared.encoding.bag_of_words import DescriptorEmbedder, Vocabulary, build_vocabulary
from shared.encoding.classic import ClassicEmbedder
from shared.encoding.embedder import Embedder
from shared.encoding.opening import open_embedder
from shared.errors import EXIT_CONFIGURATION, ConfigurationError
from shared.settings import Settings
from tests.pictures import draw

Pixels = NDArray[np.uint8]
WORDS = 12


def settings(**changed: object) -> Settings:
    return Settings(_env_file=None, **changed)  # type: ignore[arg-type]


def textured(count: int, seed: int = 0) -> Pixels:
    """Pictures with many corners, shape (count, 224, 224, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def descriptors_of(images: Pixels) -> NDArray[np.uint8]:
    return DescriptorEmbedder.descriptors_of(DescriptorEmbedder(2).embed(images))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return build_vocabulary(descriptors_of(textured(8)), WORDS, seed=0)


@pytest.fixture(scope="module")
def path(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("words") / "words.npz"
    made.write_bytes(vocabulary.to_bytes())
    return made


@pytest.fixture(scope="module")
def embedder(path: Path) -> Embedder:
    return open_embedder(settings(embedder=f"bovw:{path}", threads=2))


def test_words_are_counted_as_a_plain_search_counts_them(embedder: Embedder, vocabulary: Vocabulary) -> None:
    image = textured(1, seed=9)
    small = cv2.resize(cv2.cvtColor(image[0], cv2.COLOR_RGB2GRAY), (112, 112), interpolation=cv2.INTER_AREA)
    _, found = cv2.SIFT.create().detectAndCompute(small, None)
    distances = ((found[:, None].astype(int) - vocabulary.words[None].astype(int)) ** 2).sum(axis=2)
    shares = np.bincount(distances.argmin(axis=1), minlength=WORDS) / len(found)
    assert len(found) > 100
    np.testing.assert_allclose(embedder.embed(image)[0, :WORDS], np.sqrt(shares), atol=1e-6)


def test_words_gradients_and_colours_weigh_the_same(embedder: Embedder) -> None:
    rows = embedder.embed(textured(3))
    assert rows.shape == (3, embedder.spec.dimensions) == (3, WORDS + 1296 + 36)
    blocks = np.split(rows, [WORDS, WORDS + 1296], axis=1)
    for block in blocks:
        np.testing.assert_allclose(np.linalg.norm(block, axis=1), 1, atol=1e-5)
    gradients, colours = ClassicEmbedder().gradients(textured(3)), ClassicEmbedder().colours(textured(3))
    np.testing.assert_allclose(blocks[1], gradients / np.linalg.norm(gradients, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(blocks[2] ** 2, colours, atol=1e-6)


def test_a_plain_picture_has_a_colour_and_nothing_else(embedder: Embedder) -> None:
    (row,) = embedder.embed(np.full((1, 224, 224, 3), (200, 30, 30), np.uint8))
    assert not row[: WORDS + 1296].any()
    assert np.flatnonzero(row).size == 1


def test_a_row_depends_on_its_own_picture_only(embedder: Embedder) -> None:
    images = np.concatenate([textured(embedder.batch_size), np.stack([np.asarray(draw(224, 224, 3))])])
    together = embedder.embed(images)
    assert np.array_equal(np.concatenate([embedder.embed(image[None]) for image in images]), together)
    assert np.array_equal(embedder.embed(images[::-1])[::-1], together)
    images.setflags(write=False)
    assert np.array_equal(embedder.embed(images), together)


def test_the_strongest_descriptors_of_each_picture_are_taken() -> None:
    rows = DescriptorEmbedder(2).embed(np.concatenate([textured(1), np.zeros((1, 224, 224, 3), np.uint8)]))
    assert rows.shape == (2, 50 * 128)
    assert rows[0].reshape(50, 128).any(axis=1).all()
    assert not rows[1].any()
    assert descriptors_of(textured(2)).shape == (100, 128)


def test_words_are_the_same_for_the_same_pictures_and_lie_where_descriptors_do(vocabulary: Vocabulary) -> None:
    descriptors = descriptors_of(textured(8))
    assert build_vocabulary(descriptors, WORDS, seed=0).to_bytes() == vocabulary.to_bytes()
    assert len(np.unique(vocabulary.words, axis=0)) == WORDS

    def spread(words: NDArray[np.uint8]) -> float:
        distances = ((descriptors[:, None].astype(int) - words[None].astype(int)) ** 2).sum(axis=2)
        return float(distances.min(axis=1).mean())

    assert spread(vocabulary.words) < 0.9 * spread(descriptors[:WORDS])


def test_too_few_descriptors_for_the_words_are_told() -> None:
    with pytest.raises(ConfigurationError, match=r"60 visual words need as many SIFT descriptors, .* give 50"):
        build_vocabulary(descriptors_of(textured(1)), 60, seed=0)


def test_another_vocabulary_than_the_stored_one_is_refused(embedder: Embedder, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    other.write_bytes(build_vocabulary(descriptors_of(textured(8)), WORDS, seed=1).to_bytes())
    with pytest.raises(ConfigurationError, match=f"expected sha256 {embedder.spec.weights_sha256}"):
        open_embedder(settings(embedder=f"bovw:{other}"), embedder.spec)


@pytest.mark.parametrize("content", [b"", b"no vocabulary", "floats", "cut"])
def test_a_file_that_is_no_vocabulary_is_told(content: bytes | str, path: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.npz"
    if content == "floats":
        np.savez(wrong, version=np.array("bovw/2"), words=np.zeros((3, 128)))
    else:
        wrong.write_bytes(path.read_bytes()[:200] if isinstance(content, str) else content)
    with pytest.raises(ConfigurationError, match="is no vocabulary of `indexer vocabulary`"):
        open_embedder(settings(embedder=f"bovw:{wrong}"))
    with pytest.raises(ConfigurationError, match="No such file"):
        open_embedder(settings(embedder=f"bovw:{tmp_path / 'absent.npz'}"))


def test_the_command_makes_a_vocabulary_that_can_be_fitted_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    events = ["--events-url", f"file:{tmp_path / 'events.jsonl'}", "--store-url", f"sqlite:{tmp_path / 'c.db'}"]
    assert main(["produce", "--demo", "30", *events]) == 0
    out = tmp_path / "made" / "words.npz"
    command = ["vocabulary", "--words", "20", "--sample", "25", "--json", *events]
    assert main([*command, "--out", str(out)]) == 0
    made = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (made["words"], made["pictures"]) == (20, 25)
    assert made["descriptors"] > 20
    assert main([*command, "--out", str(tmp_path / "again.npz")]) == 0
    assert out.read_bytes() == (tmp_path / "again.npz").read_bytes()
    assert [each.name for each in out.parent.iterdir()] == ["words.npz"]
    fit = ["fit", "--sample", "20", "--bits", "32", "--embedder", f"bovw:{out}", "--json", *events]
    assert main(fit) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["encoder"].startswith("bovw-words-npz-histograms-itq")
    assert main([*command, "--out", str(tmp_path)]) == EXIT_CONFIGURATION

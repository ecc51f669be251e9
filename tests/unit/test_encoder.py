"""The encoder's id, its codes, and what is refused when it is loaded. A fake embedder stands for the networks."""

import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.encoding.binarizer import Binarizer, fit_binarizer
from shared.encoding.code_statistics import code_statistics
from shared.encoding.embedder import EmbedderSpec
from shared.encoding.encoder import Encoder, fit_encoder, load_encoder
from shared.encoding.opening import open_embedder
from shared.encoding.subcode_order import subcode_order
from shared.errors import ConfigurationError
from shared.images.picture import PREPROCESSING
from shared.settings import Settings
from shared.store import StoredEncoder
from tests.onnx_file import network_bytes
from tests.pictures import draw

SPEC = EmbedderSpec("vgg16", "fc7", "ab" * 32, "bfloat16", f"{PREPROCESSING} imagenet", 48)


def settings(**changed: object) -> Settings:
    return Settings(_env_file=None, **changed)  # type: ignore[arg-type]


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack([np.asarray(draw(224, 224, seed + n)) for n in range(count)])


@dataclass(frozen=True)
class FakeEmbedder:
    """Means of 4 x 4 fields as float32 (48 dimensions); a black picture gives NaN, a white one infinity."""

    spec: EmbedderSpec = SPEC
    batch_size: int = 8

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        means = pixels.reshape(len(pixels), 4, 56, 4, 56, 3).mean(axis=(2, 4)).reshape(len(pixels), 48)
        means[(pixels == 0).all(axis=(1, 2, 3))] = np.nan
        means[(pixels == 255).all(axis=(1, 2, 3)), 0] = np.inf
        return np.asarray(means, np.float32)


def fitted(kind: str = "itq", bits: int = 32, seed: int = 0, spec: EmbedderSpec = SPEC) -> Encoder:
    embedder = FakeEmbedder(spec)
    return fit_encoder(embedder, embedder.embed(pictures(60)), bits, kind, seed)[0]


@pytest.fixture(scope="module")
def classic() -> Encoder:
    embedder = open_embedder(settings(embedder="classic"))
    return fit_encoder(embedder, embedder.embed(pictures(40)), 64, "hyperplanes-centred", seed=0)[0]


# Codes ----------------------------------------------------------------------------------------------------------------


def test_codes_are_the_binarizers_of_embeddings_of_unit_length() -> None:
    encoder = fitted(bits=48)
    embeddings = FakeEmbedder().embed(pictures(9, seed=100)).astype(np.float64)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    codes, finite = encoder.encode(pictures(9, seed=100))
    assert codes.dtype == np.uint8
    assert codes.shape == (9, 6)
    assert finite.tolist() == [True] * 9
    assert np.array_equal(codes, encoder.binarizer.encode(embeddings))


def test_the_length_of_an_embedding_does_not_matter() -> None:
    embedder = FakeEmbedder()
    embeddings = embedder.embed(pictures(60))
    scaled = embeddings * np.linspace(0.5, 4, 60, dtype=np.float32)[:, None]
    encoder, other = (fit_encoder(embedder, each, 32, "itq", seed=0)[0] for each in (embeddings, scaled))
    assert np.array_equal(encoder.encode(pictures(60))[0], other.encode(pictures(60))[0])


def test_rows_that_are_not_finite_are_reported_and_leave_their_neighbours_alone() -> None:
    encoder = fitted()
    images = pictures(4)
    expected, _ = encoder.encode(images)
    images[1], images[3] = 0, 255
    codes, finite = encoder.encode(images)
    assert finite.tolist() == [True, False, True, False]
    assert np.array_equal(codes[finite], expected[finite])


def test_a_fit_leaves_out_rows_that_are_not_finite_and_says_so() -> None:
    embedder = FakeEmbedder()
    embeddings = embedder.embed(pictures(60))
    broken = np.insert(embeddings, 30, np.nan, axis=0)
    encoder, warnings = fit_encoder(embedder, broken, 32, "itq", seed=0)
    assert warnings == ("1 pictures were left out: their embeddings are not finite",)
    assert encoder.encoder_id == fitted().encoder_id


def test_a_fit_on_nothing_finite_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no picture has a finite embedding"):
        fit_encoder(FakeEmbedder(), np.full((3, 48), np.nan, np.float32), 32, "itq", seed=0)


def test_warnings_of_the_binarizer_reach_the_caller() -> None:
    embedder = FakeEmbedder()
    _, warnings = fit_encoder(embedder, embedder.embed(pictures(5)), 64, "itq", seed=0)
    assert len(warnings) == 2


def test_an_embedding_of_zeros_has_a_code() -> None:
    embedder = FakeEmbedder()
    encoder, _ = fit_encoder(embedder, np.zeros((3, 48), np.float32), 32, "itq", seed=0)
    assert encoder.encode(pictures(1))[1].tolist() == [True]


def test_a_fit_puts_bits_that_go_together_into_different_subcodes() -> None:
    embedder = FakeEmbedder()
    embeddings = embedder.embed(pictures(200))
    rows = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    plain, _ = fit_binarizer(rows.astype(np.float64), 64, "hyperplanes", seed=0)
    encoder, _ = fit_encoder(embedder, embeddings, 64, "hyperplanes", seed=0)
    order = subcode_order(plain.encode(rows))
    assert order.tolist() != list(range(64))
    assert np.array_equal(encoder.binarizer.projection, plain.projection[:, order])
    assert np.array_equal(encoder.binarizer.thresholds, plain.thresholds[order])


def test_an_encoder_knows_the_statistics_of_the_codes_it_was_fitted_on() -> None:
    encoder = fitted()
    codes, _ = encoder.encode(pictures(60))
    assert encoder.statistics is not None
    assert encoder.statistics.ones.tolist() == code_statistics(codes).ones.tolist()


# The id ---------------------------------------------------------------------------------------------------------------


def test_an_id_tells_network_layer_binarizer_and_bits() -> None:
    assert re.fullmatch(r"vgg16-fc7-itq-32-[0-9a-f]{12}", fitted().encoder_id)
    assert fitted().bits == 32


@pytest.mark.parametrize(
    ("name", "layer", "expected"),
    [
        ("classic", "histograms", "classic-histograms-itq-32-"),
        ("onnx:mobilenet_v1_075_224.onnx", "embedding", "onnx-mobilenet-v1-075-224-embedding-itq-32-"),
        ("onnx:Ünïcode Näme.onnx", "a/b:0", "onnx-n-code-n-me-a-b-0-itq-32-"),
        ("onnx:" + "x" * 300, "e", "onnx-" + "x" * 43 + "-itq-32-"),
    ],
)
def test_an_id_is_safe_in_urls_and_field_names(name: str, layer: str, expected: str) -> None:
    encoder_id = fitted(spec=replace(SPEC, name=name, layer=layer)).encoder_id
    assert encoder_id[: len(expected)] == expected
    assert re.fullmatch(r"[a-z0-9-]{1,100}", encoder_id)


def test_the_same_ingredients_give_the_same_id() -> None:
    assert fitted().encoder_id == fitted().encoder_id
    original = fitted()
    assert Encoder.of(FakeEmbedder(batch_size=99), original.binarizer).encoder_id == original.encoder_id


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "vgg19"},
        {"layer": "fc8"},
        {"weights_sha256": "cd" * 32},
        {"compute": "float32"},
        {"preprocessing": "squash-bilinear-224/2 imagenet"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_part_of_the_spec_changes_the_digest(changed: dict[str, str]) -> None:
    original = fitted()
    other = Encoder.of(FakeEmbedder(replace(SPEC, **changed)), original.binarizer)  # type: ignore[arg-type]
    assert other.encoder_id.rpartition("-")[2] != original.encoder_id.rpartition("-")[2]


def test_each_array_of_the_binarizer_changes_the_digest() -> None:
    original = fitted()
    arrays = original.binarizer
    turned = Binarizer(arrays.kind, -arrays.projection, arrays.thresholds)
    shifted = Binarizer(arrays.kind, arrays.projection, arrays.thresholds + 1e-6)
    ids = {Encoder.of(FakeEmbedder(), each).encoder_id for each in (arrays, turned, shifted)}
    assert len(ids | {fitted(seed=1).encoder_id, fitted("pca-rotation").encoder_id}) == 5


# Storing and loading --------------------------------------------------------------------------------------------------


def test_a_stored_encoder_gives_the_same_codes_and_id(classic: Encoder) -> None:
    stored = classic.to_stored()
    loaded = load_encoder(stored, settings(embedder="classic"))
    assert (stored.encoder_id, stored.bits) == (classic.encoder_id, 64)
    assert (loaded.encoder_id, loaded.bits) == (classic.encoder_id, 64)
    assert np.array_equal(loaded.encode(pictures(5, 90))[0], classic.encode(pictures(5, 90))[0])
    assert loaded.to_stored() == stored


def test_an_encoder_stored_without_statistics_still_opens(classic: Encoder) -> None:
    stored = Encoder.of(classic.embedder, classic.binarizer).to_stored()
    loaded = load_encoder(stored, settings(embedder="classic"))
    assert (loaded.encoder_id, loaded.statistics) == (classic.encoder_id, None)


def test_settings_that_concern_the_fit_alone_do_not_matter_when_loading(classic: Encoder) -> None:
    loaded = load_encoder(classic.to_stored(), settings(embedder="classic", bits=512, binarizer="median"))
    assert loaded.encoder_id == classic.encoder_id


@pytest.mark.parametrize("named", ["classic", "onnx:vgg16.onnx", "vgg16:fc8"])
def test_another_embedder_than_the_stored_one_is_refused(named: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"is named, but the active encoder was fitted with vgg16 \(layer fc7\)"
    ):
        load_encoder(fitted().to_stored(), settings(embedder=named))


@pytest.mark.parametrize(
    ("name", "layer", "named", "same"),
    [
        ("timm:resnet18", "pooled", "timm:resnet18", True),
        ("timm:resnet18", "pooled", "timm:resnet34", False),
        ("torchvision:resnet18", "pooled", "timm:resnet18", False),
        ("torchvision:resnet18", "layer3", "torchvision:resnet18#layer3", True),
        ("torchvision:resnet18", "layer3", "torchvision:resnet18", False),
    ],
)
def test_networks_of_a_library_are_told_apart_by_name_and_layer(
    name: str, layer: str, named: str, same: bool, tmp_path: Path
) -> None:
    stored = fitted(spec=replace(SPEC, name=name, layer=layer)).to_stored()
    told = "No such file" if same else "but the active encoder was fitted with"
    with pytest.raises(ConfigurationError, match=told):
        load_encoder(stored, settings(embedder=named, weights=str(tmp_path / "absent.pth")))


@pytest.mark.parametrize("named", ["vgg16", "vgg16:fc7"])
def test_other_weights_than_the_stored_ones_are_refused_with_both_digests(named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"expected sha256 {'ab' * 32}, actual [0-9a-f]{{64}}"):
        load_encoder(fitted().to_stored(), settings(embedder=named, weights="random:1", device="cpu"))


def test_an_onnx_network_may_have_another_file_name_but_not_another_content(tmp_path: Path) -> None:
    fitted_with, renamed, other = (tmp_path / name for name in ("a.onnx", "b.onnx", "c.onnx"))
    fitted_with.write_bytes(network_bytes())
    renamed.write_bytes(network_bytes())
    other.write_bytes(network_bytes(outputs=("means",)))
    embedder = open_embedder(settings(embedder=f"onnx:{fitted_with}"))
    stored = fit_encoder(embedder, embedder.embed(pictures(20)), 16, "itq", seed=0)[0].to_stored()
    for named in (str(fitted_with), f"{renamed}#means"):
        loaded = load_encoder(stored, settings(embedder=f"onnx:{named}"))
        assert loaded.encoder_id == stored.encoder_id
        assert loaded.to_stored() == stored
    with pytest.raises(ConfigurationError, match=f"expected sha256 {embedder.spec.weights_sha256}, actual"):
        load_encoder(stored, settings(embedder=f"onnx:{other}"))
    with pytest.raises(
        ConfigurationError,
        match="preprocessing was 'squash-bilinear-224/1 signed' and is 'squash-bilinear-224/1 unit'",
    ):
        load_encoder(stored, settings(embedder=f"onnx:{fitted_with}", onnx_pixels="unit"))
    with pytest.raises(ConfigurationError, match=r"is named, but the active encoder was fitted with onnx:a\.onnx"):
        load_encoder(stored, settings(embedder=f"onnx:{fitted_with}#pooled"))


def test_another_preprocessing_than_the_stored_one_is_refused(classic: Encoder) -> None:
    spec = replace(classic.embedder.spec, preprocessing="crop-bicubic-299/1")
    stored = Encoder.of(FakeEmbedder(spec), classic.binarizer).to_stored()
    with pytest.raises(
        ConfigurationError, match="preprocessing was 'crop-bicubic-299/1' and is 'squash-bilinear-224/1'"
    ):
        load_encoder(stored, settings(embedder="classic"))


def test_a_damaged_blob_is_refused(classic: Encoder) -> None:
    whole = classic.to_stored()
    empty, foreign = io.BytesIO(), io.BytesIO()
    np.savez(empty)
    np.savez(foreign, spec=np.frombuffer(b'{"name": 1}', np.uint8), binarizer=np.zeros(3, np.uint8))
    for blob in (b"", whole.blob[:1000], b"text", empty.getvalue(), foreign.getvalue()):
        with pytest.raises(ConfigurationError, match=f"{whole.encoder_id} can't be read"):
            load_encoder(replace(whole, blob=blob), settings(embedder="classic"))


def test_a_blob_under_another_encoders_id_is_refused(classic: Encoder) -> None:
    stored = StoredEncoder("classic-histograms-itq-64-000000000000", 64, classic.to_stored().blob)
    with pytest.raises(ConfigurationError, match=f"damaged: its content is that of {classic.encoder_id}"):
        load_encoder(stored, settings(embedder="classic"))

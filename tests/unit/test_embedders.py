"""Each embedder against its definition, rows that depend on nothing else, and files that are damaged or wrong."""

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from shared.encoding.backbone import build_backbone
from shared.encoding.classic import ClassicEmbedder
from shared.encoding.embedder import Embedder, EmbedderSpec
from shared.encoding.network import NetworkEmbedder, Preparation, Stages
from shared.encoding.network_weights import random_state
from shared.encoding.normalisation import NORMALISATIONS
from shared.encoding.opening import open_backbone_to_train, open_embedder
from shared.encoding.vgg16 import IMAGENET_SHA256
from shared.encoding.weights_file import cached_download, file_sha256
from shared.errors import ConfigurationError, DependencyUnavailableError
from shared.images.picture import PREPROCESSING
from shared.settings import Settings
from tests.onnx_file import UINT8, network_bytes
from tests.pictures import draw

Pixels = NDArray[np.uint8]


def settings(**changed: object) -> Settings:
    return Settings(_env_file=None, **changed)  # type: ignore[arg-type]


def pictures(count: int, seed: int = 0) -> Pixels:
    """Drawn pictures of shape (count, 224, 224, 3)."""
    return np.stack([np.asarray(draw(224, 224, seed + n)) for n in range(count)])


def plain(colour: tuple[int, int, int], count: int = 1) -> Pixels:
    return np.full((count, 224, 224, 3), colour, np.uint8)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "Channel_Means.onnx"
    path.write_bytes(network_bytes())
    return path


# Embedders to be shared -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vgg16() -> Embedder:
    return open_embedder(settings(weights="random:7", device="cpu", batch_size=4))


@pytest.fixture(scope="module")
def vgg16_in_float32(vgg16: Embedder) -> Embedder:
    stored = replace(vgg16.spec, compute="float32")
    return open_embedder(settings(weights="random:7", compute="bfloat16", device="cpu", threads=2), stored)


@pytest.fixture(scope="module")
def vgg16_on_cuda() -> Embedder:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return open_embedder(settings(weights="random:7", device="cuda", batch_size=4))


@pytest.fixture(scope="module")
def onnx_embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    path = tmp_path_factory.mktemp("onnx") / "means.onnx"
    path.write_bytes(network_bytes())
    return open_embedder(settings(embedder=f"onnx:{path}"))


@pytest.fixture(scope="module")
def classic() -> Embedder:
    return ClassicEmbedder()


@pytest.fixture(scope="module")
def torchvision_embedder() -> Embedder:
    return open_embedder(
        settings(embedder="torchvision:mobilenet_v3_small", weights="random:7", device="cpu", threads=2)
    )


@pytest.fixture(scope="module")
def timm_embedder() -> Embedder:
    """A transformer that takes pictures of 160 x 160."""
    return open_embedder(settings(embedder="timm:test_vit", weights="random:7", device="cpu", compute="float32"))


@pytest.fixture(scope="module")
def timm_on_cuda() -> Embedder:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return open_embedder(settings(embedder="timm:test_vit", weights="random:7", device="cuda", batch_size=4))


@pytest.fixture(
    params=[
        "vgg16",
        pytest.param("vgg16_on_cuda", marks=pytest.mark.gpu),
        "torchvision_embedder",
        "timm_embedder",
        pytest.param("timm_on_cuda", marks=pytest.mark.gpu),
        "onnx_embedder",
        "classic",
    ]
)
def embedder(request: pytest.FixtureRequest) -> Embedder:
    opened: Embedder = request.getfixturevalue(request.param)
    return opened


# Every embedder -------------------------------------------------------------------------------------------------------


def test_embeddings_have_the_shape_that_the_spec_tells(embedder: Embedder) -> None:
    embeddings = embedder.embed(pictures(3))
    assert embeddings.shape == (3, embedder.spec.dimensions)
    assert embeddings.dtype == np.float32
    assert np.isfinite(embeddings).all()


def test_a_row_depends_on_its_own_picture_only(embedder: Embedder) -> None:
    images = pictures(embedder.batch_size * 2 + 1)
    together = embedder.embed(images)
    alone = np.concatenate([embedder.embed(image[None]) for image in images])
    assert len(np.unique(together, axis=0)) == len(images)
    assert np.array_equal(alone, together)
    assert np.array_equal(embedder.embed(images[::-1])[::-1], together)
    # A full batch of another picture before and beside it leaves no trace.
    bright = np.concatenate([plain((255, 255, 255), embedder.batch_size), images[:1]])
    assert np.array_equal(embedder.embed(bright)[-1], together[0])


def test_read_only_and_strided_pixels_are_embedded_alike(embedder: Embedder) -> None:
    images = pictures(2)
    expected = embedder.embed(images)
    turned = np.ascontiguousarray(images.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    turned.setflags(write=False)
    assert np.array_equal(embedder.embed(turned), expected)


# VGG16 ----------------------------------------------------------------------------------------------------------------


def plain_vgg16(images: Pixels) -> NDArray[np.float32]:
    """fc7 by torchvision's own modules, in float32."""
    with torch.device("meta"):
        model = torchvision.models.vgg16(init_weights=False).eval()
    model.load_state_dict(random_state("7", model.state_dict()), assign=True)
    values = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    normalised = torchvision.transforms.functional.normalize(values, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.inference_mode():
        flat = torch.flatten(model.avgpool(model.features(normalised)), 1)
        embeddings: NDArray[np.float32] = model.classifier[:5](flat).numpy()
    return embeddings


def test_vgg16_computes_what_torchvisions_modules_compute(vgg16: Embedder, vgg16_in_float32: Embedder) -> None:
    images = pictures(2)
    expected = plain_vgg16(images)
    assert np.allclose(vgg16_in_float32.embed(images), expected, rtol=1e-3, atol=1e-4 * expected.max())
    # The automatic number format may be bfloat16: 8 bits of precision in each of 15 layers.
    embeddings = vgg16.embed(images)
    assert np.abs(embeddings - expected).max() < 0.05 * expected.max()
    assert embeddings.min() == 0


@pytest.mark.gpu
def test_a_cuda_device_computes_nearly_the_same(vgg16_on_cuda: Embedder, vgg16_in_float32: Embedder) -> None:
    images = pictures(2)
    expected = vgg16_in_float32.embed(images)
    assert np.abs(vgg16_on_cuda.embed(images) - expected).max() < 0.05 * expected.max()


def test_the_stored_number_format_goes_before_the_setting(vgg16: Embedder, vgg16_in_float32: Embedder) -> None:
    assert vgg16_in_float32.spec == replace(vgg16.spec, compute="float32")
    assert (vgg16.batch_size, vgg16_in_float32.batch_size) == (4, 8)


def staged(stages: Stages) -> NetworkEmbedder:
    """A network of these stages that takes 8 pictures and gives 2 dimensions."""
    spec = EmbedderSpec("vgg16", "fc7", "", "float32", "", 2)
    return NetworkEmbedder(stages, Preparation.of(NORMALISATIONS["imagenet"], "imagenet", (224, 224)), spec, 8, 0)


def short_of_memory(fits: int, tried: list[int]) -> NetworkEmbedder:
    """A device whose memory holds so many pictures at once; an embedding is the mean of the normalised pixels."""

    def convolve(values: torch.Tensor) -> torch.Tensor:
        tried.append(len(values))
        if len(values) > fits:
            raise torch.OutOfMemoryError
        return values.mean(dim=(1, 2, 3))[:, None].expand(-1, 9)

    return staged(Stages(convolve, lambda flat: flat[:, :2], 8, torch.device("cpu"), torch.float32))


@pytest.mark.parametrize("count", [1, 7, 8, 20])
def test_a_batch_that_is_too_large_for_the_memory_is_halved_until_it_fits(count: int) -> None:
    images, tried = pictures(count), list[int]()
    embeddings = short_of_memory(2, tried).embed(images)
    np.testing.assert_array_equal(embeddings, short_of_memory(8, []).embed(images))
    assert np.isfinite(embeddings).all()
    # The next batch begins whole: memory may be back.
    assert tried[:3] == [8, 4, 2]
    assert tried.count(8) == -(-count // 8)


def test_a_picture_that_does_not_fit_alone_has_no_finite_embedding() -> None:
    embeddings = short_of_memory(0, []).embed(pictures(3))
    assert embeddings.shape == (3, 2)
    assert np.isnan(embeddings).all()


def test_another_failure_of_the_device_is_not_taken_for_short_memory() -> None:
    def broken(values: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    stages = Stages(broken, lambda flat: flat, 8, torch.device("cpu"), torch.float32)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        staged(stages).embed(pictures(1))


def test_fc8_are_the_class_scores(tmp_path: Path) -> None:
    path = state_file(tmp_path)
    opened = open_embedder(settings(embedder="vgg16:fc8", weights=str(path), device="cpu"))
    assert (opened.spec.layer, opened.spec.dimensions) == ("fc8", 1000)
    assert opened.spec.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert np.array_equal(opened.embed(pictures(1)), np.full((1, 1000), 0.5, np.float32))


def test_a_projection_comes_after_vgg16(tmp_path: Path) -> None:
    projection = {
        "projection.weight": torch.full((1,), 1e-3).expand(6, 1000),
        "projection.bias": torch.full((6,), 0.25),
    }
    path = state_file(tmp_path, **projection)
    opened = open_embedder(settings(embedder="vgg16:fc8", weights=str(path), device="cpu", compute="float32"))
    assert opened.spec.dimensions == 6
    np.testing.assert_allclose(opened.embed(pictures(1)), np.full((1, 6), 0.75, np.float32), rtol=1e-4)
    with pytest.raises(ConfigurationError, match="its projection is one of 1000 dimensions, and fc7 has 4096"):
        open_backbone_to_train(settings(embedder="vgg16", weights=str(path)))


def test_random_weights_are_told_apart_by_their_seed() -> None:
    wanted = {"weight": torch.empty((64, 3, 3, 3), device="meta"), "bias": torch.empty(64, device="meta")}
    first, again, other = (random_state(seed, wanted) for seed in ("7", "7", "8"))
    assert torch.equal(first["weight"], again["weight"])
    assert not torch.equal(first["weight"], other["weight"])
    assert float(first["weight"].var()) == pytest.approx(2 / 27, rel=0.1)
    assert not first["bias"].any()


def state_file(folder: Path, **changed: object) -> Path:
    """A whole state dict in a small file: each tensor is one number seen as many. Scores come out as 0.5."""
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in torchvision.models.vgg16(init_weights=False).state_dict().items()}
    state: dict[str, object] = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    state["classifier.6.bias"] = torch.full((1,), 0.5).expand(1000)
    path = folder / "weights.pth"
    torch.save({name: value for name, value in {**state, **changed}.items() if value is not None}, path)
    return path


def damaged_states(folder: Path) -> Iterator[tuple[str, str]]:
    """Pairs of a weights file and what is told of it."""
    whole = state_file(folder).read_bytes()
    contents = {"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"<html>not found</html>"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        yield str(folder / name), "not a whole state dict"
    torch.save([1, 2], folder / "list")
    yield str(folder / "list"), "but a list"


@pytest.mark.parametrize("case", range(4), ids=["empty", "truncated", "text", "list"])
def test_a_damaged_weights_file_is_told_with_its_digest(case: int, tmp_path: Path) -> None:
    path, told = list(damaged_states(tmp_path))[case]
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_embedder(settings(weights=path, device="cpu"))
    assert f"actual sha256 {file_sha256(Path(path))}" in str(caught.value)
    assert IMAGENET_SHA256 in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"features.0.weight": torch.zeros(64, 3, 5, 5)}, r"features.0.weight has the shape \(64, 3, 5, 5\), not"),
        ({"classifier.3.bias": None}, "classifier.3.bias is missing"),
        ({"classifier.3.bias": "text"}, "classifier.3.bias is missing"),
        ({"features.0.bias": torch.zeros(64, dtype=torch.int64)}, "features.0.bias is missing"),
    ],
    ids=["shape", "missing", "no tensor", "integers"],
)
def test_a_state_dict_of_another_network_is_refused(changed: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=told):
        open_embedder(settings(weights=str(state_file(tmp_path, **changed)), device="cpu"))


class _Trap:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return exec, ("raise SystemExit('code of a weights file ran')",)


def test_a_weights_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": _Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ConfigurationError, match="not a whole state dict"):
        open_embedder(settings(weights=str(tmp_path / "trap.pth"), device="cpu"))


def test_a_missing_weights_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        open_embedder(settings(weights=str(tmp_path / "absent.pth"), device="cpu"))


@pytest.mark.parametrize("weights", ["random:", "random:x", "random:-1", "random:1.5"])
def test_a_seed_is_a_whole_number(weights: str) -> None:
    with pytest.raises(ConfigurationError, match="needs a whole number"):
        open_embedder(settings(weights=weights, device="cpu"))


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:99", "cuda:x"])
def test_a_device_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"CATALOGUE_DEVICE: .*(none of|is not there)"):
        open_embedder(settings(weights="random:1", device=name))


def test_other_weights_than_the_stored_ones_are_refused_with_both_digests(vgg16: Embedder, tmp_path: Path) -> None:
    path = state_file(tmp_path)
    for weights, actual in ((str(path), file_sha256(path)), ("random:8", "[0-9a-f]{64}")):
        expected = f"expected sha256 {vgg16.spec.weights_sha256}, actual {actual}"
        with pytest.raises(ConfigurationError, match=expected):
            open_embedder(settings(weights=weights, device="cpu"), vgg16.spec)


# Networks of torchvision and timm -------------------------------------------------------------------------------------


def test_a_network_of_torchvision_gives_what_its_last_layer_takes() -> None:
    opened = open_embedder(
        settings(embedder="torchvision:mobilenet_v3_small", weights="random:7", device="cpu", compute="float32")
    )
    images = pictures(2)
    model = torchvision.models.mobilenet_v3_small(weights=None).eval()
    seen: list[torch.Tensor] = []
    model.classifier[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    drawn = build_backbone("torchvision", "mobilenet_v3_small", "random:7").module.state_dict()
    model.load_state_dict(drawn, strict=False)
    values = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        model(torchvision.transforms.functional.normalize(values, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    assert opened.spec.dimensions == 1024
    assert opened.spec.preprocessing == f"{PREPROCESSING} imagenet"
    assert np.allclose(opened.embed(images), seen[0].numpy(), rtol=1e-3, atol=1e-3 * float(seen[0].max()))


def test_pictures_are_resized_and_normalised_as_the_network_of_timm_was_trained(timm_embedder: Embedder) -> None:
    backbone = build_backbone("timm", "test_vit", "random:7")
    assert timm_embedder.spec == backbone.spec("float32")
    assert timm_embedder.spec.preprocessing == f"{PREPROCESSING} resize-bilinear/1-160x160 signed"
    images = pictures(1)
    resized = np.asarray(Image.fromarray(images[0]).resize((160, 160), Image.Resampling.BILINEAR), np.float32)
    values = torch.from_numpy(resized / 127.5 - 1).permute(2, 0, 1)[None]
    assert (backbone.preparation.prepare(torch.from_numpy(images)) - values).abs().max() < 0.01
    with torch.inference_mode():
        expected = backbone.module(values).numpy()
    assert np.abs(timm_embedder.embed(images) - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [("shufflenet_v2_x0_5", 1024), ("mnasnet0_5", 1280), ("resnet18", 512), ("resnet18#layer3", 256)],
)
def test_networks_of_different_builds_are_cut_where_their_class_scores_begin(name: str, dimensions: int) -> None:
    backbone = build_backbone("torchvision", name, "random:1")
    assert (backbone.dimensions, backbone.layer) == (dimensions, name.partition("#")[2] or "pooled")
    pixels = torch.from_numpy(pictures(2))
    first, second = backbone.module(backbone.preparation.prepare(pixels))
    assert torch.isfinite(first).all()
    assert not torch.equal(first, second)


def timm_file(folder: Path, name: str = "weights.pth", **changed: torch.Tensor | None) -> Path:
    """The whole network's weights, classifier and all."""
    state = {**timm.create_model("test_vit", num_classes=7).state_dict(), **changed}
    path = folder / name
    kept = {key: tensor for key, tensor in state.items() if tensor is not None}
    (save_file if path.suffix == ".safetensors" else torch.save)(kept, path)
    return path


def test_a_file_is_the_same_weights_in_either_format_and_with_or_without_its_classifier(tmp_path: Path) -> None:
    whole = timm_file(tmp_path)
    state = torch.load(whole, weights_only=True)
    save_file(state, tmp_path / "same.safetensors")
    torch.save({name: state[name] for name in state if not name.startswith("head.")}, tmp_path / "bare.pth")
    embedders = [
        open_embedder(settings(embedder="timm:test_vit", weights=str(path), device="cpu"))
        for path in (whole, tmp_path / "same.safetensors", tmp_path / "bare.pth")
    ]
    assert len({each.spec for each in embedders}) == 1
    first, second, third = (each.embed(pictures(1)) for each in embedders)
    assert np.array_equal(first, second)
    assert np.array_equal(first, third)
    with pytest.raises(ConfigurationError, match=f"expected sha256 {embedders[0].spec.weights_sha256}, actual"):
        open_embedder(settings(embedder="timm:test_vit", weights="random:1", device="cpu"), embedders[0].spec)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_that_do_not_fit_are_told_by_what_differs(suffix: str, tmp_path: Path) -> None:
    changes = {"norm.weight": None, "norm.bias": torch.zeros(3), "neck.weight": torch.zeros(2)}
    path = timm_file(tmp_path, f"w.{suffix}", **changes)
    told = r"norm.weight is missing; norm.bias has the shape \(3,\), not \(64,\); neck.weight is no part of it"
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_embedder(settings(embedder="timm:test_vit", weights=str(path), device="cpu"))
    assert "timm's test_vit" in str(caught.value)
    path.write_bytes(b"half of it")
    with pytest.raises(ConfigurationError, match="not a whole state dict"):
        open_embedder(settings(embedder="timm:test_vit", weights=str(path), device="cpu"))


@pytest.mark.parametrize(
    ("embedder", "told"),
    [
        ("torchvision:resnet5", r"torchvision has no network 'resnet5' \(near: resnet50"),
        ("timm:test_vits", r"timm has no network 'test_vits' \(near: test_vit"),
        ("torchvision:squeezenet1_1", "ends in no fully connected layer; add #layer"),
        ("torchvision:mobilenet_v3_small#body", "no layer 'body'; its outermost are features, avgpool, classifier"),
        ("timm:test_vit#blocks", "a layer can be named for torchvision only"),
    ],
)
def test_a_network_or_layer_that_is_not_there_is_told_with_what_is(embedder: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        open_embedder(settings(embedder=embedder, weights="random:1", device="cpu"))


def test_a_library_that_is_not_installed_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigurationError, match=r"the extra `train`: pip install 'catalogue-indexer\[train\]'"):
        open_embedder(settings(embedder="timm:test_vit", weights="random:1"))


def test_weights_of_a_library_that_can_not_be_downloaded_now_may_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DependencyUnavailableError, match=r"put the file at .*mobilenet_v3_small-047dcff4\.pth"):
        open_embedder(settings(embedder="torchvision:mobilenet_v3_small", device="cpu"))
    with pytest.raises(DependencyUnavailableError, match="timm's weights for test_vit can't be had"):
        open_embedder(settings(embedder="timm:test_vit", device="cpu"))
    cached = tmp_path / "hub" / "checkpoints" / "mobilenet_v3_small-047dcff4.pth"
    cached.write_bytes(b"half of it")
    with pytest.raises(ConfigurationError, match=r"is damaged .*delete it"):
        open_embedder(settings(embedder="torchvision:mobilenet_v3_small", device="cpu"))


# ImageNet's weights ---------------------------------------------------------------------------------------------------


def test_a_damaged_file_in_the_cache_is_told_with_both_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half of it")
    with pytest.raises(ConfigurationError, match="delete it") as caught:
        open_embedder(settings(device="cpu"))
    assert f"expected sha256 {IMAGENET_SHA256}, actual {file_sha256(cached)}" in str(caught.value)


def test_without_internet_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with pytest.raises(DependencyUnavailableError, match="can't be downloaded") as caught:
        open_embedder(settings(device="cpu"))
    place = tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    assert f"put the file at {place}" in str(caught.value)
    assert "CATALOGUE_EMBEDDER=classic" in str(caught.value)
    assert list(place.parent.iterdir()) == []


@pytest.fixture
def download_url() -> Iterator[str]:
    """A server that gives `weights` under any path, and 404 under /absent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path == "/absent" else 200)
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"weights" if self.path != "/cut" else b"wei")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


DIGEST = hashlib.sha256(b"weights").hexdigest()


def test_a_download_is_checked_and_kept(download_url: str, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "file.pth"
    assert cached_download(f"{download_url}/file.pth", DIGEST, path) == path
    assert path.read_bytes() == b"weights"
    assert [each.name for each in path.parent.iterdir()] == ["file.pth"]
    assert cached_download("http://127.0.0.1:1/not asked again", DIGEST, path) == path


@pytest.mark.parametrize("name", ["file.pth", "cut"])
def test_a_download_with_another_digest_is_not_kept(name: str, download_url: str, tmp_path: Path) -> None:
    expected = DIGEST if name == "cut" else "0" * 64
    actual = hashlib.sha256(b"wei" if name == "cut" else b"weights").hexdigest()
    with pytest.raises(ConfigurationError, match=f"expected sha256 {expected}, actual {actual}"):
        cached_download(f"{download_url}/{name}", expected, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["{}/absent", "http://127.0.0.1:1/file"])
def test_a_download_that_fails_may_be_tried_later(url: str, download_url: str, tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailableError, match="can't be downloaded"):
        cached_download(url.format(download_url), DIGEST, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


# Classic --------------------------------------------------------------------------------------------------------------


def halves(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The gradient part (36 blocks of 4 cells of 9 orientations) and the colour part (16 regions of 36 colours)."""
    count = len(embeddings)
    return embeddings[:, :1296].reshape(count, 36, 4, 9), embeddings[:, 1296:].reshape(count, 16, 36)


def stripes(down: int, across: int) -> Pixels:
    """Waves whose intensity changes in one direction."""
    y, x = np.mgrid[:224, :224]
    wave = 127 + 100 * np.sin((y * down + x * across) / 8)
    return np.repeat(wave.astype(np.uint8)[None, :, :, None], 3, axis=3)


@pytest.mark.parametrize(
    ("down", "across", "degrees"), [(0, 1, 0), (1, 1, 45), (1, 0, 90), (-1, 1, 135)], ids=["0", "45", "90", "135"]
)
def test_stripes_vote_for_their_orientation(down: int, across: int, degrees: int) -> None:
    gradients, _ = halves(ClassicEmbedder().embed(stripes(down, across)))
    centres = (np.arange(9) + 0.5) * 20
    angle = np.abs(centres - degrees)
    nearest = np.minimum(angle, 180 - angle) < 20
    assert gradients.sum(axis=(0, 1, 2))[nearest].sum() > 0.85 * gradients.sum()


def test_a_plain_picture_has_no_gradients_and_one_colour() -> None:
    gradients, colours = halves(ClassicEmbedder().embed(plain((200, 30, 30))))
    assert not gradients.any()
    assert np.count_nonzero(colours, axis=2).tolist() == [[1] * 16]


def test_blocks_and_regions_weigh_the_same() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    gradients, colours = halves(ClassicEmbedder().embed(noise))
    assert np.allclose(np.linalg.norm(gradients.reshape(36, 36), axis=1), 1 / 6, rtol=0.01)
    assert np.allclose(np.linalg.norm(colours[0], axis=1), 0.5 / 4)


def test_hues_are_told_apart_and_greys_have_none() -> None:
    red, orange, blue = (
        halves(ClassicEmbedder().embed(plain(c)))[1] for c in ((255, 0, 0), (255, 140, 0), (0, 0, 255))
    )
    dark, light = (halves(ClassicEmbedder().embed(plain((level,) * 3)))[1] for level in (20, 235))
    assert len({each[0, 0].argmax() for each in (red, orange, blue, dark, light)}) == 5
    tinted = halves(ClassicEmbedder().embed(plain((235, 228, 235))))[1]
    assert np.array_equal(tinted, light)


def test_classic_is_the_same_on_every_machine() -> None:
    """Whole votes and correctly rounded arithmetic: a digest may be written down."""
    embeddings = ClassicEmbedder().embed(np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))
    digest = hashlib.sha256(embeddings.astype("<f4").tobytes()).hexdigest()
    assert digest == "211d36d2b27729dac9091d28faa23b91d66788e7474750c657d9277474adf205"


# ONNX -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("signed", [0 / 127.5 - 1, 51 / 127.5 - 1, 255 / 127.5 - 1]),
        ("unit", [0.0, 0.2, 1.0]),
        ("imagenet", [-0.485 / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
    ],
)
def test_pixels_reach_the_network_as_the_setting_says(pixels: str, expected: list[float], network: Path) -> None:
    opened = open_embedder(settings(embedder=f"onnx:{network}", onnx_pixels=pixels))
    assert opened.embed(plain((0, 51, 255))) == pytest.approx(np.array([expected]), abs=1e-3)
    assert opened.spec.preprocessing.endswith(f" {pixels}")


def test_the_first_output_of_two_axes_is_taken_unless_one_is_named(network: Path) -> None:
    spec = open_embedder(settings(embedder=f"onnx:{network}")).spec
    assert (spec.name, spec.layer, spec.dimensions) == ("onnx:Channel_Means.onnx", "means", 3)
    assert spec.weights_sha256 == file_sha256(network)
    assert open_embedder(settings(embedder=f"onnx:{network}#means")).spec == spec


@pytest.mark.parametrize(("shape", "at_once"), [((1, 3, 224, 224), 1), ((5, 3, 224, 224), 5), (("n", 3, "h", "w"), 6)])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_networks_own_batch_size_goes_before_the_setting_and_each_thread_gets_two_calls(
    shape: tuple[int | str, ...], at_once: int, threads: int, tmp_path: Path
) -> None:
    (tmp_path / "n.onnx").write_bytes(network_bytes(shape))
    opened = open_embedder(settings(embedder=f"onnx:{tmp_path / 'n.onnx'}", batch_size=6, threads=threads))
    assert opened.batch_size == at_once * threads * 2
    assert opened.embed(plain((0, 0, 0), 7)).shape == (7, 3)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no ONNX network"),
        (network_bytes()[:100], "no ONNX network"),
        (network_bytes((1, 3, 299, 299)), r"must take one input, float32 \(count, 3, 224, 224\), not picture"),
        (network_bytes((1, 224, 224, 3)), "must take one input"),
        (network_bytes(element_type=UINT8, outputs=("means",)), "must take one input"),
        (network_bytes(outputs=("pooled",)), r"no output \(count, dimensions\) of two axes, but pooled"),
    ],
    ids=["empty", "truncated", "side", "order", "bytes", "no flat output"],
)
def test_a_network_that_does_not_fit_is_told_with_its_digest(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "n.onnx"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_embedder(settings(embedder=f"onnx:{path}"))
    assert file_sha256(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_output_that_is_not_there_is_told_with_the_others(network: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no output logits of two axes, but pooled .*, means"):
        open_embedder(settings(embedder=f"onnx:{network}#logits"))


def test_a_missing_network_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        open_embedder(settings(embedder=f"onnx:{tmp_path / 'absent.onnx'}"))


def test_without_onnx_runtime_the_extra_is_named(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "shared.encoding.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigurationError, match=r"the extra `onnx`: pip install 'catalogue-indexer\[onnx\]'"):
        open_embedder(settings(embedder=f"onnx:{network}"))


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "vgg19", "vgg16:fc6", "classic:2", "onnx", "onnx:", "timm", "torchvision:"])
def test_an_unknown_embedder_is_told_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"CATALOGUE_EMBEDDER: .* is none of vgg16"):
        open_embedder(settings(embedder=name))

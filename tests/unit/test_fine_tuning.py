"""Fine-tuning: networks learn what their labels say, on the pictures that they may see, the same way each time."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image

from indexer.__main__ import main
from indexer.training.fine_tuning import Report, TrainingPictures, fine_tune
from indexer.training.options import LOSSES, MINERS, Options
from shared.encoding.backbone import build_backbone
from shared.encoding.encoder import load_encoder
from shared.encoding.network import Backbone
from shared.encoding.network_weights import state_sha256, write_state
from shared.encoding.opening import open_backbone_to_train, open_embedder
from shared.errors import EXIT_CONFIGURATION, ConfigurationError
from shared.settings import Settings
from shared.store.opening import open_store

CPU = torch.device("cpu")
QUICK = Options(loss="triplet", miner="all", epochs=6, patience=6, batch_size=16, learning_rate=1e-3, validation=0.4)


def striped(labels: list[int], seed: int = 0) -> NDArray[np.uint8]:
    """Stripes in two colours of chance, whose direction is the label and whose width is not."""
    generator = np.random.default_rng(seed)
    pictures = np.empty((len(labels), 224, 224, 3), np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        light, dark = generator.integers(0, 256, (2, 3))
        wave = (np.arange(224) // generator.integers(8, 24)) % 2
        grid = (wave[:, None], wave[None, :], wave[:, None] ^ wave[None, :])[label]
        picture[:] = np.where(np.broadcast_to(grid, (224, 224))[..., None], light, dark)
    return pictures


def two_directions(each: int = 20) -> TrainingPictures:
    labels = [0, 1] * each
    return TrainingPictures(striped(labels), np.arange(2 * each), np.array(labels), None)


def tuned(options: Options = QUICK, pictures: TrainingPictures | None = None) -> tuple[Backbone, Report]:
    backbone = build_backbone("timm", "test_efficientnet_ln", "random:1")
    report = fine_tune(backbone, pictures or two_directions(), options, CPU, lambda _: None)
    return backbone, report


@pytest.fixture(scope="module")
def learned() -> tuple[Backbone, Report]:
    return tuned()


def test_the_loss_falls_and_retrieval_of_pictures_not_seen_gets_better(learned: tuple[Backbone, Report]) -> None:
    _, report = learned
    assert report.loss[-1] < 0.85 * report.loss[0]
    assert report.map_at_r[report.best_epoch] == max(report.map_at_r) > report.map_at_r[0] + 0.2
    assert (report.pictures, report.validation_pictures, report.labels) == (24, 16, 2)
    assert report.validation_on == "pictures of the labels that are trained on"


def test_the_weights_of_the_best_epoch_are_left(learned: tuple[Backbone, Report], tmp_path: Path) -> None:
    backbone, report = learned
    once, _ = tuned(replace(QUICK, epochs=report.best_epoch))
    assert state_sha256(once.state()) == state_sha256(backbone.state())
    assert not any(parameter.requires_grad for parameter in backbone.module.parameters())
    for name in ("weights.pth", "weights.safetensors"):
        write_state(backbone.state(), tmp_path / name)
        settings = Settings(
            _env_file=None,
            embedder="timm:test_efficientnet_ln",
            weights=str(tmp_path / name),
            device="cpu",
            compute="float32",
        )
        spec = open_embedder(settings).spec
        assert spec.weights_sha256 == state_sha256(backbone.state())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["weights.pth", "weights.safetensors"]


@pytest.mark.parametrize(
    ("loss", "miner"),
    [*((loss, "all") for loss in LOSSES[1:]), *(("triplet", miner) for miner in MINERS if miner != "all")],
)
def test_every_loss_and_miner_finds_something_to_learn(loss: str, miner: str) -> None:
    pictures = two_directions(each=8)
    _, report = tuned(replace(QUICK, loss=loss, miner=miner, epochs=1), pictures)
    assert report.loss[0] > 0
    assert np.isfinite(report.map_at_r).all()


def test_it_ends_when_nothing_gets_better() -> None:
    _, report = tuned(replace(QUICK, learning_rate=0.0, patience=2, epochs=9), two_directions(each=8))
    assert len(report.loss) == 2
    assert report.best_epoch == 0


@pytest.mark.parametrize(
    ("embedder", "dimensions"), [("timm:test_efficientnet_ln", 256), ("torchvision:resnet18#layer1", 64)]
)
def test_a_projection_is_trained_and_opened_with_the_weights(embedder: str, dimensions: int, tmp_path: Path) -> None:
    given = Settings(_env_file=None, embedder=embedder, weights="random:1", device="cpu", compute="float32")
    images = two_directions(6)
    states = []
    for _ in range(2):
        backbone = open_backbone_to_train(given)
        assert backbone.dimensions == dimensions
        backbone = backbone.projected(24, seed=3)
        before = {name: tensor.clone() for name, tensor in backbone.state().items()}
        fine_tune(backbone, images, replace(QUICK, epochs=1), CPU, lambda _: None)
        states.append(state_sha256(backbone.state()))
    assert states[0] == states[1]
    assert before["projection.weight"].shape == (24, dimensions)
    path = tmp_path / "weights.safetensors"
    write_state(backbone.state(), path)
    opened = open_embedder(given.model_copy(update={"weights": str(path)}))
    assert opened.spec.dimensions == 24
    assert open_embedder(given.model_copy(update={"weights": str(path)}), opened.spec).spec == opened.spec
    with torch.inference_mode():
        expected = backbone.module(backbone.preparation.prepare(torch.from_numpy(images.pixels[:4]))).numpy()
    np.testing.assert_allclose(opened.embed(images.pixels[:4]), expected, rtol=1e-3, atol=1e-5)
    again = open_backbone_to_train(given.model_copy(update={"weights": str(path)}))
    assert state_sha256(again.state()) == states[0]
    with pytest.raises(ConfigurationError, match="have a projection to 24 dimensions"):
        again.projected(8, seed=0)


def test_a_projection_of_another_network_is_refused(tmp_path: Path) -> None:
    backbone = build_backbone("timm", "test_efficientnet_ln", "random:1").projected(8, seed=0)
    state = {**backbone.state(), "projection.weight": torch.zeros(8, 3)}
    write_state(state, tmp_path / "other.pth")
    with pytest.raises(ConfigurationError, match="can't be run"):
        build_backbone("timm", "test_efficientnet_ln", str(tmp_path / "other.pth"))
    write_state({**state, "projection.bias": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ConfigurationError, match=r"projection\.weight is no part of it"):
        build_backbone("timm", "test_efficientnet_ln", str(tmp_path / "other.pth"))


def test_batches_with_negatives_from_within_a_group_hold_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat(np.arange(4), 6)
    groups = labels // 2
    seen: list[set[int]] = []
    backbone = build_backbone("timm", "test_efficientnet_ln", "random:1")
    pictures = TrainingPictures(striped([int(label) % 2 for label in labels]), np.arange(24), labels, groups)
    options = replace(QUICK, epochs=1, negatives_within="category", per_label=2, batch_size=4, validation=0.34)
    original = torch.from_numpy

    def noted(array: NDArray[np.int64]) -> torch.Tensor:
        if array.dtype == np.int64 and len(array) == 4:
            seen.append({int(label) // 2 for label in array})
        return original(array)

    monkeypatch.setattr(torch, "from_numpy", noted)
    fine_tune(backbone, pictures, options, CPU, lambda _: None)
    assert len(seen) >= 4
    assert {len(each) for each in seen} == {1}


@pytest.mark.parametrize(
    ("labels", "groups", "told"),
    [
        ([0, 1, 2, 3], None, "at least two labels with at least two pictures each"),
        ([0, 0, -1, -1], None, "at least two labels with at least two pictures each"),
        ([0, 0, 1, 1], None, "at least four pictures of each"),
        ([0, 0, 1, 1], [0, 0, 1, 1], "at least two labels"),
    ],
    ids=["single", "none", "few", "groups of one"],
)
def test_labels_that_nothing_can_be_learned_from_are_told(
    labels: list[int], groups: list[int] | None, told: str
) -> None:
    pictures = TrainingPictures(
        striped([0] * 4), np.arange(4), np.array(labels), None if groups is None else np.array(groups)
    )
    with pytest.raises(ConfigurationError, match=told):
        tuned(QUICK, pictures)


def test_with_many_labels_whole_labels_are_kept_for_validation() -> None:
    labels = np.repeat(np.arange(20), 2)
    pictures = TrainingPictures(striped([int(label) % 3 for label in labels]), np.arange(40), labels, None)
    _, report = tuned(replace(QUICK, epochs=1, validation=0.2), pictures)
    assert (report.labels, report.pictures, report.validation_pictures) == (16, 32, 8)
    assert report.validation_on == "labels that are not trained on"


def test_only_networks_of_pytorch_can_be_trained() -> None:
    with pytest.raises(
        ConfigurationError, match="'classic' can't be trained; vgg16, torchvision:NAME and timm:NAME can"
    ):
        open_backbone_to_train(Settings(_env_file=None, embedder="classic"))


def test_the_command_trains_a_network_and_makes_an_encoder_of_it_active(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, picture in enumerate(striped([0, 1, 2] * 8)):
        folder = tmp_path / "pictures" / ("across", "down", "both")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{number}.png")
    given = {
        "events_url": f"file:{tmp_path / 'events.jsonl'}",
        "store_url": f"sqlite:{tmp_path / 'catalogue.db'}",
        "embedder": "timm:test_efficientnet_ln",
        "weights": "random:1",
        "device": "cpu",
        "bits": 32,
    }
    flags = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    assert main(["produce", "--images", str(tmp_path / "pictures"), "--inline", *flags]) == 0
    out = tmp_path / "tuned" / "weights.safetensors"
    command = ["train", "--labels", "category", "--except", "category=both", "--json", *flags]
    tune = ["--fine-tune", "--projection", "48", "--miner", "all", "--epochs", "2", "--learning-rate", "0.001"]
    assert main([*command, *tune]) == EXIT_CONFIGURATION
    assert main([*command, *tune, "--weights-out", str(tmp_path / "weights.txt")]) == EXIT_CONFIGURATION
    assert "ends in none of .pth, .pt, .safetensors" in capsys.readouterr().err
    assert main([*command, *tune, "--weights-out", str(out)]) == 0
    told = capsys.readouterr()
    assert "k-nn" not in told.err
    report = json.loads(told.out)
    assert (report["fine_tuning"]["labels"], report["fine_tuning"]["options"]["epochs"]) == (2, 2)
    assert report["fine_tuning"]["weights"] == {"from": "random:1", "to": str(out)}
    store = open_store(Settings(_env_file=None, **given))  # type: ignore[arg-type]
    stored = store.active_encoder()
    store.close()
    assert stored is not None
    assert stored.encoder_id == report["encoder"]
    changed = Settings(_env_file=None, **given | {"weights": str(out)})  # type: ignore[arg-type]
    encoder = load_encoder(stored, changed)
    assert (encoder.spec.dimensions, report["fine_tuning"]["options"]["projection"]) == (48, 48)
    codes, finite = encoder.encode(striped([0, 1]))
    assert codes.shape == (2, 4)
    assert finite.all()
    with pytest.raises(ConfigurationError, match="not the weights that the encoder was fitted with"):
        load_encoder(stored, Settings(_env_file=None, **given | {"weights": "random:2"}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("embedder", "library_name"), [("vgg16", "vgg16"), ("torchvision:resnet18#layer1", "resnet18")]
)
def test_tensors_are_written_under_the_librarys_names(embedder: str, library_name: str) -> None:
    state = open_backbone_to_train(Settings(_env_file=None, embedder=embedder, weights="random:1")).state()
    with torch.device("meta"):
        whole = torchvision.models.get_model(library_name, weights=None).state_dict()
    assert len(state) > 10
    assert {name: tensor.shape for name, tensor in state.items()}.items() <= {
        name: tensor.shape for name, tensor in whole.items()
    }.items()

"""Fine-tuning a network on labels: pictures of one label come near to each other, those of others go away.

Losses, miners and samplers are those of pytorch-metric-learning. A batch has several pictures of each of its labels
(MPerClassSampler); where negatives are to come from the same group only, for instance the same small category, a batch
has labels of one group (HierarchicalSampler). After each epoch the network is judged by retrieval among pictures that
it was not trained on, and the best state is kept; it ends early when nothing got better for some epochs.

The same pictures, options, libraries and CPU give the same weights; a GPU adds up in an order of its own.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_metric_learning import distances, losses, miners, samplers
from pytorch_metric_learning.utils import common_functions
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor, nn

from indexer.training.options import Options
from shared.encoding.network import Backbone
from shared.errors import ConfigurationError

UNSEEN_LABELS_FROM = 20
"""With so many labels whole labels are kept for validation; with fewer, pictures of each."""

_PICTURES_AT_ONCE = 32

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPictures:
    """Labels of pictures, and their groups where negatives come from within these; -1 stands for none.

    `pixels` are RGB uint8 of shape (…, 224, 224, 3), perhaps in a file; `places` says where each picture lies there.
    """

    pixels: NDArray[np.uint8]
    places: Labels
    labels: Labels
    groups: Labels | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a training did. Retrieval is measured on the validation pictures: mean average precision at R, and the share
    of pictures whose nearest has their label; the first entry is the network as it came."""

    options: Options
    pictures: int
    labels: int
    validation_pictures: int
    validation_on: str
    loss: list[float]
    map_at_r: list[float]
    precision_at_1: list[float]
    best_epoch: int

    def as_json(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)


def fine_tune(
    backbone: Backbone,
    pictures: TrainingPictures,
    options: Options,
    device: torch.device,
    advance: Callable[[int], None],
) -> Report:
    """Train the backbone's module in place, and leave it on the CPU with the weights of the best epoch.

    `advance` is told of pictures that went through. ConfigurationError where the labels do not allow it (fewer than two
    with two pictures each), or where the loss is no longer a number.
    """
    kept, validation, validation_on = _split(pictures, options)
    torch_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch_state, cudnn, _samplers_seeded(options.seed):
        torch.manual_seed(options.seed)
        # It tells of each measurement.
        common_functions.LOGGER.setLevel(logging.WARNING)
        training = _Training(backbone, pictures, kept, options, device)
        curve = _run(training, validation, options, advance)
    return Report(
        options=options,
        pictures=len(kept),
        labels=len(np.unique(pictures.labels[kept])),
        validation_pictures=len(validation),
        validation_on=validation_on,
        loss=curve.loss,
        map_at_r=curve.map_at_r,
        precision_at_1=curve.precision_at_1,
        best_epoch=curve.best_epoch,
    )


@dataclass(slots=True)
class _Curve:
    loss: list[float]
    map_at_r: list[float]
    precision_at_1: list[float]
    best_epoch: int = 0


def _run(training: "_Training", validation: Labels, options: Options, advance: Callable[[int], None]) -> _Curve:
    first = training.measure(validation)
    curve = _Curve([], [first[0]], [first[1]])
    best = training.state()
    for epoch in range(1, options.epochs + 1):
        curve.loss.append(training.epoch(advance))
        map_at_r, precision = training.measure(validation)
        curve.map_at_r.append(map_at_r)
        curve.precision_at_1.append(precision)
        if map_at_r > curve.map_at_r[curve.best_epoch]:
            curve.best_epoch, best = epoch, training.state()
        elif epoch - curve.best_epoch >= options.patience:
            break
    training.restore(best)
    return curve


class _Training:
    """A network, its optimizer, and the pictures that it learns from."""

    def __init__(
        self, backbone: Backbone, pictures: TrainingPictures, kept: Labels, options: Options, device: torch.device
    ) -> None:
        self._module = backbone.module.to(device).requires_grad_(True)
        self._preparation = backbone.preparation.on(device)
        self._pictures = pictures
        self._device = device
        self._loss = _loss(options)
        self._miner = _miner(options)
        self._optimizer = torch.optim.AdamW(self._module.parameters(), lr=options.learning_rate)
        self._batches = _batches(pictures, kept, options)

    def epoch(self, advance: Callable[[int], None]) -> float:
        """One pass; gives the mean loss of its batches."""
        self._module.train()
        found = []
        for batch in self._batches():
            embeddings = self._module(self._mirrored(self._preparation.prepare(self._pixels(batch))))
            labels = torch.from_numpy(self._pictures.labels[batch]).to(self._device)
            mined = None if self._miner is None else self._miner(embeddings, labels)
            loss: Tensor = self._loss(embeddings, labels, mined)
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            found.append(float(loss.detach()))
            advance(len(batch))
        if not np.isfinite(found).all():
            raise ConfigurationError("the loss is no longer a number; a lower learning rate may help")
        return float(np.mean(found))

    def measure(self, validation: Labels) -> tuple[float, float]:
        """Mean average precision at R and precision at 1 among these pictures."""
        self._module.eval()
        rows = []
        with torch.inference_mode():
            for start in range(0, len(validation), _PICTURES_AT_ONCE):
                prepared = self._preparation.prepare(self._pixels(validation[start : start + _PICTURES_AT_ONCE]))
                rows.append(nn.functional.normalize(self._module(prepared).float()).cpu())
        calculator = AccuracyCalculator(
            include=("mean_average_precision_at_r", "precision_at_1"), k="max_bin_count", device=torch.device("cpu")
        )
        found = calculator.get_accuracy(torch.cat(rows), torch.from_numpy(self._pictures.labels[validation]))
        return float(found["mean_average_precision_at_r"]), float(found["precision_at_1"])

    def state(self) -> dict[str, Tensor]:
        """A copy of the weights."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._module.state_dict().items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take these weights, ready for inference on the CPU."""
        self._module.cpu().eval().requires_grad_(False).load_state_dict(state)

    def _pixels(self, batch: Labels) -> Tensor:
        return torch.from_numpy(self._pictures.pixels[self._pictures.places[batch]]).to(self._device)

    def _mirrored(self, prepared: Tensor) -> Tensor:
        """Half of the pictures, by chance, left to right: the one change that leaves a product as it is."""
        turned = torch.rand(len(prepared)) < 0.5
        return torch.where(turned.to(prepared.device)[:, None, None, None], prepared.flip(-1), prepared)


def _loss(options: Options) -> Any:
    margin = options.margin
    if options.loss == "triplet":
        return losses.TripletMarginLoss(margin=0.2 if margin is None else margin)
    if options.loss == "contrastive":
        return losses.ContrastiveLoss(neg_margin=1.0 if margin is None else margin)
    return losses.MultiSimilarityLoss()


def _miner(options: Options) -> Any:
    """None: every pair or triplet of a batch."""
    distance = distances.LpDistance(normalize_embeddings=True, p=2, power=1)
    if options.miner == "batch-hard":
        return miners.BatchHardMiner(distance=distance)
    if options.miner == "semi-hard":
        margin = 0.2 if options.margin is None else options.margin
        return miners.TripletMarginMiner(margin=margin, type_of_triplets="semihard", distance=distance)
    if options.miner == "distance-weighted":
        return miners.DistanceWeightedMiner(distance=distance)
    return None


def _batches(pictures: TrainingPictures, kept: Labels, options: Options) -> Callable[[], Iterator[Labels]]:
    """Makes an epoch's batches: indices of pictures."""
    labels = pictures.labels[kept]
    if pictures.groups is not None:
        pairs = np.stack([labels, pictures.groups[kept]], axis=1)
        size = max(2, options.batch_size // options.per_label) * options.per_label
        each = max(1, len(kept) // (size * len(np.unique(pairs[:, 1]))))
        within = samplers.HierarchicalSampler(pairs, size, options.per_label, each, super_classes_per_batch=1)
        return lambda: (kept[np.array(batch)] for batch in within)
    count = min(len(np.unique(labels)), max(2, options.batch_size // options.per_label))
    per_label = max(2, options.batch_size // count)
    size = per_label * count
    sampler = samplers.MPerClassSampler(labels, per_label, size, max(size, len(kept)))
    return lambda: (kept[part] for part in np.array(list(sampler)).reshape(-1, size))


def _split(pictures: TrainingPictures, options: Options) -> tuple[Labels, Labels, str]:
    """Indices to train on and to validate on, and what the latter are, in words.

    Only labels of two pictures or more take part, in groups of at least two such labels.
    """
    usable = _usable(pictures)
    generator = np.random.default_rng(options.seed)
    labels = np.unique(pictures.labels[usable])
    if len(labels) < 2:
        raise ConfigurationError("training needs at least two labels with at least two pictures each")
    if len(labels) >= UNSEEN_LABELS_FROM:
        unseen = generator.permutation(labels)[: max(2, round(len(labels) * options.validation))]
        apart = np.isin(pictures.labels[usable], unseen)
        return usable[~apart], usable[apart], "labels that are not trained on"
    order = generator.permutation(usable)
    apart = np.zeros(len(order), np.bool_)
    for label in labels:
        own = np.flatnonzero(pictures.labels[order] == label)
        apart[own[: max(2, round(len(own) * options.validation))]] = len(own) >= 4
    if not apart.any() or len(np.unique(pictures.labels[order[~apart]])) < 2:
        raise ConfigurationError("with so few labels, training needs at least four pictures of each")
    return np.sort(order[~apart]), np.sort(order[apart]), "pictures of the labels that are trained on"


def _usable(pictures: TrainingPictures) -> Labels:
    labels, counts = np.unique(pictures.labels, return_counts=True)
    usable = np.flatnonzero(np.isin(pictures.labels, labels[counts >= 2]) & (pictures.labels >= 0))
    if pictures.groups is None:
        return usable
    pairs = np.unique(np.stack([pictures.groups[usable], pictures.labels[usable]], axis=1), axis=0)
    groups, labels_of = np.unique(pairs[:, 0], return_counts=True)
    kept = np.isin(pictures.groups[usable], groups[labels_of >= 2]) & (pictures.groups[usable] >= 0)
    return usable[kept]


@contextlib.contextmanager
def _samplers_seeded(seed: int) -> Iterator[None]:
    """The library's samplers draw from this one generator."""
    before = common_functions.NUMPY_RANDOM
    common_functions.NUMPY_RANDOM = np.random.RandomState(seed)
    try:
        yield
    finally:
        common_functions.NUMPY_RANDOM = before

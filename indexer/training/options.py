"""How to fine-tune, and the flags for it. Imports no PyTorch: every start of the command line reads this."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from shared.command_line import positive

LOSSES = ("triplet", "contrastive", "multi-similarity")
MINERS = ("semi-hard", "batch-hard", "all", "distance-weighted")
WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True, slots=True)
class Options:
    """How to train. `margin` None: the loss's own. `negatives_within`: the field that groups pictures, or None.

    `projection`: dimensions of a linear layer that is put behind the network, None: none.
    """

    loss: str = "triplet"
    miner: str = "semi-hard"
    margin: float | None = None
    epochs: int = 20
    patience: int = 4
    batch_size: int = 32
    per_label: int = 4
    learning_rate: float = 1e-4
    validation: float = 0.2
    seed: int = 0
    negatives_within: str | None = None
    projection: int | None = None


_DEFAULTS = Options()


def add_fine_tuning(command: argparse.ArgumentParser) -> None:
    """The flags of fine-tuning."""
    group = command.add_argument_group("fine-tuning (vgg16, torchvision:NAME and timm:NAME)")
    group.add_argument(
        "--fine-tune",
        action="store_true",
        help="train the network itself first; several --labels together are then one label",
    )
    group.add_argument(
        "--weights-out", type=Path, metavar="FILE", help=f"file for its weights ({', '.join(WEIGHTS_SUFFIXES)})"
    )
    group.add_argument("--loss", choices=LOSSES, default=_DEFAULTS.loss, help="default: %(default)s")
    group.add_argument("--miner", choices=MINERS, default=_DEFAULTS.miner, help="default: %(default)s")
    group.add_argument("--margin", type=float, metavar="M", help="margin of the loss (default: .2, contrastive: 1)")
    group.add_argument(
        "--negatives-within", metavar="FIELD", help="take negatives from pictures with the same value of this field"
    )
    group.add_argument(
        "--projection",
        type=positive,
        metavar="N",
        help="put a linear layer to N dimensions behind the network, kept with its weights (default: none)",
    )
    group.add_argument("--epochs", type=positive, default=_DEFAULTS.epochs, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--patience",
        type=positive,
        default=_DEFAULTS.patience,
        metavar="N",
        help="epochs without a gain after which it ends (default: %(default)s)",
    )
    group.add_argument(
        "--pictures-per-batch", type=positive, default=_DEFAULTS.batch_size, metavar="N", help="default: %(default)s"
    )
    group.add_argument(
        "--pictures-per-label", type=positive, default=_DEFAULTS.per_label, metavar="N", help="default: %(default)s"
    )
    group.add_argument(
        "--learning-rate", type=float, default=_DEFAULTS.learning_rate, metavar="R", help="default: %(default)s"
    )


def options_of(arguments: argparse.Namespace, validation: float, seed: int) -> Options:
    """What the flags of `add_fine_tuning` say."""
    return Options(
        loss=arguments.loss,
        miner=arguments.miner,
        margin=arguments.margin,
        epochs=arguments.epochs,
        patience=arguments.patience,
        batch_size=arguments.pictures_per_batch,
        per_label=arguments.pictures_per_label,
        learning_rate=arguments.learning_rate,
        validation=validation,
        seed=seed,
        negatives_within=arguments.negatives_within,
        projection=arguments.projection,
    )

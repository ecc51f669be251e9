"""VGG16's pictures a second against plain fp32 modules in the same run, its share of the processor's own matrix
products, and how many bits of a code the number format turns. Weights are random unless others are named: speed does
not depend on them, turned bits do."""

import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import rig
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image

from shared.encoding.embedder import Embedder
from shared.encoding.encoder import Encoder, fit_encoder
from shared.encoding.opening import open_embedder
from shared.hash_code import hamming_distances
from shared.images.picture import SIDE
from shared.settings import Settings

_OPERATIONS_PER_PICTURE = 2 * 15.47e9
_MATRIX_SIDES = {"cpu": 2048, "cuda": 8192}
_BITS = 256
_SEED = "7"

Pixels = NDArray[np.uint8]


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: %(default)s)")
    parser.add_argument("--weights", default=f"random:{_SEED}", help="as CATALOGUE_WEIGHTS (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=300, help="pictures for turned bits (default: %(default)s)")
    arguments = parser.parse_args()
    embedder = open_vgg16("auto", arguments.device, arguments.weights)
    device = arguments.device if arguments.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    figures: dict[str, object] = {"device": device_name(device), "format": embedder.spec.compute}
    figures |= speeds(embedder, device, arguments.rounds)
    if embedder.spec.compute != "float32":
        single = open_vgg16("float32", arguments.device, arguments.weights)
        figures |= turned_bits(embedder, single, pictures(arguments.pictures))
    rig.report(figures, arguments.json)


def open_vgg16(compute: str, device: str, weights: str) -> Embedder:
    """The project's embedder."""
    return open_embedder(Settings(_env_file=None, compute=compute, device=device, weights=weights))


def speeds(embedder: Embedder, device: str, rounds: int) -> dict[str, object]:
    """Medians over turns that take each other's place, so that a busy moment hits all alike."""
    batch = np.random.default_rng(0).integers(0, 256, (embedder.batch_size, SIDE, SIDE, 3), dtype=np.uint8)
    products = matrix_products(device, getattr(torch, embedder.spec.compute))
    candidates: dict[str, Callable[[], object]] = {
        "product": lambda: embedder.embed(batch),
        "plain": plain_modules(batch, device),
        "single": lambda: embedder.embed(batch[:1]),
        "matrix": products,
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate()
            if turn:  # The first one warms up.
                times[name].append(time.perf_counter() - started)
    seconds = {name: statistics.median(each) for name, each in times.items()}
    rate, plain = len(batch) / seconds["product"], len(batch) / seconds["plain"]
    peak = 2 * _MATRIX_SIDES[device_type(device)] ** 3 / seconds["matrix"]
    return {
        "batch": len(batch),
        "pictures_per_second": rate,
        "plain_fp32_pictures_per_second": plain,
        "ratio_to_plain_fp32": rate / plain,
        "one_picture_ms": seconds["single"] * 1000,
        "matrix_product_teraflops": peak / 1e12,
        "share_of_matrix_product_peak": rate * _OPERATIONS_PER_PICTURE / peak,
    }


def plain_modules(batch: Pixels, device: str) -> Callable[[], object]:
    """torchvision's VGG16 up to fc7 as everybody runs it: fp32, eager, channels first."""
    model = torchvision.models.vgg16(init_weights=False).eval().to(device)
    model.classifier = model.classifier[:5]
    pixels = torch.from_numpy(batch)

    def run() -> object:
        with torch.inference_mode():
            values = pixels.to(device).permute(0, 3, 1, 2).contiguous().float().div(255)
            return model(values).cpu()

    return run


def matrix_products(device: str, dtype: torch.dtype) -> Callable[[], object]:
    """The largest rate of multiplications that PyTorch reaches on this processor, in the same number format."""
    side = _MATRIX_SIDES[device_type(device)]
    left, right = (torch.randn(side, side, dtype=dtype, device=device) for _ in range(2))

    def run() -> None:
        torch.mm(left, right)
        if device_type(device) == "cuda":
            torch.cuda.synchronize(device)

    return run


def turned_bits(embedder: Embedder, single: Embedder, images: Pixels) -> dict[str, object]:
    """Bits that differ between codes of the same pictures in two number formats, under one binarizer."""
    embeddings = single.embed(images)
    encoder, _ = fit_encoder(single, embeddings, _BITS, "itq", seed=0)
    codes, _ = encoder.encode(images)
    others, _ = Encoder.of(embedder, encoder.binarizer).encode(images)
    turned = np.bitwise_count(codes ^ others).sum(axis=1)
    between = np.concatenate([hamming_distances(code.tobytes(), codes) for code in codes])
    return {
        "pictures": len(images),
        "turned_bits_mean": float(turned.mean()),
        "turned_bits_max": int(turned.max()),
        "turned_bits_share": float(turned.mean() / _BITS),
        "distance_between_pictures_mean": float(between.mean()),
    }


def pictures(count: int) -> Pixels:
    """Photos of clothes where the collections are, noise of several coarsenesses elsewhere."""
    try:
        contents = [path.read_bytes() for *_, path in rig.clothing(count)]
    except SystemExit:
        generator = np.random.default_rng(0)
        coarse = [generator.integers(0, 256, (2 + n % 30, 2 + n % 30, 3), dtype=np.uint8) for n in range(count)]
        return np.stack([squashed(Image.fromarray(each)) for each in coarse])
    return np.stack([squashed(Image.open(io.BytesIO(content))) for content in contents])


def squashed(image: Image.Image) -> Pixels:
    """As an embedder takes it."""
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def device_type(device: str) -> str:
    """cpu or cuda."""
    return device.partition(":")[0]


def device_name(device: str) -> str:
    """The GPU's name, or cpu with its threads."""
    if device_type(device) == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()

"""Networks of PyTorch as embedders, on a CPU or a CUDA device.

A row's bits must not depend on the batch, so every layer sees one shape only: batches are padded with zeros. On CUDA,
where the device's memory is too short for a batch, because others use it too, that batch is cut in halves, whose last
bits may differ; better so than not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.encoding.embedder import EmbedderSpec
from shared.encoding.network_weights import PROJECTION_BIAS, PROJECTION_WEIGHT, random_state
from shared.encoding.normalisation import NORMALISATIONS, Normalisation
from shared.errors import ConfigurationError
from shared.images.picture import PREPROCESSING, SIDE
from shared.settings import Settings

_FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_BFLOAT16_COMPUTE_CAPABILITY = (8, 0)
_RESIZE = "resize-bilinear/1"
_NETWORK = "network."
"""Stands before a tensor's name in a network with a projection behind it."""

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """From pictures (n, 224, 224, 3) uint8 to what a network takes, (n, 3, height, width) float32.

    `name` is versioned and part of an encoder's id.
    """

    name: str
    size: tuple[int, int]
    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, normalisation: Normalisation, normalisation_name: str, size: tuple[int, int]) -> "Preparation":
        """`size`: height and width that the network takes; the whole picture is resized to it where it differs."""
        resized = "" if size == (SIDE, SIDE) else f" {_RESIZE}-{size[0]}x{size[1]}"
        return cls(
            f"{PREPROCESSING}{resized} {normalisation_name}",
            size,
            torch.from_numpy(normalisation.scale)[:, None, None],
            torch.from_numpy(normalisation.shift)[:, None, None],
        )

    @classmethod
    def by_statistics(
        cls, mean: Sequence[float], deviation: Sequence[float], size: tuple[int, int] = (SIDE, SIDE)
    ) -> "Preparation":
        """From the mean and the deviation, for each of R, G and B, of pixels between 0 and 1."""
        normalisation = Normalisation.by_statistics(mean, deviation)
        for name, known in NORMALISATIONS.items():
            if np.array_equal(known.scale, normalisation.scale) and np.array_equal(known.shift, normalisation.shift):
                return cls.of(known, name, size)
        return cls.of(normalisation, f"mean-{tuple(mean)} deviation-{tuple(deviation)}".replace(" ", ""), size)

    def on(self, device: torch.device) -> "Preparation":
        """The same, to be used on this device."""
        return Preparation(self.name, self.size, self.scale.to(device), self.shift.to(device))

    def prepare(self, pixels: Tensor) -> Tensor:
        """Pixels lie as (height, width, channel): seen as (channel, height, width) they are channels-last already."""
        values = pixels.permute(0, 3, 1, 2).float()
        if self.size != (SIDE, SIDE):
            values = nn.functional.interpolate(values, self.size, mode="bilinear", antialias=True)
        return values.mul_(self.scale).add_(self.shift)


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A network with its weights, on the CPU, in float32, for inference: pictures as prepared to (n, dimensions).

    `name`, `layer` and `weights_sha256` are those of its `EmbedderSpec`; `file_name` gives a tensor of the module the
    name that it has in a file of weights.
    """

    module: nn.Module
    preparation: Preparation
    name: str
    layer: str
    weights_sha256: str
    dimensions: int
    file_name: Callable[[str], str]

    def spec(self, compute: str) -> EmbedderSpec:
        """What decides the output, computed in this number format."""
        return EmbedderSpec(self.name, self.layer, self.weights_sha256, compute, self.preparation.name, self.dimensions)

    def projected(self, dimensions: int, seed: int) -> "Backbone":
        """With a linear layer to so many dimensions behind it, drawn at random, to be trained: its digest is no longer
        that of the weights. ConfigurationError where the weights have such a layer already."""
        if PROJECTION_WEIGHT in self.state():
            raise ConfigurationError(
                f"--projection: these weights have a projection to {self.dimensions} dimensions, which is trained on"
            )
        shapes = {PROJECTION_WEIGHT: torch.empty(dimensions, self.dimensions), PROJECTION_BIAS: torch.empty(dimensions)}
        module = Projected.of(self.module, random_state(str(seed), shapes))
        names = projected_file_name(self.file_name)
        return replace(self, module=module.eval().requires_grad_(False), dimensions=dimensions, file_name=names)

    def state(self) -> dict[str, Tensor]:
        """The weights as they are now, to be written to a file that CATALOGUE_WEIGHTS may name."""
        return {self.file_name(name): tensor.contiguous() for name, tensor in self.module.state_dict().items()}


class Projected(nn.Module):
    """A network, and behind it a linear layer that gives embeddings of another length."""

    def __init__(self, network: nn.Module, projection: nn.Linear) -> None:
        super().__init__()
        self.network = network
        self.projection = projection

    @classmethod
    def of(cls, network: nn.Module, state: Mapping[str, Tensor]) -> "Projected":
        """With the projection that a file's tensors hold."""
        return cls(network, projection_of(state))

    def forward(self, pictures: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.network(pictures))
        return projected


def projection_of(state: Mapping[str, Tensor]) -> nn.Linear:
    """The linear layer of these tensors, `projection.weight` and `projection.bias`."""
    weight, bias = state[PROJECTION_WEIGHT], state[PROJECTION_BIAS]
    layer = nn.Linear(weight.shape[1], len(weight))
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def projected_file_name(file_name: Callable[[str], str]) -> Callable[[str], str]:
    """Names of a `Projected` network's tensors in a file, where `file_name` gives those of the network alone."""
    return lambda name: file_name(name.removeprefix(_NETWORK)) if name.startswith(_NETWORK) else name


@dataclass(frozen=True, slots=True)
class Stages:
    """A network in two parts, the first for `at_once` pictures at a time and the second for a whole batch.

    `first` takes (at_once, 3, height, width), `second` takes (batch, …) of what the first gives and gives
    (batch, dimensions); both in the number format `dtype`.
    """

    first: Step
    second: Step
    at_once: int
    device: torch.device
    dtype: torch.dtype


class NetworkEmbedder:
    """A network that computes padded batches of one shape."""

    def __init__(
        self, stages: Stages, preparation: Preparation, spec: EmbedderSpec, batch_size: int, threads: int
    ) -> None:
        self._stages = stages
        self._spec = spec
        self._threads = threads
        on_cuda = stages.device.type == "cuda"
        self._pixels = torch.zeros((batch_size, SIDE, SIDE, 3), dtype=torch.uint8, pin_memory=on_cuda)
        self._copied = torch.cuda.Event() if on_cuda else None  # type: ignore[no-untyped-call]
        self._preparation = preparation.on(stages.device)

    @property
    def spec(self) -> EmbedderSpec:
        """What decides its output."""
        return self._spec

    @property
    def batch_size(self) -> int:
        """How many pictures the second part of the network sees at once."""
        return len(self._pixels)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`; a row is NaN where the device's memory is too short for a single picture."""
        if self._threads:
            # OpenMP keeps this for each calling thread, so it is set where the work is done.
            torch.set_num_threads(self._threads)
        cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), cudnn:
            embeddings: NDArray[np.float32] = self._embed_in_parts(pixels, self.batch_size).float().cpu().numpy()
        return embeddings

    def _embed_in_parts(self, pixels: NDArray[np.uint8], size: int) -> Tensor:
        return torch.cat(
            [self._embed_part(pixels[start : start + size], size) for start in range(0, len(pixels), size)]
        )

    def _embed_part(self, pixels: NDArray[np.uint8], size: int) -> Tensor:
        """Embeddings of up to `size` pictures; half as many at a time where memory is short, for this part only."""
        try:
            return self._compute(pixels, size)
        except torch.OutOfMemoryError:
            # Going on in here would keep the tensors of the failed try, which the traceback holds.
            structlog.get_logger().warning("device_memory_short", device=str(self._stages.device), batch=size)
        if self._stages.device.type == "cuda":
            torch.cuda.empty_cache()
        if size == 1:
            return torch.full((1, self._spec.dimensions), torch.nan, device=self._stages.device)
        return self._embed_in_parts(pixels, size // 2)

    def _compute(self, pixels: NDArray[np.uint8], size: int) -> Tensor:
        stages, count = self._stages, len(pixels)
        uploaded = self._upload(pixels, size)
        parts = []
        for start in range(0, count, stages.at_once):
            prepared = self._preparation.prepare(uploaded[start : start + stages.at_once])
            parts.append(stages.first(prepared.to(stages.dtype)))
        computed = sum(len(part) for part in parts)
        if computed < size:
            parts.append(parts[0].new_zeros((size - computed, *parts[0].shape[1:])))
        return stages.second(torch.cat(parts))[:count]

    def _upload(self, pixels: NDArray[np.uint8], size: int) -> Tensor:
        """The pictures on the device, padded to `size`; the next ones can be laid ready while these are computed."""
        if self._copied is not None:
            self._copied.synchronize()
        staging = self._pixels[:size]
        rows = staging.numpy()
        rows[: len(pixels)] = pixels
        rows[len(pixels) :] = 0
        if self._copied is None:
            return staging
        uploaded = staging.to(self._stages.device, non_blocking=True)
        self._copied.record(torch.cuda.current_stream(self._stages.device))
        return uploaded


def device_name(setting: str) -> str:
    """The device that CATALOGUE_DEVICE names, in words; errors as in `chosen_device`."""
    device = chosen_device(setting)
    return "cpu" if device.type == "cpu" else f"{device} {torch.cuda.get_device_name(device)}"


def chosen_device(name: str) -> torch.device:
    """The device that CATALOGUE_DEVICE names; ConfigurationError where it names none that is there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"CATALOGUE_DEVICE: {name!r} is none of auto, cpu, cuda, cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"CATALOGUE_DEVICE: {name!r} is none of auto, cpu, cuda, cuda:1")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(f"CATALOGUE_DEVICE: {name} is not there; PyTorch sees {torch.cuda.device_count()}")
    return device


def chosen_format(settings: Settings, stored: EmbedderSpec | None, device: torch.device) -> tuple[str, torch.dtype]:
    """The number format to compute in, by name and as PyTorch's: a stored encoder's goes before the setting."""
    compute = stored.compute if stored else settings.compute
    if compute == "auto":
        compute = "bfloat16" if _computes_bfloat16(device) else "float32"
    return compute, _FORMATS[compute]


def on_device(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The module moved there, in this format, channels last."""
    moved: nn.Module = module.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
    return moved


def has_onednn() -> bool:
    """Whether PyTorch computes with oneDNN on the CPU here."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _computes_bfloat16(device: torch.device) -> bool:
    """Whether the processor has instructions for it; where it has not, PyTorch emulates them slowly."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _BFLOAT16_COMPUTE_CAPABILITY
    # AMX tiles come with AVX512-BF16 in every processor that has them.
    return has_onednn() and bool(torch.cpu._is_avx512_bf16_supported())

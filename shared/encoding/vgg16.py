"""VGG16 (Simonyan & Zisserman, ICLR 2015): torchvision's architecture and weights, on a CPU or a CUDA device.

`fc7` is the second fully connected layer after its ReLU, as the retrieval literature means it; `fc8` are the 1,000
class scores. A row's bits must not depend on the batch, so every layer sees one shape only:

- On a CPU the convolutions take one picture at a time: its activations stay in the caches, which is faster than any
  batch, and a query of one picture does not pay for seven empty ones. Only the fully connected layers, whose weights
  are most of the memory traffic, wait for a batch, padded with zeros. Both run on oneDNN with the weights packed once
  in its own layout and each ReLU fused into the layer before it: 1.1 times as fast as the plain modules, with the same
  bits. The operators are those that PyTorch's own compiler emits; this way no compiler is needed.
- On CUDA everything takes the whole padded batch, channels last. Where the device's memory is too short for it, because
  others use it too, that batch is cut in halves, whose last bits may differ; better so than not at all.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.encoding.embedder import EmbedderSpec, refuse_other_weights
from shared.encoding.normalisation import NORMALISATIONS
from shared.encoding.weights_file import cached_download, file_sha256
from shared.errors import ConfigurationError, DependencyUnavailableError
from shared.images.picture import PREPROCESSING, SIDE
from shared.settings import Settings

IMAGENET_SHA256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"

_LAYERS = {"fc7": (5, 4096), "fc8": (7, 1000)}
"""How many modules of torchvision's classifier each layer needs, and its dimensions."""
_FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_FLAT = 512 * 7 * 7
_CPU_BATCH, _CUDA_BATCH = 8, 256
_BFLOAT16_COMPUTE_CAPABILITY = (8, 0)

State = dict[str, Tensor]
Step = Callable[[Tensor], Tensor]


def open_vgg16(layer: str, settings: Settings, stored: EmbedderSpec | None) -> "Vgg16Embedder":
    """Build the network up to `layer`; errors as in `shared.encoding.opening.open_embedder`."""
    device = _device(settings.device)
    compute = stored.compute if stored else settings.compute
    if compute == "auto":
        compute = "bfloat16" if _computes_bfloat16(device) else "float32"
    model = _empty_model(layer)
    state, digest = _weights(settings.weights, model.state_dict(), stored)
    model.load_state_dict(state, assign=True)
    dtype = _FORMATS[compute]
    model.to(device=device, dtype=dtype, memory_format=torch.channels_last)
    spec = EmbedderSpec("vgg16", layer, digest, compute, f"{PREPROCESSING} imagenet", _LAYERS[layer][1])
    batch_size = settings.batch_size or (_CPU_BATCH if device.type == "cpu" else _CUDA_BATCH)
    return Vgg16Embedder(_stages(model, device, dtype, batch_size), spec, batch_size, settings.threads)


@dataclass(frozen=True, slots=True)
class Stages:
    """The network in two parts: pictures (n, 3, 224, 224) to (n, 25088), and these to (batch, dimensions)."""

    convolve: Step
    classify: Step
    convolved_at_once: int
    device: torch.device
    dtype: torch.dtype


class Vgg16Embedder:
    """VGG16 up to one of its last layers."""

    def __init__(self, stages: Stages, spec: EmbedderSpec, batch_size: int, threads: int) -> None:
        self._stages = stages
        self._spec = spec
        self._threads = threads
        on_cuda = stages.device.type == "cuda"
        self._pixels = torch.zeros((batch_size, SIDE, SIDE, 3), dtype=torch.uint8, pin_memory=on_cuda)
        self._copied = torch.cuda.Event() if on_cuda else None  # type: ignore[no-untyped-call]
        normalisation = NORMALISATIONS["imagenet"]
        self._scale = torch.from_numpy(normalisation.scale).to(stages.device)[:, None, None]
        self._shift = torch.from_numpy(normalisation.shift).to(stages.device)[:, None, None]

    @property
    def spec(self) -> EmbedderSpec:
        """What decides its output."""
        return self._spec

    @property
    def batch_size(self) -> int:
        """How many pictures the fully connected layers see at once (on CUDA, all layers)."""
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
        flat = torch.zeros((size, _FLAT), dtype=stages.dtype, device=stages.device)
        for start in range(0, count, stages.convolved_at_once):
            at_once = slice(start, start + stages.convolved_at_once)
            # Pixels lie as (height, width, channel): seen as (channel, height, width) they are channels-last already.
            normalised = uploaded[at_once].permute(0, 3, 1, 2).float().mul_(self._scale).add_(self._shift)
            flat[at_once] = stages.convolve(normalised.to(stages.dtype))
        return stages.classify(flat)[:count]

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
    """The device that the setting names, in words; ConfigurationError where there is none."""
    device = _device(setting)
    return "cpu" if device.type == "cpu" else f"{device} {torch.cuda.get_device_name(device)}"


def _device(name: str) -> torch.device:
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


def _computes_bfloat16(device: torch.device) -> bool:
    """Whether the processor has instructions for it; where it has not, PyTorch emulates them slowly."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _BFLOAT16_COMPUTE_CAPABILITY
    # AMX tiles come with AVX512-BF16 in every processor that has them.
    return _has_onednn() and bool(torch.cpu._is_avx512_bf16_supported())


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _empty_model(layer: str) -> Any:
    """torchvision's `VGG` without storage for weights, cut behind `layer`."""
    with torch.device("meta"):
        model = torchvision.models.vgg16(init_weights=False)
    model.classifier = model.classifier[: _LAYERS[layer][0]]
    return model.eval().requires_grad_(False)


def _stages(model: Any, device: torch.device, dtype: torch.dtype, batch_size: int) -> Stages:
    # The adaptive pooling between the two parts leaves pictures of 224 x 224 as they are.
    convolutions = nn.Sequential(*model.features, nn.Flatten())
    if device.type == "cuda":
        return Stages(convolutions, model.classifier, batch_size, device, dtype)
    if not _has_onednn() or (dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return Stages(convolutions, model.classifier, 1, device, dtype)
    return Stages(_packed(convolutions, 1), _packed(model.classifier, batch_size), 1, device, dtype)


def _packed(modules: Iterable[nn.Module], batch_size: int) -> Step:
    """The modules one after the other on oneDNN, their weights packed for it and their ReLUs fused."""
    steps: list[Step] = []
    useful = [module for module in modules if not isinstance(module, nn.Dropout)]
    for module, following in pairwise([*useful, nn.Identity()]):
        activation = "relu" if isinstance(following, nn.ReLU) else "none"
        if isinstance(module, nn.Conv2d):
            steps.append(_packed_convolution(module, activation))
        elif isinstance(module, nn.Linear):
            steps.append(_packed_linear(module, activation, batch_size))
        elif not isinstance(module, nn.ReLU):
            steps.append(module)

    def run(values: Tensor) -> Tensor:
        for step in steps:
            values = step(values)
        return values

    return run


def _packed_convolution(module: nn.Conv2d, activation: str) -> Step:
    ones, bias = [1, 1], module.bias
    weight = torch.ops.mkldnn._reorder_convolution_weight(module.weight, ones, ones, ones, 1)
    convolve = torch.ops.mkldnn._convolution_pointwise
    return lambda values: convolve(values, weight, bias, ones, ones, ones, 1, activation, [], "")


def _packed_linear(module: nn.Linear, activation: str, batch_size: int) -> Step:
    bias = module.bias
    weight = torch.ops.mkldnn._reorder_linear_weight(module.weight, batch_size)
    return lambda values: torch.ops.mkldnn._linear_pointwise(values, weight, bias, activation, [], "")


def _weights(setting: str, wanted: Mapping[str, Tensor], stored: EmbedderSpec | None) -> tuple[State, str]:
    """The tensors that `wanted` names, and their digest."""
    source = f"CATALOGUE_WEIGHTS={setting}"
    if setting.startswith("random:"):
        digest = hashlib.sha256(f"{setting} (He-uniform of PCG64's 16-bit words)".encode()).hexdigest()
        refuse_other_weights(source, digest, stored)
        return random_state(setting.removeprefix("random:"), wanted), digest
    path = _imagenet_path() if setting == "imagenet" else Path(setting)
    digest = file_sha256(path)
    refuse_other_weights(source, digest, stored)
    if setting == "imagenet" and digest != IMAGENET_SHA256:
        raise ConfigurationError(f"{path} is damaged (expected sha256 {IMAGENET_SHA256}, actual {digest}); delete it")
    return _checked_state(path, digest, wanted), digest


def _imagenet_path() -> Path:
    """Torchvision's file in torch.hub's cache, downloaded where it is missing."""
    url = torchvision.models.VGG16_Weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
    try:
        return cached_download(url, IMAGENET_SHA256, path)
    except DependencyUnavailableError as error:
        raise DependencyUnavailableError(
            f"CATALOGUE_WEIGHTS=imagenet: {error}; put the file at {path}, or name another with CATALOGUE_WEIGHTS, or "
            "set CATALOGUE_EMBEDDER=classic, which needs none"
        ) from error


def _checked_state(path: Path, digest: str, wanted: Mapping[str, Tensor]) -> State:
    described = f"CATALOGUE_WEIGHTS: {path} is not a whole state dict of VGG16"
    digests = f"(actual sha256 {digest}; torchvision's ImageNet weights: {IMAGENET_SHA256})"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged pickle fails in any way.
        raise ConfigurationError(f"{described} {digests}") from error
    if not isinstance(state, dict):
        raise ConfigurationError(f"{described}, but a {type(state).__name__} {digests}")
    for name, parameter in wanted.items():
        found = state.get(name)
        if not isinstance(found, Tensor) or not found.is_floating_point():
            raise ConfigurationError(f"{described}: {name} is missing {digests}")
        if found.shape != parameter.shape:
            shapes = f"has the shape {tuple(found.shape)}, not {tuple(parameter.shape)}"
            raise ConfigurationError(f"{described}: {name} {shapes} {digests}")
    return {name: state[name] for name in wanted}


def random_state(seed: str, wanted: Mapping[str, Tensor]) -> State:
    """Uniform weights with He's variance (He et al., ICCV 2015), zero biases; the same on every machine.

    They are made of the generator's raw words, the one stream that NumPy promises never to change.
    """
    if not (seed.isascii() and seed.isdigit()):
        raise ConfigurationError(f"CATALOGUE_WEIGHTS: random:{seed} needs a whole number")
    generator = np.random.PCG64(int(seed))

    def tensor(shape: torch.Size) -> Tensor:
        if len(shape) == 1:
            return torch.zeros(shape)
        words = generator.random_raw((shape.numel() + 3) // 4).astype("<u8", copy=False).view("<i2")
        bound = (6 / shape[1:].numel()) ** 0.5
        values = words[: shape.numel()].astype(np.float32)
        return torch.from_numpy(values).mul_(bound / 2**15).reshape(shape)

    return {name: tensor(parameter.shape) for name, parameter in wanted.items()}

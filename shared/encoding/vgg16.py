"""VGG16 (Simonyan & Zisserman, ICLR 2015): torchvision's architecture and weights, on a CPU or a CUDA device.

`fc7` is the second fully connected layer after its ReLU, as the retrieval literature means it; `fc8` are the 1,000
class scores.

- On a CPU the convolutions take one picture at a time: its activations stay in the caches, which is faster than any
  batch, and a query of one picture does not pay for seven empty ones. Only the fully connected layers, whose weights
  are most of the memory traffic, wait for a batch, padded with zeros. Both run on oneDNN with the weights packed once
  in its own layout and each ReLU fused into the layer before it: 1.1 times as fast as the plain modules, with the same
  bits. The operators are those that PyTorch's own compiler emits; this way no compiler is needed.
- On CUDA everything takes the whole padded batch, channels last.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from shared.encoding.embedder import EmbedderSpec, refuse_other_weights
from shared.encoding.network import (
    Backbone,
    NetworkEmbedder,
    Preparation,
    Stages,
    Step,
    chosen_device,
    chosen_format,
    has_onednn,
    on_device,
    projection_of,
)
from shared.encoding.network_weights import PROJECTION_WEIGHT, State, random_state, read_state
from shared.encoding.normalisation import NORMALISATIONS
from shared.encoding.weights_file import cached_download, file_sha256
from shared.errors import ConfigurationError, DependencyUnavailableError
from shared.images.picture import SIDE
from shared.settings import Settings

IMAGENET_SHA256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"

_LAYERS = {"fc7": (5, 4096), "fc8": (7, 1000)}
"""How many modules of torchvision's classifier each layer needs, and its dimensions."""
_CPU_BATCH, _CUDA_BATCH = 8, 256
_PROJECTION = "projection"


def open_vgg16(layer: str, settings: Settings, stored: EmbedderSpec | None) -> NetworkEmbedder:
    """Build the network up to `layer`; errors as in `shared.encoding.opening.open_embedder`."""
    device = chosen_device(settings.device)
    compute, dtype = chosen_format(settings, stored, device)
    backbone = build_vgg16(layer, settings.weights, stored)
    convolutions, classifier = on_device(backbone.module, device, dtype).children()
    batch_size = settings.batch_size or (_CPU_BATCH if device.type == "cpu" else _CUDA_BATCH)
    stages = _stages(convolutions, classifier, device, dtype, batch_size)
    return NetworkEmbedder(stages, backbone.preparation, backbone.spec(compute), batch_size, settings.threads)


def build_vgg16(layer: str, weights: str, stored: EmbedderSpec | None) -> Backbone:
    """The network in two parts (convolutions, fully connected layers); `weights` as in CATALOGUE_WEIGHTS."""
    with torch.device("meta"):
        model = torchvision.models.vgg16(init_weights=False)
    surplus = model.state_dict().keys()
    modules, dimensions = _LAYERS[layer]
    model.classifier = model.classifier[:modules]
    state, digest = _weights(weights, model.state_dict(), surplus, stored)
    model.load_state_dict({name: tensor for name, tensor in state.items() if name in model.state_dict()}, assign=True)
    if PROJECTION_WEIGHT in state:
        projection = projection_of(state)
        if projection.in_features != dimensions:
            raise ConfigurationError(
                f"CATALOGUE_WEIGHTS={weights}: its projection is one of {projection.in_features} dimensions, and "
                f"{layer} has {dimensions}"
            )
        model.classifier.add_module(_PROJECTION, projection)
        dimensions = projection.out_features
    # The adaptive pooling between the two parts leaves pictures of 224 x 224 as they are.
    parts = nn.Sequential(nn.Sequential(*model.features, nn.Flatten()), model.classifier)
    preparation = Preparation.of(NORMALISATIONS["imagenet"], "imagenet", (SIDE, SIDE))
    return Backbone(parts.eval().requires_grad_(False), preparation, "vgg16", layer, digest, dimensions, _file_name)


def _file_name(name: str) -> str:
    part, _, rest = name.partition(".")
    return rest if rest.startswith(_PROJECTION) else f"{('features', 'classifier')[int(part)]}.{rest}"


def _stages(
    convolutions: nn.Module, classifier: nn.Module, device: torch.device, dtype: torch.dtype, batch_size: int
) -> Stages:
    if device.type == "cuda":
        return Stages(convolutions, classifier, batch_size, device, dtype)
    if not has_onednn() or (dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return Stages(convolutions, classifier, 1, device, dtype)
    return Stages(_packed(convolutions.children(), 1), _packed(classifier.children(), batch_size), 1, device, dtype)


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
    ones, bias = [1, 1], _in_one_piece(module.bias)
    weight = torch.ops.mkldnn._reorder_convolution_weight(module.weight, ones, ones, ones, 1)
    convolve = torch.ops.mkldnn._convolution_pointwise
    return lambda values: convolve(values, weight, bias, ones, ones, ones, 1, activation, [], "")


def _packed_linear(module: nn.Linear, activation: str, batch_size: int) -> Step:
    bias = _in_one_piece(module.bias)
    weight = torch.ops.mkldnn._reorder_linear_weight(module.weight, batch_size)
    return lambda values: torch.ops.mkldnn._linear_pointwise(values, weight, bias, activation, [], "")


def _in_one_piece(bias: Tensor | None) -> Tensor | None:
    """OneDNN reads on from the first number, also where a file's tensor is one number seen as many."""
    return None if bias is None else bias.contiguous()


def _weights(
    setting: str, wanted: Mapping[str, Tensor], surplus: Collection[str], stored: EmbedderSpec | None
) -> tuple[State, str]:
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
    return read_state(path, wanted, surplus, "VGG16", f"torchvision's ImageNet weights: {IMAGENET_SHA256}"), digest


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

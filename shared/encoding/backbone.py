"""Any image network of torchvision or timm as an embedder: what it gives in front of its class scores.

The pictures are resized to the side that the network was made for, and normalised with its own mean and deviation, both
out of the library's tables, on the device that computes. The digest of the weights is one of the tensors themselves, so
it is the same for a download and for any file with the same weights.
"""

import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from shared.encoding.embedder import POOLED, EmbedderSpec, refuse_other_weights
from shared.encoding.network import (
    Backbone,
    NetworkEmbedder,
    Preparation,
    Projected,
    Stages,
    chosen_device,
    chosen_format,
    on_device,
    projected_file_name,
)
from shared.encoding.network_weights import PROJECTION_WEIGHT, random_state, read_state, state_sha256
from shared.encoding.weights_file import cached_download, file_sha256
from shared.errors import ConfigurationError, DependencyUnavailableError
from shared.images.picture import SIDE
from shared.settings import Settings

_CPU_BATCH, _CUDA_BATCH = 4, 256
"""For pictures of 224 x 224; fewer of larger ones on CUDA. On a CPU a query of one picture pays for a whole batch."""
_BUILT_WITH = {name: {"init_weights": False, "transform_input": True} for name in ("googlenet", "inception_v3")}
"""Their ImageNet weights belong to a network that normalises once more."""

_EXTRACTOR = "extractor."
"""Stands before a tensor's name in a network that is cut at a chosen layer."""


def open_backbone(family: str, location: str, settings: Settings, stored: EmbedderSpec | None) -> NetworkEmbedder:
    """`family` is timm or torchvision, `location` a `NAME`, for torchvision also `NAME#layer`.

    Errors as in `shared.encoding.opening.open_embedder`.
    """
    device = chosen_device(settings.device)
    compute, dtype = chosen_format(settings, stored, device)
    backbone = build_backbone(family, location, settings.weights)
    refuse_other_weights(f"CATALOGUE_WEIGHTS={settings.weights}", backbone.weights_sha256, stored)
    height, width = backbone.preparation.size
    cuda_batch = max(1, _CUDA_BATCH * SIDE * SIDE // (height * width))
    batch_size = settings.batch_size or (_CPU_BATCH if device.type == "cpu" else cuda_batch)
    module = on_device(backbone.module, device, dtype)
    stages = Stages(module, lambda embeddings: embeddings, batch_size, device, dtype)
    return NetworkEmbedder(stages, backbone.preparation, backbone.spec(compute), batch_size, settings.threads)


def build_backbone(family: str, location: str, weights: str) -> Backbone:
    """The network with the weights that CATALOGUE_WEIGHTS=`weights` names.

    ConfigurationError for an unknown name or layer, and for weights that do not fit.
    """
    name, _, layer = location.partition("#")
    if family == "timm":
        if layer:
            raise ConfigurationError(f"CATALOGUE_EMBEDDER: timm:{location}: a layer can be named for torchvision only")
        module, preparation = _timm_network(name, weights)
    else:
        module, preparation = _torchvision_network(name, layer, weights)
    module = module.eval().requires_grad_(False)
    dimensions = _probed_dimensions(module, preparation, f"{family}:{location}")
    digest = state_sha256(module.state_dict())
    names = projected_file_name(_file_name) if isinstance(module, Projected) else _file_name
    return Backbone(module, preparation, f"{family}:{name}", layer or POOLED, digest, dimensions, names)


def _file_name(name: str) -> str:
    return name.removeprefix(_EXTRACTOR)


# torchvision ----------------------------------------------------------------------------------------------------------


def _torchvision_network(name: str, layer: str, weights: str) -> tuple[nn.Module, Preparation]:
    _refuse_unknown("torchvision", name, torchvision.models.list_models(module=torchvision.models))
    trained = torchvision.models.get_model_weights(name).DEFAULT
    options: dict[str, Any] = _BUILT_WITH.get(name, {})
    if weights == "imagenet":
        _download_torchvision(trained.url)
        # From the cache; it knows the older names of tensors in some files.
        model = torchvision.models.get_model(name, weights=trained)
    else:
        model = torchvision.models.get_model(name, weights=None, **options)
    whole = set(model.state_dict())
    network = _cut(model, layer, f"torchvision:{name}")
    if weights != "imagenet":
        network = _filled(network, weights, whole, f"torchvision's {name}")
    transforms = trained.transforms()
    size = (transforms.crop_size * 2)[:2]
    return network, Preparation.by_statistics(transforms.mean, transforms.std, (size[0], size[1]))


def _download_torchvision(url: str) -> None:
    """Into torch.hub's cache; the file's name ends with the beginning of its digest."""
    path = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
    (beginning,) = re.findall(r"-([0-9a-f]{8,})\.pth$", path.name)
    try:
        cached_download(url, beginning, path)
    except DependencyUnavailableError as error:
        raise _without_download(str(error), f"put the file at {path}, or name another") from error
    if not (actual := file_sha256(path)).startswith(beginning):
        raise ConfigurationError(f"{path} is damaged (expected sha256 {beginning}…, actual {actual}); delete it")


def _cut(model: nn.Module, layer: str, described: str) -> nn.Module:
    """The network up to `layer`, or up to its last fully connected layer, which gives the class scores."""
    if layer:
        return _Pooled(_extractor(model, layer, described))
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ConfigurationError(f"CATALOGUE_EMBEDDER: {described} ends in no fully connected layer; add #layer")
    model.set_submodule(linear[-1], nn.Identity())
    return model


class _Pooled(nn.Module):
    """One layer's output, (n, dimensions), or the mean over the places of (n, dimensions, height, width)."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, pictures: Tensor) -> Tensor:
        output: Tensor = self.extractor(pictures)["output"]
        return output.mean(dim=(2, 3)) if output.ndim == 4 else output


def _extractor(model: nn.Module, layer: str, described: str) -> nn.Module:
    try:
        extractor: nn.Module = create_feature_extractor(model, {layer: "output"})
    except ValueError as error:
        layers = ", ".join(name for name, _ in model.named_children())
        raise ConfigurationError(
            f"CATALOGUE_EMBEDDER: {described} has no layer {layer!r}; its outermost are {layers}"
        ) from error
    return extractor


# timm -----------------------------------------------------------------------------------------------------------------


def _timm_network(name: str, weights: str) -> tuple[nn.Module, Preparation]:
    timm = _timm()
    _refuse_unknown("timm", name.partition(".")[0], timm.list_models())
    if weights == "imagenet":
        network = _timm_pretrained(timm, name)
    else:
        whole = set(timm.create_model(name).state_dict())
        network = timm.create_model(name, num_classes=0)
    data = timm.data.resolve_model_data_config(network)
    if weights != "imagenet":
        network = _filled(network, weights, whole, f"timm's {name}")
    _, height, width = data["input_size"]
    return network, Preparation.by_statistics(data["mean"], data["std"], (height, width))


def _timm() -> Any:
    try:
        import timm  # noqa: PLC0415 (an optional library)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "CATALOGUE_EMBEDDER: networks of timm need the extra `train`: pip install 'catalogue-indexer[train]' "
            f"({error})"
        ) from error
    return timm


def _timm_pretrained(timm: Any, name: str) -> nn.Module:
    if not timm.models.is_model_pretrained(name):
        raise ConfigurationError(f"CATALOGUE_WEIGHTS=imagenet: timm knows no trained weights for {name}")
    try:
        network: nn.Module = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # timm's download runs through several libraries, whose errors have no common base.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _without_download(f"timm's weights for {name} can't be had ({reason})", "name a file") from error
    return network


# Both -----------------------------------------------------------------------------------------------------------------


def _filled(network: nn.Module, weights: str, whole: Collection[str], described: str) -> nn.Module:
    """Load a file, or draw at random; `whole` are the names of the network's tensors with its classifier.

    Gives the network, with the projection behind it that a file may have.
    """
    state = network.state_dict()
    if weights.startswith("random:"):
        state.update(random_state(weights.removeprefix("random:"), _drawn(network)))
    else:
        wanted = {_file_name(name): tensor for name, tensor in state.items()}
        read = read_state(Path(weights), wanted, whole, described)
        state.update({name: read[_file_name(name)] for name in state})
        if PROJECTION_WEIGHT in read:
            network.load_state_dict(state)
            return Projected.of(network, read)
    network.load_state_dict(state)
    return network


def _drawn(network: nn.Module) -> dict[str, Tensor]:
    """What differs from element to element at the start; norms and scales, all one number, stay as they are."""
    return {
        name: parameter.detach()
        for name, parameter in network.named_parameters()
        if parameter.numel() > 1 and bool((parameter != parameter.flatten()[0]).any())
    }


def _probed_dimensions(module: nn.Module, preparation: Preparation, described: str) -> int:
    """Run it once, on zeros: neither library tells for every network."""
    try:
        with torch.inference_mode():
            output = module(torch.zeros((1, 3, *preparation.size)))
    except Exception as error:  # A network may refuse its input in any way.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigurationError(f"CATALOGUE_EMBEDDER: {described} can't be run: {reason}") from error
    if not isinstance(output, Tensor) or output.ndim != 2:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ConfigurationError(f"CATALOGUE_EMBEDDER: {described} gives {found}, not (count, dimensions)")
    return int(output.shape[1])


def _refuse_unknown(family: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = ", ".join(get_close_matches(name, known, n=4)) or "none is near"
        raise ConfigurationError(f"CATALOGUE_EMBEDDER: {family} has no network {name!r} (near: {near})")


def _without_download(told: str, instead: str) -> DependencyUnavailableError:
    return DependencyUnavailableError(f"CATALOGUE_WEIGHTS=imagenet: {told}; {instead} with CATALOGUE_WEIGHTS")

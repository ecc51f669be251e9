"""Weights of PyTorch's networks: from a file, or random for tests; checked against the network that takes them."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.encoding.weights_file import file_sha256
from shared.errors import ConfigurationError

State = dict[str, Tensor]

PROJECTION_WEIGHT, PROJECTION_BIAS = "projection.weight", "projection.bias"
"""Names in a file of a linear layer trained behind the network: weights (its dimensions, the network's), and a bias."""

_DIFFERENCES_TOLD = 3
_PROJECTION = (PROJECTION_WEIGHT, PROJECTION_BIAS)
_SAFETENSORS = ".safetensors"


def read_state(
    path: Path, wanted: Mapping[str, Tensor], surplus: Collection[str], network: str, hint: str = ""
) -> State:
    """The tensors that `wanted` names, out of a state dict in PyTorch's format or, by its suffix, in safetensors; and
    those of a projection, where the file has one.

    ConfigurationError, with the file's digest and with what differs, where it is none, where a tensor is missing or of
    another shape, or where it has one that is neither wanted nor among `surplus` (a classifier that is not needed).
    `network` and `hint` are words for the error. No code of the file is run.
    """
    described = f"CATALOGUE_WEIGHTS: {path} is not a whole state dict of {network}"
    digests = f"(actual sha256 {file_sha256(path)}{'; ' if hint else ''}{hint})"
    state = _load(path, described, digests)
    if not isinstance(state, dict):
        raise ConfigurationError(f"{described}, but a {type(state).__name__} {digests}")
    if differences := list(_differences(state, wanted, surplus)):
        more = len(differences) - _DIFFERENCES_TOLD
        told = [*differences[:_DIFFERENCES_TOLD], *([f"and {more} more"] if more > 0 else [])]
        raise ConfigurationError(f"{described}: {'; '.join(told)} {digests}")
    return {name: state[name] for name in (*wanted, *(name for name in _PROJECTION if name in state))}


def write_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write what `read_state` reads, in the format that the suffix names; under its name once it is whole.

    ConfigurationError where it can't be written, or where safetensors is named and not installed.
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    tensors = {name: tensor.detach().cpu() for name, tensor in state.items()}
    try:
        if path.suffix == _SAFETENSORS:
            _safetensors().save_file(tensors, partial)
        else:
            torch.save(tensors, partial)
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error


def random_state(seed: str, wanted: Mapping[str, Tensor]) -> State:
    """Uniform weights with He's variance (He et al., ICCV 2015), zero biases; the same on every machine.

    They are made of the generator's raw words, the one stream that NumPy promises never to change. ConfigurationError
    where `seed` is no whole number.
    """
    if not (seed.isascii() and seed.isdigit()):
        raise ConfigurationError(f"CATALOGUE_WEIGHTS: random:{seed} needs a whole number")
    generator = np.random.PCG64(int(seed))

    def tensor(shape: torch.Size) -> Tensor:
        if len(shape) <= 1:
            return torch.zeros(shape)
        words = generator.random_raw((shape.numel() + 3) // 4).astype("<u8", copy=False).view("<i2")
        bound = (6 / shape[1:].numel()) ** 0.5
        values = words[: shape.numel()].astype(np.float32)
        return torch.from_numpy(values).mul_(bound / 2**15).reshape(shape)

    return {name: tensor(parameter.shape) for name, parameter in wanted.items()}


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """A hexadecimal SHA-256 of tensors and their names, whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load(path: Path, described: str, digests: str) -> object:
    load = _safetensors().load_file if path.suffix == _SAFETENSORS else _load_pickle
    try:
        return load(path)
    except Exception as error:  # A damaged file fails in any way.
        raise ConfigurationError(f"{described} {digests}") from error


def _load_pickle(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


def _safetensors() -> Any:
    try:
        from safetensors import torch as safetensors  # noqa: PLC0415 (an optional library)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"safetensors files need the extra `train`: pip install 'catalogue-indexer[train]' ({error})"
        ) from error
    return safetensors


def _differences(state: Mapping[str, object], wanted: Mapping[str, Tensor], surplus: Collection[str]) -> list[str]:
    differences = []
    for name, parameter in wanted.items():
        found = state.get(name)
        if not isinstance(found, Tensor) or found.is_floating_point() != parameter.is_floating_point():
            differences.append(f"{name} is missing")
        elif found.shape != parameter.shape:
            differences.append(f"{name} has the shape {tuple(found.shape)}, not {tuple(parameter.shape)}")
    known = {*wanted, *surplus, *(_PROJECTION if _has_projection(state) else ())}
    return differences + [f"{name} is no part of it" for name in state if name not in known]


def _has_projection(state: Mapping[str, object]) -> bool:
    weight, bias = (state.get(name) for name in _PROJECTION)
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor):
        return False
    return weight.ndim == 2 and bias.shape == weight.shape[:1] and weight.is_floating_point()

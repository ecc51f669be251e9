"""An embedder from any ONNX network that takes pictures (count, 3, 224, 224) as float32, computed by ONNX Runtime."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shared.encoding.embedder import EmbedderSpec, refuse_other_weights
from shared.encoding.normalisation import NORMALISATIONS, Normalisation
from shared.errors import ConfigurationError
from shared.images.picture import PREPROCESSING, SIDE
from shared.settings import Settings

_PICTURES_AT_ONCE = 2
"""In one call. 4 are 5 % slower and 8 15 % (activations leave the caches)."""
_CALLS_AT_ONCE = 2
"""For each thread: while one has finished early, another call is there for it."""
_LOG_ERRORS_ONLY = 3


def open_onnx(location: str, settings: Settings, stored: EmbedderSpec | None) -> "OnnxEmbedder":
    """Open `PATH` or `PATH#output`; without an output, the first one of shape (count, dimensions) is taken.

    A network that keeps weights in further files is refused: the digest in the encoder's id would not cover them.
    """
    path_text, _, output = location.partition("#")
    path = Path(path_text)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"CATALOGUE_EMBEDDER: {path}: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    refuse_other_weights(f"CATALOGUE_EMBEDDER={settings.embedder}", digest, stored)
    described = f"CATALOGUE_EMBEDDER: {path} (sha256 {digest})"
    network = _open_network(content, output, settings, described)
    spec = EmbedderSpec(
        name=f"onnx:{path.name}",
        layer=network.output,
        weights_sha256=digest,
        compute="float32",
        preprocessing=f"{PREPROCESSING} {settings.onnx_pixels}",
        dimensions=_probed_dimensions(network, described),
    )
    return OnnxEmbedder(network, spec, NORMALISATIONS[settings.onnx_pixels], settings.threads or os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class _Network:
    """An ONNX Runtime session and how to call it."""

    session: Any
    input: str
    output: str
    batch_size: int

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(batch_size, 3, 224, 224) to whatever shape the output has."""
        output: NDArray[np.float32] = self.session.run([self.output], {self.input: batch})[0]
        return output


class OnnxEmbedder:
    """A network on the CPU, called with one fixed batch shape, in several threads at once.

    Threads that each run the whole network on few pictures wait for each other once a batch, not once a layer as those
    within one call do: 1.2 times as fast on two idle cores, and more where the cores have other work.
    """

    def __init__(self, network: _Network, spec: EmbedderSpec, normalisation: Normalisation, threads: int) -> None:
        self._network = network
        self._spec = spec
        self._scale = normalisation.scale[:, None, None]
        self._shift = normalisation.shift[:, None, None]
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "network")

    @property
    def spec(self) -> EmbedderSpec:
        """What decides its output."""
        return self._spec

    @property
    def batch_size(self) -> int:
        """What keeps all threads busy."""
        return self._network.batch_size * self._threads * _CALLS_AT_ONCE

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        size = self._network.batch_size
        parts = (pixels[start : start + size] for start in range(0, len(pixels), size))
        return np.concatenate(list(self._pool.map(self._embed_part, parts)))

    def _embed_part(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        count = len(pixels)
        batch = np.zeros((self._network.batch_size, 3, SIDE, SIDE), np.float32)
        filled = batch[:count]
        # Transposing bytes before they become floats moves a quarter of the memory.
        np.multiply(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), self._scale, out=filled, dtype=np.float32)
        np.add(filled, self._shift, out=filled)
        return self._network.run(batch)[:count]


def _open_network(content: bytes, output: str, settings: Settings, described: str) -> _Network:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = _LOG_ERRORS_ONLY
    try:
        # From bytes, not from the path: so the digest is of what runs, and files beside it can't be referred to.
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base.
        raise ConfigurationError(f"{described} is no ONNX network that can be run: {_first_line(error)}") from error
    inputs = session.get_inputs()
    fixed = [3, SIDE, SIDE]
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not _fits(inputs[0].shape, fixed):
        found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise ConfigurationError(f"{described} must take one input, float32 (count, 3, {SIDE}, {SIDE}), not {found}")
    own_batch_size = inputs[0].shape[0] if isinstance(inputs[0].shape[0], int) else 0
    return _Network(
        session,
        inputs[0].name,
        _chosen_output(session, output, described),
        own_batch_size or settings.batch_size or _PICTURES_AT_ONCE,
    )


def _fits(shape: list[Any], fixed: list[int]) -> bool:
    """Whether (count, *fixed) can be given to an input of this shape; names stand for any size."""
    return len(shape) == 1 + len(fixed) and all(
        size == wanted or not isinstance(size, int) for size, wanted in zip(shape[1:], fixed, strict=True)
    )


def _chosen_output(session: Any, asked: str, described: str) -> str:
    outputs = [(str(each.name), each.shape) for each in session.get_outputs()]
    flat = [name for name, shape in outputs if len(shape) == 2]
    chosen = asked or next(iter(flat), "")
    if chosen not in flat:
        found = ", ".join(f"{name} {shape}" for name, shape in outputs)
        raise ConfigurationError(f"{described} has no output {asked or '(count, dimensions)'} of two axes, but {found}")
    return chosen


def _probed_dimensions(network: _Network, described: str) -> int:
    """Run it once, on zeros: shapes in an ONNX file may be names."""
    try:
        output = network.run(np.zeros((network.batch_size, 3, SIDE, SIDE), np.float32))
    except Exception as error:  # ONNX Runtime's errors have no common base.
        raise ConfigurationError(f"{described} does not run: {_first_line(error)}") from error
    if output.ndim != 2 or len(output) != network.batch_size or output.dtype != np.float32:
        found = f"{output.dtype} {output.shape}"
        raise ConfigurationError(f"{described}: {network.output} must be float32 (count, dimensions), not {found}")
    return int(output.shape[1])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

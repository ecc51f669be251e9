"""Gradient and colour histograms: an embedder without weights and without any library but NumPy.

Gradients are the histograms of Dalal & Triggs (Histograms of Oriented Gradients for Human Detection, CVPR 2005): 9
unsigned orientations, voted for by the gradient's magnitude in the channel where it is largest, in cells of 32 x 32
pixels, in overlapping blocks of 2 x 2 cells with the L2 norm taken out. Colours are HSV histograms in a 4 x 4 grid,
under the square root (so a region's L2 norm is 1, and distances are Hellinger's). Together 1,872 dimensions.

All votes are whole numbers, so sums are exact in any order, and what follows is correctly rounded arithmetic: a row
does not depend on the batch, nor on the processor.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from shared.encoding.embedder import EmbedderSpec
from shared.images.picture import PREPROCESSING, SIDE

_VERSION = "classic/1"
_PICTURES_AT_ONCE = 8

_ORIENTATIONS = 9
_CELL = 32
_CELLS = SIDE // _CELL
_BLOCKS = _CELLS - 1
_VOTES_PER_LEVEL = 8
"""Votes of a gradient of one grey level, shared out between two orientations."""
_FLAT_BLOCK = 30_000.0
"""Added (in squares) to a block's norm: a gradient of about one level a pixel is noise and counts half."""

_GRID = 4
_HUES, _SATURATIONS, _VALUES, _GREYS = 8, 2, 2, 4
_COLOURS = _GREYS + _HUES * _SATURATIONS * _VALUES
_GREY_BELOW = 0.15
"""Where saturation or value is smaller, the hue means nothing."""
_COLOUR_SHARE = 0.5
"""Length of the colour part relative to the gradient part: by precision at 10 on clothes and on shop pictures."""

_DIMENSIONS = _BLOCKS * _BLOCKS * 4 * _ORIENTATIONS + _GRID * _GRID * _COLOURS


class ClassicEmbedder:
    """Histograms of gradients and colours; about 2 ms a picture."""

    def __init__(self) -> None:
        self._lower_orientation, self._lower_votes, self._upper_votes = _gradient_tables()
        self._colours = _colour_table()
        rows = np.arange(SIDE)
        self._cell_of_pixel = _grid_index(rows // _CELL, _CELLS)
        self._region_of_pixel = _grid_index(rows * _GRID // SIDE, _GRID)

    @property
    def spec(self) -> EmbedderSpec:
        """What decides its output; without weights, the digest is of the version's name."""
        digest = hashlib.sha256(_VERSION.encode()).hexdigest()
        return EmbedderSpec("classic", "histograms", digest, "float32", PREPROCESSING, _DIMENSIONS)

    @property
    def batch_size(self) -> int:
        """Small: what the processor's caches hold."""
        return _PICTURES_AT_ONCE

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        starts = range(0, len(pixels), _PICTURES_AT_ONCE)
        return np.concatenate([self._embed_part(pixels[start : start + _PICTURES_AT_ONCE]) for start in starts])

    def histograms(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The two parts alone: gradients (count, 1296), and the shares of colours in the whole picture (count, 36)."""
        return self._gradient_blocks(pixels).reshape(len(pixels), -1), self.colours(pixels)

    def colours(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The shares of colours in the whole picture, shape (count, 36)."""
        regions = self._colour_regions(pixels)
        shares: NDArray[np.float64] = (regions * regions).mean(axis=1)
        return shares

    def _embed_part(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        gradients = self._gradient_blocks(pixels) / _BLOCKS
        colours = self._colour_regions(pixels) * (_COLOUR_SHARE / _GRID)
        count = len(pixels)
        return np.concatenate([gradients.reshape(count, -1), colours.reshape(count, -1)], axis=1).astype(np.float32)

    def _gradient_blocks(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Normalised histograms, shape (count, 6, 6, 36)."""
        gradient = _strongest_gradient(pixels)
        lower = self._lower_orientation[gradient]
        upper = np.where(lower + 1 == _ORIENTATIONS, 0, lower + 1)
        bins = _CELLS * _CELLS * _ORIENTATIONS
        votes = _histograms(self._cell_of_pixel * _ORIENTATIONS + lower, bins, self._lower_votes[gradient])
        votes += _histograms(self._cell_of_pixel * _ORIENTATIONS + upper, bins, self._upper_votes[gradient])
        cells = votes.reshape(len(pixels), _CELLS, _CELLS, _ORIENTATIONS)
        corners = [cells[:, y : y + _BLOCKS, x : x + _BLOCKS] for y in (0, 1) for x in (0, 1)]
        blocks = np.concatenate(corners, axis=-1)
        norms: NDArray[np.float64] = np.sqrt((blocks * blocks).sum(axis=-1, keepdims=True) + _FLAT_BLOCK**2)
        return blocks / norms

    def _colour_regions(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Square roots of the shares of colours, shape (count, 16, 36)."""
        levels = pixels.astype(np.int32) >> 3
        colour = self._colours[(levels[..., 0] << 10) | (levels[..., 1] << 5) | levels[..., 2]]
        counts = _histograms(self._region_of_pixel * _COLOURS + colour, _GRID * _GRID * _COLOURS, None)
        return np.sqrt(counts.reshape(len(pixels), _GRID * _GRID, _COLOURS) / (SIDE * SIDE / _GRID**2))


def _strongest_gradient(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """For each pixel the index into the gradient tables, from the channel where the gradient is largest."""
    levels = pixels.astype(np.int32)
    across = np.zeros_like(levels)
    down = np.zeros_like(levels)
    np.subtract(levels[:, :, 2:], levels[:, :, :-2], out=across[:, :, 1:-1])
    np.subtract(levels[:, 2:], levels[:, :-2], out=down[:, 1:-1])
    channel = (across * across + down * down).argmax(axis=-1)[..., None]
    index: NDArray[np.int32] = np.take_along_axis((down + 255) * 511 + across + 255, channel, axis=-1)[..., 0]
    return index


def _histograms(bins: NDArray[np.int64], size: int, votes: NDArray[np.int32] | None) -> NDArray[np.float64]:
    """One histogram of `size` bins for each picture; `bins` and `votes` have the shape (count, 224, 224)."""
    count = len(bins)
    offsets = np.arange(count)[:, None, None] * size
    weights = None if votes is None else votes.ravel()
    return np.bincount((bins + offsets).ravel(), weights, count * size).reshape(count, size).astype(np.float64)


def _grid_index(row: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """The number of the grid's field that each pixel lies in, shape (224, 224)."""
    return row[:, None] * width + row[None, :]


def _gradient_tables() -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """For every pair of differences (down, across): the lower of the two nearest orientations, the votes for both."""
    differences = np.arange(-255, 256)
    down, across = (axis.ravel() for axis in np.meshgrid(differences, differences, indexing="ij"))
    magnitude = np.hypot(across, down) * _VOTES_PER_LEVEL
    position = np.mod(np.arctan2(down, across), np.pi) / np.pi * _ORIENTATIONS - 0.5
    lower = np.floor(position)
    upper_share = position - lower
    return (
        lower.astype(np.int64) % _ORIENTATIONS,
        np.rint(magnitude * (1 - upper_share)).astype(np.int32),
        np.rint(magnitude * upper_share).astype(np.int32),
    )


def _colour_table() -> NDArray[np.int64]:
    """The colour bin of each RGB value cut to 5 bits a channel, shape (32768,)."""
    levels = (np.arange(32) * 8 + 4) / 255
    red, green, blue = (axis.ravel() for axis in np.meshgrid(levels, levels, levels, indexing="ij"))
    largest = np.maximum(np.maximum(red, green), blue)
    spread = largest - np.minimum(np.minimum(red, green), blue)
    divisor = np.where(spread > 0, spread, 1.0)
    hue = np.select(
        [largest == red, largest == green],
        [((green - blue) / divisor) % 6, (blue - red) / divisor + 2],
        (red - green) / divisor + 4,
    )
    saturation = spread / largest
    hue_bin = np.floor(hue / 6 * _HUES + 0.5).astype(np.int64) % _HUES
    bright = (_level(saturation, _SATURATIONS), _level(largest, _VALUES))
    coloured = _GREYS + (hue_bin * _SATURATIONS + bright[0]) * _VALUES + bright[1]
    grey = np.minimum((largest * _GREYS).astype(np.int64), _GREYS - 1)
    return np.where((saturation < _GREY_BELOW) | (largest < _GREY_BELOW), grey, coloured)


def _level(share: NDArray[np.float64], levels: int) -> NDArray[np.int64]:
    """Cut the range from grey to 1 into equal levels."""
    return np.clip((share - _GREY_BELOW) / (1 - _GREY_BELOW) * levels, 0, levels - 1).astype(np.int64)

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
"""Asked for at once. They are worked on one by one: what one needs stays in the caches."""

_ORIENTATIONS = 9
_CELL = 32
_CELLS = SIDE // _CELL
_BLOCKS = _CELLS - 1
_VOTES_PER_LEVEL = 8
"""Votes of a gradient of one grey level, shared out between two orientations."""
_UPPER_SHIFT = 26
"""Both votes of a gradient go through one sum, the upper ones so many bits higher; a cell's sums are below 2 ** 22."""
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
    """Histograms of gradients and colours; about 1 ms a picture."""

    def __init__(self) -> None:
        self._lower_orientation, self._votes = _gradient_tables()
        self._colours = _colour_table()
        rows = np.arange(SIDE)
        self._first_bin_of_cell = _grid_index(rows // _CELL, _CELLS) * _ORIENTATIONS
        self._first_bin_of_region = _grid_index(rows * _GRID // SIDE, _GRID) * _COLOURS

    @property
    def spec(self) -> EmbedderSpec:
        """What decides its output; without weights, the digest is of the version's name."""
        digest = hashlib.sha256(_VERSION.encode()).hexdigest()
        return EmbedderSpec("classic", "histograms", digest, "float32", PREPROCESSING, _DIMENSIONS)

    @property
    def batch_size(self) -> int:
        """Small: a picture gains nothing from the others."""
        return _PICTURES_AT_ONCE

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        gradients = self.gradients(pixels) / _BLOCKS
        colours = self._colour_regions(pixels).reshape(len(pixels), -1) * (_COLOUR_SHARE / _GRID)
        return np.concatenate([gradients, colours], axis=1).astype(np.float32)

    def gradients(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The gradient part alone, each block of a length up to 1, shape (count, 1296)."""
        cells = np.stack([self._cells(picture) for picture in pixels])
        corners = [cells[:, y : y + _BLOCKS, x : x + _BLOCKS] for y in (0, 1) for x in (0, 1)]
        blocks = np.concatenate(corners, axis=-1)
        norms = np.sqrt((blocks * blocks).sum(axis=-1, keepdims=True) + _FLAT_BLOCK**2)
        normalised: NDArray[np.float64] = (blocks / norms).reshape(len(pixels), -1)
        return normalised

    def colours(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The shares of colours in the whole picture, shape (count, 36)."""
        regions = self._colour_regions(pixels)
        shares: NDArray[np.float64] = (regions * regions).mean(axis=1)
        return shares

    def _cells(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The votes of one picture's cells, shape (7, 7, 9)."""
        gradient = _strongest_gradient(picture)
        bins = self._lower_orientation[gradient] + self._first_bin_of_cell
        sums = np.bincount(bins.ravel(), self._votes[gradient].ravel(), _CELLS * _CELLS * _ORIENTATIONS)
        both = sums.astype(np.int64).reshape(_CELLS, _CELLS, _ORIENTATIONS)
        upper = both >> _UPPER_SHIFT
        lower = both - (upper << _UPPER_SHIFT)
        return (lower + np.roll(upper, 1, axis=-1)).astype(np.float64)

    def _colour_regions(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Square roots of the shares of colours, shape (count, 16, 36)."""
        counts = np.stack([self._colour_counts(picture) for picture in pixels])
        return np.sqrt(counts.reshape(len(pixels), _GRID * _GRID, _COLOURS) / (SIDE * SIDE / _GRID**2))

    def _colour_counts(self, picture: NDArray[np.uint8]) -> NDArray[np.int64]:
        red, green, blue = (picture[..., channel].astype(np.int32) >> 3 for channel in range(3))
        bins = self._colours[(red << 10) | (green << 5) | blue] + self._first_bin_of_region
        return np.bincount(bins.ravel(), minlength=_GRID * _GRID * _COLOURS)


def _strongest_gradient(picture: NDArray[np.uint8]) -> NDArray[np.int32]:
    """For each pixel the index into the gradient tables, from the (first) channel where the gradient is largest."""
    levels = np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.int32)
    across = np.zeros_like(levels)
    down = np.zeros_like(levels)
    np.subtract(levels[:, :, 2:], levels[:, :, :-2], out=across[:, :, 1:-1])
    np.subtract(levels[:, 2:], levels[:, :-2], out=down[:, 1:-1])
    red, green, blue = across * across + down * down
    index = (down + 255) * 511 + across + 255
    strongest: NDArray[np.int32] = np.where(green > red, index[1], index[0])
    np.copyto(strongest, index[2], where=blue > np.maximum(red, green))
    return strongest


def _grid_index(row: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """The number of the grid's field that each pixel lies in, shape (224, 224)."""
    return row[:, None] * width + row[None, :]


def _gradient_tables() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For every pair of differences (down, across): the lower of the two nearest orientations, the votes for both.

    The votes are one whole number: those for the lower, and 2 ** 26 times those for the upper.
    """
    differences = np.arange(-255, 256)
    down, across = (axis.ravel() for axis in np.meshgrid(differences, differences, indexing="ij"))
    magnitude = np.hypot(across, down) * _VOTES_PER_LEVEL
    position = np.mod(np.arctan2(down, across), np.pi) / np.pi * _ORIENTATIONS - 0.5
    lower = np.floor(position)
    upper_share = position - lower
    votes = np.rint(magnitude * (1 - upper_share)) + np.rint(magnitude * upper_share) * 2**_UPPER_SHIFT
    return lower.astype(np.int64) % _ORIENTATIONS, votes


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

"""Arrays reserved at their largest size at once: growing copies nothing, and untouched memory costs nothing."""

import mmap
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigurationError

_Item = TypeVar("_Item", bound=np.generic)


class Column(Generic[_Item]):
    """A zeroed array of shape (capacity,) or (capacity, width), as `array`.

    Huge pages are asked for where the system has them: a scan is then up to twice as fast.
    """

    def __init__(self, capacity: int, item: type[_Item], width: int = 0) -> None:
        shape = (capacity, width) if width else (capacity,)
        size = max(1, capacity * (width or 1) * np.dtype(item).itemsize)
        self._mapping = _reserve(size)
        self.array: NDArray[_Item] = np.frombuffer(self._mapping, item, count=capacity * (width or 1)).reshape(shape)

    def release(self, start: int) -> None:
        """Give the memory of the rows from `start` on back to the system; they may be zero afterwards."""
        first = -(-start * self.array.strides[0] // mmap.PAGESIZE) * mmap.PAGESIZE
        if hasattr(mmap, "MADV_DONTNEED") and first < len(self._mapping):
            self._mapping.madvise(mmap.MADV_DONTNEED, first)


def _reserve(size: int) -> mmap.mmap:
    # Constants that only some systems have. Without NORESERVE a strict system may refuse; most do not count it.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    try:
        mapping = mmap.mmap(-1, size, flags=flags)
    except OSError as error:
        raise ConfigurationError(
            f"the system reserves no {size} bytes of address space; lower CATALOGUE_RESIDENT_BYTES_MAX"
        ) from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapping.madvise(mmap.MADV_HUGEPAGE)
    return mapping

"""Hamming kernels of FAISS over plain arrays; the one module that imports it.

Codes are uint8 arrays of shape (count, bits / 8), C-contiguous. FAISS spreads queries over threads, never the codes of
one query, so callers cut the codes into slices themselves and run them on `workers`: each of these threads uses itself
alone, and FAISS lets go of Python's lock meanwhile.
"""

from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
from numpy.typing import NDArray


def workers(threads: int) -> ThreadPoolExecutor:
    """Threads in which FAISS computes without starting others."""
    return ThreadPoolExecutor(threads, "resident", initializer=faiss.omp_set_num_threads, initargs=(1,))


def nearest(
    queries: NDArray[np.uint8], codes: NDArray[np.uint8], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The `count` (at most as many as codes) nearest rows of each query: distances and rows, shape (queries, count).

    Nearest first. Ties at the last place are cut arbitrarily.
    """
    distances, rows = faiss.knn_hamming(queries, codes, count)
    return distances.astype(np.int64), rows


def distances_to(query: NDArray[np.uint8], codes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The distance of `query` (bits / 8,) to each row of `codes`; shape (count,)."""
    found = np.empty(len(codes), np.int32)
    if len(codes):
        pointers = faiss.swig_ptr(query), faiss.swig_ptr(codes)
        # FAISS's type stubs leave out this function, and the next.
        faiss.hammings(*pointers, 1, *codes.shape, faiss.swig_ptr(found))  # type: ignore[attr-defined]
    return found


def within(
    queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of a query and a row at most `radius` bits apart: queries, rows, distances; each (pairs,)."""
    found = faiss.RangeSearchResult(len(queries))
    pointers = faiss.swig_ptr(queries), faiss.swig_ptr(codes)
    sizes = len(queries), len(codes), radius + 1, codes.shape[1]
    faiss.hamming_range_search(*pointers, *sizes, found)  # type: ignore[attr-defined]
    ends = faiss.rev_swig_ptr(found.lims, len(queries) + 1).astype(np.int64)
    total = int(ends[-1])
    if not total:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    # The result frees its arrays when it goes: copies are kept.
    rows = faiss.rev_swig_ptr(found.labels, total).copy()
    distances = faiss.rev_swig_ptr(found.distances, total).astype(np.int64)
    return np.repeat(np.arange(len(queries)), np.diff(ends)), rows, distances

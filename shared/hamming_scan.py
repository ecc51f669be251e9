"""Hamming kernels of FAISS over plain arrays; the one module that imports it.

Codes are uint8 arrays of shape (count, bytes), C-contiguous; whole 8 bytes take the fast kernels. FAISS spreads queries
over threads, never the codes of one query, so callers cut the codes into slices and run them on `workers`, or `alone`:
each of these threads uses itself alone, and FAISS lets go of Python's lock meanwhile.

All distances of a block, and then a comparison with a bound, take two thirds of the time of FAISS's k-nearest heap,
and no tie is cut.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray


def workers(threads: int) -> ThreadPoolExecutor:
    """Threads in which FAISS computes without starting others."""
    return ThreadPoolExecutor(threads, "scan", initializer=compute_alone)


def compute_alone() -> None:
    """Let FAISS start no threads from the one that calls this."""
    faiss.omp_set_num_threads(1)


@contextmanager
def alone() -> Iterator[None]:
    """Let FAISS start no threads from this one meanwhile."""
    threads = faiss.omp_get_max_threads()
    compute_alone()
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def distances(queries: NDArray[np.uint8], codes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The distance of each query to each row of `codes`; shape (queries, rows)."""
    found = np.empty((len(queries), len(codes)), np.int32)
    if found.size:
        arrays = faiss.swig_ptr(queries), faiss.swig_ptr(codes)
        sizes = len(queries), len(codes), codes.shape[1]
        # FAISS's type stubs leave out this function, and the next.
        faiss.hammings(*arrays, *sizes, faiss.swig_ptr(found))  # type: ignore[attr-defined]
    return found


def within(
    queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of a query and a row at most `radius` bits apart: queries, rows, distances; each (pairs,)."""
    found = faiss.RangeSearchResult(len(queries))
    arrays = faiss.swig_ptr(queries), faiss.swig_ptr(codes)
    sizes = len(queries), len(codes), radius + 1, codes.shape[1]
    faiss.hamming_range_search(*arrays, *sizes, found)  # type: ignore[attr-defined]
    ends = faiss.rev_swig_ptr(found.lims, len(queries) + 1).astype(np.int64)
    total = int(ends[-1])
    if not total:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    # The result frees its arrays when it goes: copies are kept.
    rows = faiss.rev_swig_ptr(found.labels, total).copy()
    near = faiss.rev_swig_ptr(found.distances, total).astype(np.int64)
    return np.repeat(np.arange(len(queries)), np.diff(ends)), rows, near

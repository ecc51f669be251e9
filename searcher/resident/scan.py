"""The kernels of `shared.hamming_scan`, by the name that the modules of this folder use."""

from shared.hamming_scan import distances, within, workers

__all__ = ["distances", "within", "workers"]

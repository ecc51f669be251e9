"""The real programs with a stub for the network: `python stub_programs.py indexer run`, `… searcher serve`.

Everything else is real: logs, store, decoding, comparing. The stub's codes are digests of pixels, so equal pictures
have equal codes, and others have codes as far apart as chance puts them.
"""

import hashlib
import sys
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from indexer import running
from indexer.__main__ import main as indexer
from searcher import serving
from searcher.__main__ import main as searcher
from shared.store import StoredEncoder

BITS = 256
STORED = StoredEncoder("stub-256", BITS, b"")


class StubEncoder:
    """Codes without a network."""

    encoder_id = STORED.encoder_id
    bits = BITS
    batch_size = 32
    statistics = None

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """A digest of each picture's pixels, and that all are finite."""
        # Of some pixels: a digest of all would take longer than all that is to be measured.
        digests = b"".join(hashlib.blake2b(one[::16].tobytes(), digest_size=BITS // 8).digest() for one in pixels)
        return np.frombuffer(digests, np.uint8).reshape(len(pixels), -1), np.ones(len(pixels), np.bool_)


def main() -> int:
    """The command line of the program that the first argument names."""
    program, *arguments = sys.argv[1:]
    module, run = (running, indexer) if program == "indexer" else (serving, searcher)
    with patch.object(module, "load_encoder", lambda stored, settings: StubEncoder()):
        return run(arguments)


if __name__ == "__main__":
    sys.exit(main())

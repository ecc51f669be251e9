"""`indexer vocabulary`: visual words for the embedder `bovw:PATH`, from pictures sampled as for a fit."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from indexer.sampling import sample_source
from shared.encoding.opening import bag_of_words
from shared.errors import ConfigurationError
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class VocabularyMade:
    """What a vocabulary was made of."""

    words: int
    descriptors: int
    pictures: int


def make_vocabulary(settings: Settings, size: int, words: int, path: Path) -> VocabularyMade:
    """Write `words` visual words of up to `size` pictures to `path`; the same events give the same file.

    ConfigurationError where the file can't be written, the extra `bovw` is missing, or too little is to be seen.
    """
    bow = bag_of_words()
    _refuse_unwritable(path)
    embedder = bow.DescriptorEmbedder(settings.threads or os.cpu_count() or 1)
    _, sample = asyncio.run(sample_source(settings, lambda: embedder, size))
    descriptors = embedder.descriptors_of(sample.embeddings)
    vocabulary = bow.build_vocabulary(descriptors, words, seed=0)
    # Under its name once it is whole: a command that is stopped leaves what was there.
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(vocabulary.to_bytes())
    partial.replace(path)
    return VocabularyMade(len(vocabulary.words), len(descriptors), len(sample.image_ids))


def _refuse_unwritable(path: Path) -> None:
    """Before minutes of work, not after them."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.partial").touch()
    except OSError as error:
        raise ConfigurationError(f"--out: {path}: {error.strerror}") from error
    if path.is_dir():
        raise ConfigurationError(f"--out: {path} is a folder")

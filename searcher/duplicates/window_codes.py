"""All codes of the window by one encoder, read once from the store."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searcher.resident.rows import ImageRows, IndexFullError
from shared.errors import ConfigurationError
from shared.store import Store

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class WindowCodes:
    """Codes, shape (images, bytes; `code_bytes` and zeros behind up to whole 8), and the ids of their images."""

    codes: NDArray[np.uint8]
    image_ids: list[str]
    code_bytes: int


def read_codes(
    store: Store, encoder_id: str, bits: int, visible_after_ms: int, *, bytes_max: int, advance: Advance
) -> WindowCodes:
    """The codes of the images that are visible now; `advance` is told how many more were read.

    StoreUnavailableError; ConfigurationError where they do not fit into `bytes_max`.
    """
    feed, rows, caught_up = store.follow(encoder_id, terms=False), None, False
    try:
        while not caught_up:
            step = feed.read()
            if rows is None or step.lost:
                rows = ImageRows(bits, bytes_max, (), hash, None)
            before = rows.count
            rows.apply(step.changes)
            advance(max(0, rows.count - before))
            caught_up = step.caught_up
    except IndexFullError as error:
        raise ConfigurationError(str(error)) from error
    assert rows is not None, "a feed gives at least one step"
    visible = np.flatnonzero(rows.event_times > visible_after_ms)
    return WindowCodes(rows.codes[visible], rows.ids.texts(visible), bits // 8)

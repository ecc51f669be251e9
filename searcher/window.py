"""Jobs over all images of the window: pairs of near-duplicates, and hubs, the images that are near very many others."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime

from searcher.resident.index import ResidentIndex
from shared.errors import ConfigurationError, QueryInvalidError
from shared.rolling_window import to_milliseconds, window_start
from shared.settings import Settings
from shared.store import Restriction
from shared.store.opening import open_store
from shared.terminal import progress


@contextmanager
def window_in_memory(settings: Settings, now: datetime) -> Iterator[ResidentIndex]:
    """The codes of all visible images as they are in the store now, read with a progress bar.

    ConfigurationError where no encoder is active or the window does not fit into `resident_bytes_max`.
    """
    with closing(open_store(settings)) as store:
        encoder = store.active_encoder()
        if encoder is None:
            raise ConfigurationError("no encoder is active; run `indexer fit` first")
        after_ms = to_milliseconds(window_start(now, settings.window_months))
        feed = store.follow(encoder.encoder_id, terms=False)
        with (
            closing(ResidentIndex(encoder.bits, settings.resident_bytes_max)) as index,
            progress("reading codes", store.visible_count(Restriction(after_ms))) as advance,
        ):
            caught_up = False
            while not caught_up:
                before, step = len(index), feed.read()
                if step.lost:
                    index.clear()
                index.apply(step.changes)
                advance(len(index) - before)
                caught_up = step.caught_up
            index.expire(after_ms)
            yield index


def pairs(settings: Settings, radius: int, now: datetime) -> Iterator[tuple[int, str, str]]:
    """Each pair of visible images at most `radius` bits apart once, as (distance, image id, later id), in any order."""
    with window_in_memory(settings, now) as index, progress("comparing", len(index)) as advance:
        _check(radius, index)
        yield from index.pairs(radius, 0, _advancing(advance))


def hubs(settings: Settings, radius: int, count: int, now: datetime) -> list[tuple[int, str]]:
    """The `count` images with the most others within `radius`, as (others, image id), the most first, then by id."""
    near: Counter[str] = Counter()
    for _, one, other in pairs(settings, radius, now):
        near.update((one, other))
    return sorted(((others, image_id) for image_id, others in near.items()), key=lambda hub: (-hub[0], hub[1]))[:count]


def _check(radius: int, index: ResidentIndex) -> None:
    if not 0 <= radius <= index.bits:
        raise QueryInvalidError(f"a radius is from 0 to {index.bits} bits")


def _advancing(advance: Callable[[int], None]) -> Callable[[int, int], None]:
    """A progress that is told how far the job is, for a bar that is told how much further."""
    done = 0

    def tell(now_done: int, _: int) -> None:
        nonlocal done
        advance(now_done - done)
        done = now_done

    return tell

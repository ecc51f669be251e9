"""Whatever the order and the repetitions of an image's events, the highest version decides; the window to the ms."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.catalogue_event import CatalogueEvent, parse
from indexer.planning import IndexPicture, Settled, WriteMarker, plan_event
from shared.document import Document, Kind
from shared.event_log import Record
from shared.rolling_window import (
    from_milliseconds,
    is_droppable,
    is_inside,
    month_of,
    to_milliseconds,
    window_start,
)
from shared.settings import Settings
from shared.store import Store, WriteOutcome
from shared.store.opening import open_store
from tests.fake_store import FakeStore
from tests.memory_indices import MemoryIndices
from tests.simulator.server import SimulatedStore

WINDOW_MONTHS = 3
# The days on which calendars differ: ends of months, of years, and leap days.
EDGES = [
    datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
    datetime(2027, 2, 28, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(2028, 2, 29, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(2028, 5, 29, tzinfo=UTC),
    datetime(2027, 5, 31, 12, tzinfo=UTC),
]
TEN_MINUTES = timedelta(minutes=10)

moments = st.sampled_from(EDGES) | st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))
skews = st.timedeltas(-TEN_MINUTES, TEN_MINUTES)
# Whole numbers of milliseconds around the window's start.
offsets_ms = st.integers(-2, 2) | st.integers(-700_000, 700_000) | st.integers(-40 * 86_400_000, 80 * 86_400_000)
opened = settings(max_examples=100, derandomize=True)


def event_at(version: int, event_time_ms: int, *, deleted: bool) -> CatalogueEvent:
    value: dict[str, object] = {
        "version": version,
        "event_time": from_milliseconds(event_time_ms).isoformat(),
        "deleted": deleted,
    }
    if not deleted:
        value["image"] = {"url": f"sim:{version}"}
    record = Record("0", version, version + 1, event_time_ms, b"mug", json.dumps(value).encode())
    return parse(record, from_milliseconds(event_time_ms), 10_000)


def apply(store: "Store | SimulatedStore", event: CatalogueEvent, now: datetime) -> None:
    """What the pipeline does with one event, without pictures."""
    match plan_event(event, store.settle([event.image_id]).get(event.image_id), now, WINDOW_MONTHS, "e"):
        case Settled():
            return
        case WriteMarker(_, document):
            pass
        case IndexPicture():
            document = Document(
                event.image_id, Kind.IMAGE, event.resolved.version, True, event.event_time_ms, codes={"e": bytes(8)}
            )
    assert store.write([document], now) == [WriteOutcome.WRITTEN]


def on_memory(folder: Path) -> SimulatedStore:
    return SimulatedStore(MemoryIndices())


def on_sqlite(folder: Path) -> Store:
    return open_store(Settings(_env_file=None, store_url=f"sqlite://{folder}/catalogue.db"))


@pytest.mark.parametrize("make", [lambda folder: FakeStore(), on_memory, on_sqlite], ids=["fake", "monthly", "sqlite"])
@opened
@given(data=st.data(), now=moments)
def test_any_order_and_repetition_of_events_leaves_the_highest_version(
    make: Callable[[Path], Store | SimulatedStore], data: st.DataObject, now: datetime
) -> None:
    edge = to_milliseconds(window_start(now, WINDOW_MONTHS))
    meant = data.draw(st.lists(st.tuples(offsets_ms, st.booleans()), min_size=1, max_size=5))
    events = [
        event_at(version, min(edge + offset, to_milliseconds(now)), deleted=deleted)
        for version, (offset, deleted) in enumerate(meant)
    ]
    order = data.draw(st.permutations(events)) + data.draw(st.lists(st.sampled_from(events), max_size=4))
    with TemporaryDirectory() as folder:
        store = make(Path(folder))
        for event in order:
            apply(store, event, now)
        held = store.documents(["mug"])["mug"]
        if not isinstance(store, SimulatedStore):
            store.close()
    best = events[-1]
    assert held.version == best.resolved.version
    assert held.event_time_ms == best.event_time_ms
    inside = best.event_time_ms > edge
    assert held.visible(edge) == (inside and not best.deleted)
    assert held.kind is (Kind.DELETED if best.deleted else Kind.IMAGE if inside else Kind.EXPIRED)


@opened
@given(
    clocks=st.lists(moments, min_size=2, max_size=6),
    dice=st.randoms(use_true_random=False),
    deletes=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_months_that_change_between_events_leave_one_live_copy_of_the_highest_version(
    clocks: Sequence[datetime], dice: random.Random, deletes: Sequence[bool]
) -> None:
    """Clocks go as they like between events, over months, years and leap days; event times are those of the clocks."""
    indices = MemoryIndices()
    store = SimulatedStore(indices)
    events = [
        event_at(version, to_milliseconds(clock), deleted=deleted)
        for version, (clock, deleted) in enumerate(zip(sorted(clocks), deletes, strict=False))
    ]
    pairs = [(event, clock) for event, clock in zip(events, sorted(clocks), strict=True)]
    dice.shuffle(pairs)
    for event, clock in pairs:
        apply(store, event, clock)
    live = [one.version for one in indices.held("mug") if one.live]
    assert live == ([] if events[-1].deleted else [len(events) - 1])


@opened
@given(now=moments, months=st.integers(1, 14), offset=offsets_ms, worker=skews, searcher=skews)
def test_what_a_skewed_searcher_shows_lies_in_no_month_that_a_skewed_worker_drops(
    now: datetime, months: int, offset: int, worker: timedelta, searcher: timedelta
) -> None:
    """Written at `now` by one clock, judged later by two others; the direction in which nothing is lost."""
    event_time_ms = to_milliseconds(now) - max(0, offset)
    written_in = month_of(now + worker)
    for later in (timedelta(0), timedelta(days=28 * months), timedelta(days=31 * months + 2)):
        dropping, looking = now + later + worker, now + later + searcher
        if is_droppable(written_in, dropping, months):
            assert not is_inside(event_time_ms, looking, months)


@opened
@given(now=moments, months=st.integers(1, 14), skew=skews)
def test_clocks_disagree_about_the_edge_by_no_more_than_they_differ(
    now: datetime, months: int, skew: timedelta
) -> None:
    """But from one day to the next, where the edge itself may pass over the days that a month has more."""
    slow, fast = sorted([now, now + skew])
    shift = window_start(fast, months) - window_start(slow, months)
    assert timedelta(0) <= shift <= fast - slow + (timedelta(0) if slow.date() == fast.date() else timedelta(days=3))


@opened
@given(now=moments, months=st.integers(1, 14))
def test_an_event_is_outside_at_the_edge_and_inside_one_millisecond_later(now: datetime, months: int) -> None:
    edge = to_milliseconds(window_start(now, months))
    assert [is_inside(edge + off, now, months) for off in (-1, 0, 1)] == [False, False, True]
    # Later by a millisecond, the edge may not have moved back.
    assert not is_inside(edge, now + timedelta(milliseconds=1), months)

"""What an event means for its image."""

from datetime import UTC, datetime

import pytest

from indexer.catalogue_event import CatalogueEvent, Resolved
from indexer.planning import AddCode, IndexPicture, Outcome, Settled, WriteMarker, plan_event
from shared.document import Document, Kind
from shared.errors import RejectedError, RejectionReason
from shared.rolling_window import to_milliseconds

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OURS = "ours-16"
WINDOW_START = datetime(2026, 8, 20, 12, tzinfo=UTC)


def event(version: int = 5, *, explicit: bool = False, at: datetime = NOW, deleted: bool = False) -> CatalogueEvent:
    resolved = Resolved(version, explicit, to_milliseconds(at) * 1000)
    return CatalogueEvent("a", resolved, "a", None if deleted else "https://host/a.jpg", None, {})


def stored(
    version: int, kind: Kind = Kind.IMAGE, *, explicit: bool = False, encoder_id: str = OURS, at: datetime = NOW
) -> Document:
    codes = {encoder_id: b"\0\0"} if kind is Kind.IMAGE else {}
    return Document("a", kind, version, explicit, to_milliseconds(at), codes=codes)


def test_a_new_image_needs_its_picture() -> None:
    assert plan_event(event(), None, NOW, 3, OURS) == IndexPicture(None)


def test_an_update_may_reuse_the_live_version_before_it() -> None:
    before = stored(4)
    assert plan_event(event(), before, NOW, 3, OURS) == IndexPicture(before)


@pytest.mark.parametrize("kind", [Kind.DELETED, Kind.EXPIRED])
def test_an_image_comes_back_after_a_marker_of_a_lower_version(kind: Kind) -> None:
    assert plan_event(event(), stored(4, kind), NOW, 3, OURS) == IndexPicture(None)


@pytest.mark.parametrize("kind", [Kind.IMAGE, Kind.DELETED, Kind.EXPIRED])
@pytest.mark.parametrize("deleted", [False, True])
def test_a_lower_version_is_superseded_and_an_equal_one_a_repeat(kind: Kind, deleted: bool) -> None:
    assert plan_event(event(5, deleted=deleted), stored(6, kind), NOW, 3, OURS) == Settled(Outcome.SUPERSEDED)
    assert plan_event(event(5, deleted=deleted), stored(5, kind), NOW, 3, OURS) == Settled(Outcome.REPEATED)


def test_a_visible_image_without_the_encoders_code_gets_it_from_an_event_of_its_version() -> None:
    foreign = stored(5, encoder_id="theirs-16")
    assert plan_event(event(), foreign, NOW, 3, OURS) == AddCode(foreign)
    # Whatever the event says of its time: of equal versions the first stays.
    assert plan_event(event(at=WINDOW_START), foreign, NOW, 3, OURS) == AddCode(foreign)


def test_nothing_is_added_to_what_no_search_can_show_or_by_what_has_no_picture() -> None:
    repeated = Settled(Outcome.REPEATED)
    assert plan_event(event(), stored(5, encoder_id="theirs-16", at=WINDOW_START), NOW, 3, OURS) == repeated
    assert plan_event(event(deleted=True), stored(5, encoder_id="theirs-16"), NOW, 3, OURS) == repeated
    assert plan_event(event(4), stored(5, encoder_id="theirs-16"), NOW, 3, OURS) == Settled(Outcome.SUPERSEDED)


def test_a_delete_leaves_a_marker_even_of_an_unknown_image() -> None:
    plan = plan_event(event(deleted=True), None, NOW, 3, OURS)
    assert plan == WriteMarker(
        Outcome.DELETED, Document("a", Kind.DELETED, 5, False, to_milliseconds(NOW), to_milliseconds(NOW))
    )


def test_an_event_outside_the_window_still_keeps_lower_versions_out() -> None:
    plan = plan_event(event(at=WINDOW_START), stored(4), NOW, 3, OURS)
    assert isinstance(plan, WriteMarker)
    assert (plan.outcome, plan.document.kind, plan.document.version) == (Outcome.EXPIRED, Kind.EXPIRED, 5)


def test_the_window_is_exact_to_the_millisecond() -> None:
    inside = WINDOW_START.replace(microsecond=1000)
    assert plan_event(event(at=inside), None, NOW, 3, OURS) == IndexPicture(None)


@pytest.mark.parametrize("explicit", [False, True])
def test_explicit_and_implicit_versions_do_not_mix(explicit: bool) -> None:
    with pytest.raises(RejectedError) as caught:
        plan_event(event(9, explicit=explicit), stored(4, explicit=not explicit), NOW, 3, OURS)
    assert caught.value.reason is RejectionReason.VERSION_MIXED

"""What goes over the wire about watches and alerts."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from searcher.watching.precision import Precision
from searcher.wire import FilterName, FilterValue, ListedImage, Seed, shown_time
from searcher.workbench.records import Verdict
from searcher.workbench.watch_records import Alert, KeptWatch, Tally, WatchState
from searcher.workbench.wire import Name, Note
from shared.hash_code import BITS_MAX
from shared.watch import WATCH_CODES_MAX

_FILTERS_MAX = 32
_FILTER_VALUES_MAX = 256

Radius = Annotated[int, Field(ge=0, le=BITS_MAX, description="Largest distance to the nearest of the codes, in bits.")]
Filter = Annotated[
    dict[FilterName, Annotated[list[FilterValue], Field(min_length=1, max_length=_FILTER_VALUES_MAX)]],
    Field(max_length=_FILTERS_MAX, description="Attribute to values; an image needs one value of each attribute."),
]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class NewWatchRequest(_Wire):
    """A watch to open: for seeds, or without any for the seeds and relevant images of a case.

    Seeds are kept with the case; without a case, one of the watch's name is opened.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Chipped mugs", "seeds": [{"image_id": "mug-1"}], "radius": 30}]}
    )

    name: Name
    note: Note = ""
    case_id: str | None = None
    seeds: Annotated[list[Seed], Field(max_length=WATCH_CODES_MAX)] = []
    radius: Radius
    filter: Filter = {}

    @model_validator(mode="after")
    def _watches_for_something(self) -> Self:
        if self.case_id is None and not any(seed.weight > 0 for seed in self.seeds):
            raise ValueError("a watch needs a case, or a seed of positive weight")
        return self


class WatchChange(_Wire):
    """What to change of a watch; what is not named stays. `from_case`: watch for what the case found relevant by now.

    A change of radius, filter or codes, and going on after a pause, runs the watch over the whole window anew.
    """

    name: Name | None = None
    note: Note | None = None
    state: WatchState | None = None
    radius: Radius | None = None
    filter: Filter | None = None
    from_case: bool = False

    @property
    def changes(self) -> dict[str, Any]:
        """What changes, by name."""
        given = {
            "name": self.name,
            "note": self.note,
            "state": self.state,
            "radius": self.radius,
            "filter": self.filter,
        }
        return {name: value for name, value in given.items() if value is not None}


class PrecisionReply(_Wire):
    """The share of judged alerts that are relevant, and its 95 % interval (Wilson)."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, precision: Precision) -> "PrecisionReply":
        """The same as it is answered."""
        return cls(share=precision.share, low=precision.low, high=precision.high)


class WatchReply(_Wire):
    """A watch and how it has done."""

    watch_id: str
    case_id: str
    name: str
    note: str
    state: WatchState
    encoder: str
    codes: list[str]
    radius: int
    filter: dict[str, list[FilterValue]]
    revision: int
    ran: Annotated[bool, Field(description="Whether it has been run over the whole window as it is now.")]
    made_at: str
    changed_at: str
    alerts: int
    alerts_today: Annotated[int, Field(description="Raised since midnight, UTC.")]
    unjudged: int
    relevant: Annotated[int, Field(description="Images with alerts that are relevant in the watch's case.")]
    not_relevant: int
    precision: PrecisionReply | None
    suggested_radius: Annotated[
        int | None,
        Field(
            description="The largest at which four of five images judged in the case are relevant; null with fewer "
            "than ten of these."
        ),
    ]

    @classmethod
    def of(cls, watch: KeptWatch, tally: Tally, precision: Precision | None, suggested: int | None) -> "WatchReply":
        """The same as it is answered."""
        return cls(
            watch_id=watch.watch_id,
            case_id=watch.case_id,
            name=watch.name,
            note=watch.note,
            state=watch.state,
            encoder=watch.encoder_id,
            codes=[code.hex() for code in watch.codes],
            radius=watch.radius,
            filter={name: list(values) for name, values in watch.filter.items()},
            revision=watch.revision,
            ran=watch.ran_revision >= watch.revision,
            made_at=shown_time(watch.made_at),
            changed_at=shown_time(watch.changed_at),
            alerts=tally.alerts,
            alerts_today=tally.recent,
            unjudged=tally.unjudged,
            relevant=tally.relevant,
            not_relevant=tally.not_relevant,
            precision=None if precision is None else PrecisionReply.of(precision),
            suggested_radius=suggested,
        )


class WatchesReply(_Wire):
    """A page of watches, the one changed last first; `cursor` asks for the next page, null at the end."""

    watches: list[WatchReply]
    cursor: str | None


class AlertReply(_Wire):
    """A match of a watch, raised once. It is judged in the watch's case; `verdict` is the last one there."""

    number: int
    alert_id: str
    watch_id: str
    watch_name: str
    case_id: str
    image: ListedImage
    version: int
    distance: int
    encoder: str
    code: str
    raised_at: str
    verdict: Verdict | None

    @classmethod
    def of(cls, alert: Alert) -> "AlertReply":
        """The same as it is answered."""
        return cls(
            number=alert.number,
            alert_id=alert.alert_id,
            watch_id=alert.watch_id,
            watch_name=alert.watch_name,
            case_id=alert.case_id,
            image=ListedImage.model_validate_json(alert.image),
            version=alert.version,
            distance=alert.distance,
            encoder=alert.encoder_id,
            code=alert.code.hex(),
            raised_at=shown_time(alert.raised_at),
            verdict=alert.verdict,
        )


class AlertsReply(_Wire):
    """Alerts. `before` asks for those behind these, null at the end; `newest` for those that come `after` all these."""

    alerts: list[AlertReply]
    before: int | None
    newest: int

    @classmethod
    def page(cls, found: Sequence[Alert], count: int, newest: int) -> "AlertsReply":
        """A page of at most `count` of what was found for one more, the newest first."""
        shown = [AlertReply.of(one) for one in found[:count]]
        before = shown[-1].number if len(found) > count else None
        return cls(alerts=shown, before=before, newest=newest)

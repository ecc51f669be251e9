"""Samples of images that nobody judged, as they were drawn. What was said of them then is in the ledger."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from searcher.workbench.audit import write_audit
from searcher.workbench.database import Database
from searcher.workbench.estimating import Stratum
from searcher.workbench.tables import SAMPLE_IMAGES, SAMPLES
from shared.errors import CatalogueError
from shared.rolling_window import from_milliseconds, to_milliseconds

_SAMPLE_ID_BYTES = 8


class SampleMissingError(CatalogueError):
    """No sample was drawn yet."""


@dataclass(frozen=True, slots=True)
class NewSample:
    """What was drawn, in the order in which to judge it: `images` are image ids, `of` the place of each one's stratum.

    `rule` is the request that it was drawn by, as JSON; `after` the number of the last entry of the ledger that was
    known then, and `as_of` the moment until which every write of the store was.
    """

    rule: str
    encoder: str
    as_of: datetime
    after: int
    strata: Sequence[Stratum]
    images: Sequence[str]
    of: Sequence[int]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample as it is kept. `drawn_before` counts the case's earlier ones."""

    sample_id: str
    case_id: str
    who: str
    drawn_at: datetime
    drawn_before: int
    drawn: NewSample


class Samples:
    """What is kept in a database. Every method is one transaction; WorkbenchUnavailableError where it is away."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def add(self, case_id: str, drawn: NewSample, who: str) -> Sample:
        """Keep a sample of a case that there is, of at least one image."""
        sample_id, now_ms = secrets.token_hex(_SAMPLE_ID_BYTES), to_milliseconds(self._now())
        row = {
            "sample_id": sample_id,
            "case_id": case_id,
            "who": who,
            "drawn_at_ms": now_ms,
            "as_of_ms": to_milliseconds(drawn.as_of),
            "encoder": drawn.encoder,
            "after": drawn.after,
            "rule": drawn.rule,
            "strata": json.dumps([asdict(stratum) for stratum in drawn.strata]),
        }
        pairs = zip(drawn.images, drawn.of, strict=True)
        with self._database.transaction(writes=True) as connection:
            number = connection.execute(SAMPLES.insert().values(row).returning(SAMPLES.c.number)).scalar_one()
            images = [
                {"sample": number, "place": place, "image_id": image_id, "stratum": stratum}
                for place, (image_id, stratum) in enumerate(pairs)
            ]
            connection.execute(SAMPLE_IMAGES.insert(), images)
            detail = {"sample": sample_id, "images": len(images)}
            write_audit(connection, now_ms, who, "sample_drawn", case_id=case_id, detail=detail)
            return _read(connection, SAMPLES.c.number == number)

    def last(self, case_id: str) -> Sample:
        """The sample of a case that was drawn last; SampleMissingError."""
        newest = select(func.max(SAMPLES.c.number)).where(SAMPLES.c.case_id == case_id)
        with self._database.transaction() as connection:
            return _read(connection, SAMPLES.c.number.in_(newest))


def _read(connection: Connection, which: ColumnElement[bool]) -> Sample:
    row = connection.execute(select(SAMPLES).where(which)).first()
    if row is None:
        raise SampleMissingError("no sample of this case was drawn")
    before = select(func.count()).where(SAMPLES.c.case_id == row.case_id, SAMPLES.c.number < row.number)
    images = select(SAMPLE_IMAGES).where(SAMPLE_IMAGES.c.sample == row.number).order_by(SAMPLE_IMAGES.c.place)
    return _sample_of(row, connection.execute(before).scalar_one(), connection.execute(images).all())


def _sample_of(row: Row[Any], drawn_before: int, images: Sequence[Row[Any]]) -> Sample:
    return Sample(
        row.sample_id,
        row.case_id,
        row.who,
        from_milliseconds(row.drawn_at_ms),
        drawn_before,
        NewSample(
            row.rule,
            row.encoder,
            from_milliseconds(row.as_of_ms),
            row.after,
            [Stratum(**stratum) for stratum in json.loads(row.strata)],
            [image.image_id for image in images],
            [image.stratum for image in images],
        ),
    )

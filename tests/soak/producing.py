"""The events of a soak: those of the catalogue model, images that always stay, probes and poison; and their way in."""

import itertools
import json
import random
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.errors import EventLogUnavailableError
from shared.event_log import LogWriter, NewRecord
from tests.model import PICTURES, CatalogueModel, Version, event_of
from tests.soak.world import World

_STEADY = 20
_BY_URL = 0.15
_POISON_SHARE = 0.02
_POISON = (
    b"this is no JSON",
    b'{"image_id": 7}',
    b'{"image": {"url": "http://127.0.0.1:1/forbidden.jpg"}}',
    b'{"image": {"bytes": "bm8gcGljdHVyZQ=="}}',
)


class SoakEvents:
    """Makes events and knows what must be visible after all of them."""

    def __init__(self, generator: random.Random, now: datetime, world: World) -> None:
        self._generator = generator
        self._now = now
        self._world = world
        self._model = CatalogueModel(generator, now, images=300)
        self._kept: dict[str, Version] = {}
        self._probes = itertools.count()
        self.poison = 0
        self.made = 0

    @property
    def steady(self) -> Sequence[str]:
        """Images that are updated and never deleted."""
        return [f"steady/{number}" for number in range(_STEADY)]

    def first(self) -> list[NewRecord]:
        """The first versions of the steady images."""
        return [self._keep(image_id, by_url=False) for image_id in self.steady]

    def next(self, count: int) -> list[NewRecord]:
        """At least so many further events."""
        records = [self._record(event) for event in self._model.events(count)]
        records.append(self._keep(self._generator.choice(self.steady), by_url=self._generator.random() < _BY_URL))
        if self._generator.random() < _POISON_SHARE * count:
            self.poison += 1
            records.append(NewRecord(b"poison/%d" % self.poison, self._generator.choice(_POISON)))
        self._generator.shuffle(records)
        self.made += len(records)
        return records

    def probe(self) -> tuple[str, NewRecord]:
        """An event of a new image, which tells that events come through again."""
        image_id = f"probe/{next(self._probes)}"
        self.made += 1
        return image_id, self._keep(image_id, by_url=False)

    def visible(self) -> dict[str, Version]:
        """What must be visible once all is done."""
        return {**self._model.visible(), **self._kept}

    def _keep(self, image_id: str, *, by_url: bool) -> NewRecord:
        before = self._kept.get(image_id)
        picture = self._generator.randrange(PICTURES)
        event_time = self._now - timedelta(days=self._generator.uniform(0, 40))
        version = Version((before.number if before else 0) + 1, event_time, picture, deleted=False)
        self._kept[image_id] = version
        return self._record(event_of(image_id, version), by_url=by_url)

    def _record(self, event: dict[str, Any], by_url: bool | None = None) -> NewRecord:
        if by_url is None:
            by_url = self._generator.random() < _BY_URL
        if by_url and "image" in event:
            event = event | {"image": {"url": self._world.picture_url(event["attributes"]["picture"])}}
        return NewRecord(event["image_id"].encode(), json.dumps(event).encode())


class Producer:
    """Appends to the event source until told to stop; while it is away, tries again, which may repeat events."""

    def __init__(self, events: SoakEvents, writer: LogWriter, events_per_second: float) -> None:
        self._events = events
        self._writer = writer
        self._per_second = events_per_second
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._produce, daemon=True)

    def start(self) -> None:
        """Begin to produce."""
        self._thread.start()

    def stop(self) -> None:
        """Produce no more; what was made is appended first."""
        self._stopped.set()
        self._thread.join()

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append, however long it takes."""
        while True:
            try:
                with self._lock:
                    self._writer.append(records)
            except EventLogUnavailableError:
                threading.Event().wait(0.5)
            else:
                return

    def probe(self) -> str:
        """Append a probe; gives its image id."""
        image_id, record = self._events.probe()
        self.append([record])
        return image_id

    def _produce(self) -> None:
        while not self._stopped.wait(1):
            self.append(self._events.next(max(1, round(self._per_second))))

"""Events that come again, late or out of order, through the real programs: no change to the index (F17 to F19, F31).

No change is meant to the byte of every document: its version, its code, the time at which it was indexed.
"""

import dataclasses
import itertools
import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from shared.document import Document
from shared.event_log import NewRecord
from shared.store.opening import open_store
from tests.model import CatalogueModel, compare
from tests.pictures import jpeg_picture
from tests.programs import Programs, get_json, until

NOW = datetime.now(UTC)


def unkeyed(events: Sequence[Mapping[str, Any]]) -> list[NewRecord]:
    """Records without a key: in Kafka the events of one image lie in any partition, in any order."""
    return [NewRecord(None, json.dumps(event).encode()) for event in events]


@contextmanager
def worked_off(job: Programs, records: int) -> Iterator[None]:
    """A worker has done this many records, and still runs."""
    with job.worker() as worker:
        until(lambda: job.worker_metric("records_total") == records, 120, f"{records} records", worker)
        yield
        worker.terminate()
        assert worker.wait(30) == 0


def embedded(job: Programs) -> int:
    """Pictures that the running worker has embedded."""
    return int(job.worker_metric("batch_size_sum", stage="embed"))


def documents(job: Programs, image_ids: Sequence[str]) -> Mapping[str, Document]:
    """Every document of these images, whole."""
    with closing(open_store(job.settings_of_programs())) as store:
        found = store.documents(image_ids)
    return {image_id: dataclasses.replace(one, thumbnail=None) for image_id, one in found.items()}


def test_f17_f18_f31_events_shuffled_repeated_stale_and_replayed_leave_each_highest_version_once(
    job: Programs,
) -> None:
    model = CatalogueModel(random.Random(17), NOW, images=40)
    events = model.events(160)
    image_ids = sorted({str(event["image_id"]) for event in events})
    distinct = {(event["image_id"], event["version"]) for event in events}
    job.append(unkeyed(events))
    job.ok("indexer", "fit", "--sample", "24")
    with worked_off(job, len(events)):
        # F18: each version is embedded once, where it is not superseded before.
        assert embedded(job) <= len(distinct)
    with job.serving() as base:
        expected = model.visible()
        until(lambda: not compare(base, expected).lost, 30, "the refresh")
        assert compare(base, expected).clean
        before = documents(job, image_ids)
        # F17: each event twice more, with a tenth of stale ones in any order.
        again = [*events, *events]
        random.Random(18).shuffle(again)
        job.append(unkeyed(again))
        with worked_off(job, len(again)):
            assert embedded(job) == 0
        assert documents(job, image_ids) == before
        # F31: the whole backlog from the start, as another group, with queries all along.
        job.settings["group"] = "replayed"
        with queries_all_along(base), worked_off(job, len(events) + len(again)):
            assert embedded(job) == 0
        assert documents(job, image_ids) == before
        assert compare(base, expected).clean


@contextmanager
def queries_all_along(base: str) -> Iterator[None]:
    """Every query meanwhile is answered, completely, with a hit at distance 0."""
    ended = threading.Event()

    def ask() -> int:
        for count in itertools.count(1):
            reply = get_json(f"{base}/v1/search", {"seeds": [{"image": jpeg_picture(count % 24)}], "k": 3})
            assert reply["complete"]
            assert len(reply["hits"]) == 3
            if ended.wait(0.02):
                break
        return count

    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(ask)
        try:
            yield
        finally:
            ended.set()
        assert asked.result(60) > 5


def test_f19_an_older_update_does_not_revive_what_was_deleted_and_a_newer_one_does(job: Programs) -> None:
    """Elasticsearch forgets its own deletes after `index.gc_deletes`; a marker stays."""
    job.append([event("image", 1), event("other", 1)])
    job.ok("indexer", "fit", "--sample", "2", "--binarizer", "hyperplanes")
    with job.serving() as base, job.worker():
        until(lambda: visible(base) == {"image": 1, "other": 1}, 60, "both images")
        forget_deletes_at_once(job)
        job.append([{"image_id": "image", "version": 5, "event_time": NOW.isoformat(), "deleted": True}])
        until(lambda: visible(base) == {"other": 1}, 30, "the delete")
        # At once, and after what Elasticsearch would remember: each write below takes a refresh.
        for version in (2, 3, 4):
            job.append([event("image", version)])
            done = 3 + version - 1
            until(lambda done=done: job.worker_metric("records_total") == done, 30, "the older update")  # type: ignore[misc]
            assert visible(base) == {"other": 1}
        assert job.worker_metric("records_total", outcome="superseded") == 3
        job.append([event("image", 6)])
        until(lambda: visible(base) == {"image": 6, "other": 1}, 30, "the newer update")


def event(image_id: str, version: int) -> dict[str, Any]:
    now = NOW.isoformat()
    return {"image_id": image_id, "version": version, "event_time": now, "image": {"bytes": jpeg_picture(version)}}


def forget_deletes_at_once(job: Programs) -> None:
    """Let Elasticsearch forget each delete at once; SQLite has no such memory."""
    scheme, _, rest = job.settings["store_url"].partition("://")
    if scheme == "sqlite":
        return
    request = urllib.request.Request(
        f"http://{rest}/catalogue-2*/_settings",
        json.dumps({"index.gc_deletes": "1ms"}).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=30).close()


def visible(base: str) -> dict[str, int]:
    """The version that each visible image shows."""
    listed = (image["image_id"] for image in get_json(f"{base}/v1/images?limit=100")["images"])
    return {image_id: found for image_id in listed if (found := version_of(base, image_id)) is not None}


def version_of(base: str, image_id: str) -> int | None:
    """The version of an image, in real time: none though a list that is not refreshed may still name it."""
    try:
        return int(get_json(f"{base}/v1/images/{image_id}")["version"])
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 404:
            raise
        return None

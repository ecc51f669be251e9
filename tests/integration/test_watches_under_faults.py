"""Workers that are killed while images stream in and watches are published: no match is missed."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared import match
from shared.document import attribute_terms
from shared.event_log import opening
from shared.hash_code import hamming_distances
from shared.store import Store
from shared.store.opening import open_store
from shared.watch import Watch, WatchList
from tests.pictures import jpeg_picture
from tests.programs import Programs, programs

KILLS = 3
ROUND = 60
COLOURS = ("red", "blue")


@pytest.fixture
def job(tmp_path: Path) -> Programs:
    return programs(tmp_path, in_flight_records_max="16", write_batch_size="4", batch_size="4", retry_seconds_max="1")


@pytest.fixture
def store(job: Programs) -> Iterator[Store]:
    with closing(open_store(job.settings_of_programs())) as opened:
        yield opened


def event(number: int) -> dict[str, Any]:
    return {
        "image_id": f"image-{number}",
        "version": 1,
        "event_time": datetime.now(UTC).isoformat(),
        "image": {"bytes": jpeg_picture(number)},
        "attributes": {"colour": COLOURS[number % 2]},
    }


def watch(number: int, encoder_id: str) -> Watch:
    """A watch that about every third picture matches, of red ones only where its number is odd."""
    code = np.random.default_rng(number).bytes(32)
    return Watch(f"watch-{number}", 1, encoder_id, [code], 125, [["colour=red"]] if number % 2 else [])


def told(job: Programs) -> list[match.Match]:
    with closing(opening.open_match_scanner(job.settings_of_programs())) as scanner:
        found = [match.from_record(record) for record in scanner.scan()]
    matches = [one for one in found if one is not None]
    assert len(matches) == len(found)
    return matches


def test_each_image_that_is_written_after_a_watch_was_published_is_matched_with_it_however_often_workers_die(
    job: Programs, store: Store
) -> None:
    dice = random.Random(5)
    job.append(event(number) for number in range(ROUND))
    job.ok("indexer", "fit", "--sample", "24")
    encoder = store.active_encoder()
    assert encoder is not None
    watches: list[Watch] = []
    # Each watch with the first image that was produced after its publishing.
    since: dict[str, int] = {}
    for kill in range(KILLS):
        with job.worker() as worker:
            watches.append(watch(kill, encoder.encoder_id))
            store.publish_watches(WatchList(kill + 1, watches))
            since[watches[-1].watch_id] = ROUND * (kill + 1)
            job.append(event(number) for number in range(ROUND * (kill + 1), ROUND * (kill + 2)))
            with suppress(subprocess.TimeoutExpired):
                worker.wait(dice.uniform(0, 0.3))
    job.ok("indexer", "run", "--until-caught-up")
    images = store.documents([f"image-{number}" for number in range(ROUND * (KILLS + 1))])
    assert len(images) == ROUND * (KILLS + 1)
    within = {
        (one.watch_id, image_id): distance
        for one in watches
        for image_id, image in images.items()
        if (distance := near(one, image.codes[encoder.encoder_id])) <= one.radius
        and one.lets_through(attribute_terms(image.attributes))
    }
    due = {pair for pair in within if int(pair[1].removeprefix("image-")) >= since[pair[0]]}
    matches = told(job)
    # What was written before a watch was published is left to the search over the window, and matched by chance only.
    assert due <= {(one.watch_id, one.image_id) for one in matches} <= within.keys()
    assert all(one.distance == within[one.watch_id, one.image_id] for one in matches)
    assert len(due) > ROUND


def near(one: Watch, code: bytes) -> int:
    return int(hamming_distances(code, np.frombuffer(one.codes[0], np.uint8)[None])[0])

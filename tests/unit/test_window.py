"""Jobs over the window: all pairs within a radius, hubs, and hubs that are held back from the hits."""

import json
from pathlib import Path

import numpy as np
import pytest

from searcher.__main__ import main
from searcher.window import hubs, pairs
from searcher.wire import SearchRequest
from shared.errors import ConfigurationError, QueryInvalidError
from shared.hash_code import hamming_distances
from shared.settings import Settings
from shared.store import StoredEncoder
from shared.store.sqlite_store import SqliteStore
from tests.searchers import code_near, fake_searcher
from tests.searchers import image as near_image
from tests.store_subject import ENCODER, NOW, NOW_MS, deletion, image

CENTRE = bytes(8)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store with 60 images around one code, of which one was deleted and one has left the window."""
    generator = np.random.default_rng(3)
    store = SqliteStore(tmp_path / "store.sqlite")
    store.activate_encoder(StoredEncoder(ENCODER, 64, b"blob"))
    codes = [np.packbits(generator.random(64) < 0.1).tobytes() for _ in range(60)]
    store.write([image(f"{number:02}", code=code) for number, code in enumerate(codes)], NOW)
    store.write([deletion("07", 2), image("08", 2, code=codes[8], event_time_ms=NOW_MS - 100 * 86_400_000)], NOW)
    store.close()
    return Settings(_env_file=None, store_url=f"sqlite://{tmp_path}/store.sqlite")


def brute_force(settings: Settings, radius: int) -> list[tuple[int, str, str]]:
    store = SqliteStore(Path(settings.store_url.removeprefix("sqlite://")))
    known = store.documents([f"{number:02}" for number in range(60) if number not in (7, 8)])
    store.close()
    ids = sorted(known)
    codes = np.array([list(known[image_id].codes[ENCODER]) for image_id in ids], dtype=np.uint8)
    found = []
    for place, one in enumerate(ids):
        distances = hamming_distances(codes[place].tobytes(), codes)
        found += [(int(distances[other]), one, ids[other]) for other in range(place + 1, len(ids))]
    return sorted(pair for pair in found if pair[0] <= radius)


@pytest.mark.parametrize("radius", [0, 5, 9, 64])
def test_pairs_are_those_of_brute_force(settings: Settings, radius: int) -> None:
    assert sorted(pairs(settings, radius, NOW)) == brute_force(settings, radius)


def test_hubs_are_near_the_most_others(settings: Settings) -> None:
    expected: dict[str, int] = {}
    for _, one, other in brute_force(settings, 9):
        for image_id in (one, other):
            expected[image_id] = expected.get(image_id, 0) + 1
    ranked = sorted(((count, image_id) for image_id, count in expected.items()), key=lambda hub: (-hub[0], hub[1]))
    assert hubs(settings, 9, 5, NOW) == ranked[:5]
    assert ranked[0][0] > ranked[-1][0]


def test_a_radius_that_makes_no_sense_and_a_store_without_encoder_are_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(QueryInvalidError, match="from 0 to 64"):
        list(pairs(settings, 65, NOW))
    empty = Settings(_env_file=None, store_url=f"sqlite://{tmp_path}/empty.sqlite")
    with pytest.raises(ConfigurationError, match="indexer fit"):
        list(pairs(empty, 5, NOW))


def test_the_commands_print_what_they_find(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--store-url", settings.store_url, "--window-months", "120"]
    assert main(["pairs", "--radius", "3", "--json", *flags]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(set(pair) == {"distance", "image_id", "other"} for pair in found)
    assert {(pair["distance"], pair["image_id"], pair["other"]) for pair in found} >= set(brute_force(settings, 3))
    assert main(["hubs", "--radius", "9", "--count", "3", "--ids", *flags]) == 0
    assert len(capsys.readouterr().out.split()) == 3


async def test_images_that_are_held_back_are_no_hits_and_take_no_places(tmp_path: Path) -> None:
    held_back = tmp_path / "held-back.txt"
    held_back.write_text("hub-1\nhub-2\n")
    with fake_searcher(hold_back_file=held_back) as made:
        made.put(*(near_image(f"hub-{n}", code_near(bytes(32), n)) for n in range(4)))
        made.put(*(near_image(f"other-{n}", code_near(bytes(32), 10 + n)) for n in range(4)))
        made.keep_in_memory()
        for strategy in ("resident", "flat"):
            request = SearchRequest.model_validate({"seeds": [{"code": "00" * 32}], "k": 4, "strategy": strategy})
            hits = (await made.searcher.search(request)).hits
            assert [hit.image_id for hit in hits] == ["hub-0", "hub-3", "other-0", "other-1"]
            told = await made.services().explainer.explain("hub-1", request)
            assert (told.verdict, told.distance) == ("held_back", 1)


def test_a_file_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with (
        fake_searcher(hold_back_file=tmp_path / "none") as made,
        pytest.raises(ConfigurationError, match="CATALOGUE_HOLD_BACK_FILE"),
    ):
        made.searcher  # noqa: B018 (it is made when asked for)

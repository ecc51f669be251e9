"""An analyst's morning, from one bad picture to every one like it, past and to come: real programs, a real browser."""

import base64
import csv
import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from shared.event_log.opening import open_published_scanner
from tests.browsing import settled, watched
from tests.programs import Programs, get_json, until

pytestmark = pytest.mark.browser

ITEMS = 90
JUDGED = 50
SAMPLED = 20


@dataclass
class Morning:
    """The page, the programs behind it, and what the analyst is looking for."""

    page: Page
    job: Programs
    base: str
    seed: bytes
    wanted: frozenset[str]

    def judge(self, count: int) -> None:
        """Judge so many pictures by keyboard alone, from the focused one on."""
        cards = self.page.locator(".card")
        for place in range(min(count, cards.count())):
            card = cards.nth(place)
            expect(card).to_be_focused()
            relevant = image_on(card.locator(".verdicts").get_attribute("data-image")) in self.wanted
            self.page.keyboard.press("1" if relevant else "2")
            expect(card).to_have_class("card relevant" if relevant else "card not_relevant")

    def published(self, stream: str) -> list[dict[str, Any]]:
        """What went out on a stream."""
        with closing(open_published_scanner(self.job.settings_of_programs(), stream)) as scanner:
            return [json.loads(record.value or b"") for record in scanner.scan()]

    def alerted(self) -> list[str]:
        """The images of all alerts that went out."""
        return [alert["image"]["image_id"] for alert in self.published("alerts")]


@pytest.fixture
def morning(job: Programs, context: BrowserContext) -> Iterator[Morning]:
    job.settings |= {"workbench_url": f"sqlite://{job.folder}/workbench.db"}
    job.ok("indexer", "produce", "--demo", str(ITEMS))
    job.ok("indexer", "fit", "--sample", "100")
    job.ok("indexer", "run", "--until-caught-up")
    with job.worker(), job.serving() as base:
        mugs = [one["image_id"] for one in get_json(f"{base}/v1/images?q=mug&limit=100")["images"]]
        with urllib.request.urlopen(f"{base}/v1/images/{quote(mugs[0], safe='')}/thumbnail", timeout=30) as reply:
            seed = reply.read()
        page = context.new_page()
        with watched(page, base):
            page.goto(base)
            yield Morning(page, job, base, seed, frozenset(mugs))


def image_on(data: str | None) -> str:
    return str(json.loads(data or "{}")["image_id"])


def test_a_morning_from_one_picture_to_every_one_like_it(morning: Morning) -> None:
    page = morning.page
    page.set_input_files("#image", {"name": "bad.webp", "mimeType": "image/webp", "buffer": morning.seed})
    expect(page.locator("#cropping img")).to_be_visible()
    settled(page)
    expect(page.locator("#results h1")).to_contain_text("by similarity")

    page.get_by_role("button", name="Open a case").click()
    expect(page.locator("h1")).to_contain_text("Like ")
    expect(page.locator(".seeds img")).to_have_count(1)
    morning.judge(JUDGED)
    found = int(page.locator("[data-count=relevant]").inner_text())
    assert 0 < found < JUDGED

    page.keyboard.press("n")
    expect(page.locator(".card.relevant, .card.not_relevant")).to_have_count(0, timeout=30_000)
    morning.judge(5)

    page.get_by_label("Draw").fill(str(SAMPLED))
    page.get_by_role("button", name="Draw a sample").click()
    expect(page.locator("#judging .hint")).to_contain_text("of the sample")
    morning.judge(SAMPLED)
    case = page.url.partition("?")[0]
    estimate = f"{morning.base}/v1{case.removeprefix(morning.base)}/estimate"
    until(lambda: get_json(estimate)["left"] is not None, 60, "the last judgement to be saved")
    page.goto(case)
    expect(page.locator("#left .scale")).to_contain_text("found")

    page.locator("summary", has_text="Decisions").click()
    page.get_by_label("Policy").fill("withdraw from sale")
    page.get_by_label("because").fill("lead in the glaze")
    page.get_by_role("button", name="Decide").click()
    page.locator("summary", has_text="Decisions").click()
    expect(page.locator("#decisions")).to_contain_text("withdraw from sale")
    until(lambda: len(morning.published("decisions")) == 1, 60, "the decision on its topic")

    with page.expect_download() as download:
        page.get_by_role("link", name="csv", exact=True).click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert sum(row["verdict"] == "relevant" for row in rows) >= found

    page.locator("summary", has_text="Watches").click()
    page.get_by_label("within", exact=False).last.fill("40")
    page.get_by_role("button", name="Watch this").click()
    # What was in the window already comes first; what was judged in the case needs no second look.
    until(lambda: bool(morning.published("alerts")), 60, "the alerts of what was there")
    page.goto(f"{morning.base}/alerts")
    morning.job.append([new_event(morning.seed)])
    expect(page.locator(".card", has_text="Brand new mug").first).to_be_visible(timeout=60_000)
    new = page.locator(".card", has_text="Brand new mug").first
    new.focus()
    page.keyboard.press("1")
    expect(new).to_have_class("card relevant")
    until(lambda: "brand-new-mug" in morning.alerted(), 60, "the alert on its topic")
    assert len(set(morning.alerted())) == len(morning.alerted())


def new_event(picture: bytes) -> dict[str, Any]:
    return {
        "image_id": "brand-new-mug",
        "event_time": datetime.now(UTC).isoformat(),
        "image": {"bytes": base64.b64encode(picture).decode()},
        "attributes": {"title": "Brand new mug", "category": "mug"},
    }

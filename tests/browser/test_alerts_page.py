"""Watching from a case, and judging alerts as they come, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from searcher.workbench.workbench import Workbench
from shared.document import Document
from shared.match import Match
from tests.browsing import HOSTILE, Served, served_pictures
from tests.searchers import ENCODER

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("workbench")
    with served_pictures(workbench_url=f"sqlite://{folder}/workbench.db") as ready:
        ready.made.keep_in_memory()
        yield ready


@pytest.fixture
def bench(served: Served) -> Iterator[Workbench]:
    found = Workbench.of(served.made.settings, lambda: served.made.now)
    yield found
    found.close()


def raise_alerts(bench: Workbench, served: Served, page: Page, *image_ids: str) -> None:
    """What the indexer's matches become, for the watch whose alerts the page shows."""
    watch = page.url.rpartition("watch_id=")[2]
    documents = served.made.store.documents(image_ids).values()
    assert bench.alerts.take([match_of(watch, document) for document in documents]).raised == len(image_ids)


def match_of(watch_id: str, document: Document) -> Match:
    code = document.codes[ENCODER.encoder_id]
    shown = document.item_id, document.image_url, document.attributes
    return Match(watch_id, 1, document.image_id, 1, 0, code, ENCODER.encoder_id, document.event_time_ms, 0, *shown)


@pytest.fixture
def watching(page: Page, served: Served) -> Page:
    """The page of alerts of a watch that was opened from a case's page."""
    page.goto(f"{served.base}/?image_id=image-01")
    page.get_by_role("button", name="Open a case").click()
    page.get_by_text("Watches 0").click()
    page.get_by_label("within").nth(1).fill("256")
    page.get_by_role("button", name="Watch this").click()
    expect(page.locator("#watches li")).to_contain_text("active, 256 bits, 0 alerts")
    page.locator("#watches a").click()
    expect(page.locator("#nothing")).to_be_visible()
    return page


def test_alerts_show_as_they_come_and_are_judged_by_keyboard(watching: Page, served: Served, bench: Workbench) -> None:
    raise_alerts(bench, served, watching, "image-02", "image-03", HOSTILE)
    expect(watching.locator(".card")).to_have_count(3)
    expect(watching.locator(".card:focus")).to_have_count(1)
    for key in "12":
        watching.keyboard.press(key)
    expect(watching.locator("#status")).to_have_text("1 relevant of 2 judged")
    raise_alerts(bench, served, watching, "image-04")
    following = watching.locator("#following")
    expect(following).to_have_text("Show 1 new alert")
    watching.keyboard.press("n")
    expect(watching.locator(".card .title").first).to_have_text("Picture 04")
    expect(watching.locator(".card")).to_have_count(2)
    expect(following).to_have_text("Look for new alerts")
    watching.goto(f"{served.base}/watches")
    expect(watching.locator("tbody tr").first).to_contain_text("50 %")
    watching.get_by_role("button", name="Pause").first.click()
    expect(watching.locator("tbody tr").first).to_contain_text("paused")


def test_without_a_script_alerts_are_judged_decided_about_and_that_is_reversed(
    chromium: Browser, watching: Page, served: Served, bench: Workbench
) -> None:
    raise_alerts(bench, served, watching, "image-05", "image-06")
    address = watching.url
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Relevant", exact=True).first.check()
    page.get_by_role("button", name="Save and go on").click()
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_role("link", name="its case").click()
    page.get_by_text("Decisions 0").click()
    page.get_by_label("Policy").fill("withdraw")
    page.get_by_label("because").fill("unsafe")
    page.get_by_role("button", name="Decide").click()
    expect(page.locator("#decisions li")).to_contain_text("1 picture,")
    page.get_by_placeholder("why reversed").fill("a mistake")
    page.get_by_role("button", name="Reverse").click()
    expect(page.locator("#decisions li").first).to_contain_text("Reversed: withdraw")
    expect(page.get_by_text("Decisions 0")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_watches_and_alerts_have_no_barriers(
    chromium: Browser, watching: Page, served: Served, bench: Workbench, scheme: str
) -> None:
    raise_alerts(bench, served, watching, "image-02", "image-03")
    case = bench.watches.watch(watching.url.rpartition("watch_id=")[2]).case_id
    context = chromium.new_context(color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True)
    page = context.new_page()
    for path in ("/watches", "/alerts", f"/cases/{case}#watches"):
        page.goto(f"{served.base}{path}")
        violations = Axe().run(page).response["violations"]
        assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in violations] == []
    context.close()

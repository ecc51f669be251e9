"""What a screen reader and a person with weak eyes meet: axe finds nothing wrong on any page, in light and dark."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browsing import Served, served_pictures

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("workbench")
    with served_pictures(workbench_url=f"sqlite://{folder}/workbench.db") as ready:
        ready.made.keep_in_memory()
        yield ready


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A page of the given colours, into which a checker may put its script."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme=request.param, bypass_csp=True)
    yield context.new_page()
    context.close()


def complaints(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html']}" for one in violations]


def test_the_search_pages_have_no_barriers(page: Page, served: Served) -> None:
    page.goto(served.base)
    assert complaints(page) == []
    page.locator(".card .picture a").first.click()
    expect(page.locator("#results h1")).to_contain_text("by similarity")
    expect(page.locator("#histogram svg")).to_be_visible()
    assert complaints(page) == []
    page.goto(f"{served.base}/docs")
    assert complaints(page) == []


def test_the_pages_of_cases_have_no_barriers(page: Page, served: Served) -> None:
    page.goto(f"{served.base}/?image_id=image-01")
    page.get_by_role("button", name="Open a case").click()
    expect(page.locator(".card:focus")).to_have_count(1)
    for key in "123":
        page.keyboard.press(key)
    expect(page.locator("[data-count=unsure]")).to_have_text("1")
    page.get_by_text("Keys", exact=True).click()
    assert complaints(page) == []
    page.locator(".card").nth(3).focus()
    page.keyboard.press("c")
    expect(page.locator("#look figure")).to_have_count(2)
    assert complaints(page) == []
    page.keyboard.press("Escape")
    page.get_by_label("Draw").fill("10")
    page.get_by_role("button", name="Draw a sample").click()
    expect(page.locator(".card:focus")).to_have_count(1)
    page.keyboard.press("End")
    page.keyboard.press("Shift+2")
    expect(page.locator("#following")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#left .told")).to_be_visible()
    page.get_by_text("What this rests on").click()
    assert complaints(page) == []
    page.locator(".seeds a").click()
    expect(page.locator(".mark").first).to_be_visible()
    assert complaints(page) == []
    page.goto(f"{served.base}/cases")
    assert complaints(page) == []


def test_at_200_percent_nothing_is_cut_off(chromium: Browser, served: Served) -> None:
    # A window of 1,280 pixels at 200 % has room for 640.
    context = chromium.new_context(viewport={"width": 640, "height": 400}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{served.base}/?image_id=image-02")
    page.get_by_role("button", name="Open a case").click()
    expect(page.locator(".card:focus")).to_be_in_viewport()
    for _ in range(9):
        page.keyboard.press("2")
        expect(page.locator(".card:focus")).to_be_in_viewport()
    page.keyboard.press("c")
    expect(page.locator("#look-close")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()

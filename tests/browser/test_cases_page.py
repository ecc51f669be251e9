"""Working on a case in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browsing import Served, served_pictures

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A searcher over drawn pictures, in memory, with a workbench."""
    folder: Path = tmp_path_factory.mktemp("workbench")
    with served_pictures(workbench_url=f"sqlite://{folder}/workbench.db") as ready:
        ready.made.keep_in_memory()
        yield ready


@pytest.fixture
def case(page: Page) -> Page:
    """A case that was opened from a search, with one ticked image."""
    page.locator(".card .picture a").first.click()
    expect(page.locator("#results h1")).to_contain_text("by similarity")
    page.locator(".grid input").nth(1).check()
    page.get_by_role("button", name="Open a case").click()
    expect(page.locator("h1")).to_contain_text("Like ")
    expect(page.locator(".card:focus")).to_have_count(1)
    return page


def counts(page: Page) -> list[str]:
    return [page.locator(f"[data-count={verdict}]").inner_text() for verdict in ("relevant", "not_relevant", "unsure")]


def test_a_case_opens_from_a_search_with_its_seed_and_what_was_ticked(case: Page) -> None:
    assert counts(case) == ["1", "0", "0"]
    expect(case.locator(".seeds img")).to_have_count(1)
    assert case.locator(".card").count() > 20
    case.goto(case.url.partition("?")[0] + "?show=relevant")
    expect(case.locator(".card")).to_have_count(1)
    expect(case.locator(".card.relevant")).to_have_count(1)


def test_judging_by_keyboard_saves_each_verdict_and_goes_on(case: Page) -> None:
    for key in ("1", "2", "3"):
        case.keyboard.press(key)
    expect(case.locator("[data-count=unsure]")).to_have_text("1")
    assert counts(case) == ["2", "1", "1"]
    case.keyboard.press("ArrowRight")
    case.keyboard.press("ArrowRight")
    case.keyboard.press("Shift+2")
    expect(case.locator("[data-count=not_relevant]")).to_have_text("5")
    assert counts(case) == ["2", "5", "0"], "the range begins at the last judgement"
    case.keyboard.press("u")
    expect(case.locator("[data-count=unsure]")).to_have_text("1")
    assert counts(case) == ["2", "1", "1"]
    judged = [case.locator(".card .verdicts").nth(place).get_attribute("data-image") for place in range(3)]
    case.keyboard.press("n")
    expect(case.locator(".card.relevant")).to_have_count(0)
    shown = case.locator(".card .verdicts").evaluate_all("all => all.map(one => one.dataset.image)")
    ids = {text.partition(",")[0] for text in shown}
    assert not any((image or "").partition(",")[0] in ids for image in judged), "what was judged does not come again"


def test_a_verdict_is_taken_back_by_pointer_and_key(case: Page) -> None:
    first = case.locator(".card").first
    first.get_by_label("Not relevant").check()
    expect(case.locator("[data-count=not_relevant]")).to_have_text("1")
    first.focus()
    case.keyboard.press("0")
    expect(case.locator("[data-count=not_relevant]")).to_have_text("0")
    expect(first.locator(":checked")).to_have_count(0)


def test_what_could_not_be_saved_is_shown_as_it_was(case: Page) -> None:
    case.route("**/judgements", lambda route: route.fulfill(status=503, json={"detail": "The database is away."}))
    case.keyboard.press("1")
    expect(case.locator("#trouble")).to_have_text("Not saved: The database is away.")
    expect(case.locator(".card.relevant")).to_have_count(0)
    assert counts(case) == ["1", "0", "0"]


def test_cases_are_listed_closed_and_found_by_state(case: Page) -> None:
    name = case.locator("h1").inner_text()
    case.get_by_role("button", name="Close the case").click()
    expect(case.get_by_role("button", name="Open it again")).to_be_visible()
    case.get_by_role("link", name="Cases").click()
    expect(case.locator(".cases tbody tr").first).to_contain_text(name)
    case.get_by_role("link", name="closed", exact=True).click()
    expect(case.locator(".cases tbody tr")).to_have_count(1)


def test_a_case_works_without_a_script(chromium_context_without_script: BrowserContext, served: Served) -> None:
    page = chromium_context_without_script.new_page()
    page.goto(f"{served.base}/cases")
    page.get_by_label("Name of a new case").fill("By hand")
    page.get_by_role("button", name="Open a case").click()
    expect(page.locator("h1")).to_have_text("By hand")
    expect(page.locator(".notice").last).to_contain_text("no seed")


@pytest.fixture
def chromium_context_without_script(context: BrowserContext) -> Iterator[BrowserContext]:
    browser = context.browser
    assert browser is not None
    made = browser.new_context(java_script_enabled=False)
    yield made
    made.close()

"""Working on a case in a real browser."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browsing import Served, picture, served_pictures
from tests.pictures import draw, encode

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


def image_ids(page: Page) -> list[str]:
    shown = page.locator(".card .verdicts").evaluate_all("all => all.map(one => one.dataset.image)")
    return [json.loads(text)["image_id"] for text in shown]


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


def test_the_next_page_is_there_before_it_is_asked_for(case: Page) -> None:
    total = case.locator(".card").count()
    case.evaluate("window.stayed = true")
    with case.expect_response(lambda reply: reply.url == case.url and reply.request.resource_type == "fetch"):
        for _ in range(math.ceil(0.75 * total)):
            case.keyboard.press("2")
    judged = set(image_ids(case)[: math.ceil(0.75 * total)])
    case.route("**/cases/*", lambda route: route.abort())
    case.keyboard.press("n")
    expect(case.locator(".card.not_relevant")).to_have_count(0)
    assert case.evaluate("window.stayed"), "without a reload"
    assert judged.isdisjoint(image_ids(case))
    expect(case.locator(".card:focus")).to_have_count(1)


def test_a_round_that_led_astray_is_taken_back(case: Page) -> None:
    before = image_ids(case)
    case.keyboard.press("1")
    case.keyboard.press("2")
    case.keyboard.press("n")
    expect(case.locator("#back")).to_be_visible()
    assert image_ids(case) != before
    case.keyboard.press("b")
    expect(case.locator("[data-count=not_relevant]")).to_have_text("0")
    assert counts(case) == ["1", "0", "0"]
    assert image_ids(case) == before
    expect(case.locator(".card :checked")).to_have_count(0)
    expect(case.locator("#back")).to_be_hidden()


def test_what_is_judged_can_be_hidden(case: Page) -> None:
    case.keyboard.press("h")
    case.keyboard.press("2")
    case.keyboard.press("2")
    expect(case.locator(".card.not_relevant").first).to_be_hidden()
    case.keyboard.press("ArrowLeft")
    expect(case.locator(".card:focus")).to_have_count(1)
    case.keyboard.press("u")
    expect(case.locator(".card.not_relevant")).to_have_count(1)
    expect(case.locator(".card").nth(1)).to_be_visible()
    case.keyboard.press("h")
    expect(case.locator(".card.not_relevant")).to_be_visible()


def test_looked_at_closely_a_picture_comes_from_its_url_while_it_is_the_one_that_was_indexed(
    case: Page, served: Served
) -> None:
    first, second = (int(re.sub(r"\D", "", image_id)) for image_id in image_ids(case)[:2])
    urls = [f"https://host.example/{number}.jpg" for number in (first, second)]
    large, other = (encode(draw(200, 150, seed).resize((800, 600)), "JPEG") for seed in (first, second + 1))
    served.made.fetcher.pictures |= dict(zip(urls, (large, other), strict=True))
    case.keyboard.press("z")
    figure = case.locator("#look figure")
    expect(figure).to_have_class("whole")
    assert figure.locator("img").evaluate("image => image.naturalWidth") == 800
    with case.expect_response(lambda reply: "/picture?" in reply.url) as replies:
        case.keyboard.press("ArrowRight")
    assert (replies.value.status, replies.value.json()["reason"]) == (404, "picture_missing")
    expect(figure.locator("img")).to_have_js_property("naturalWidth", 200)
    expect(figure).not_to_have_class("whole")


def test_pictures_are_shown_large_and_beside_the_seeds(case: Page) -> None:
    case.keyboard.press("z")
    figures = case.locator("#look figure")
    expect(figures).to_have_count(1)
    first = figures.locator("figcaption").inner_text()
    case.keyboard.press("2")
    expect(figures.locator("figcaption")).not_to_have_text(first)
    expect(case.locator(".card").first).to_have_class("card not_relevant")
    case.keyboard.press("c")
    expect(figures).to_have_count(2)
    case.keyboard.press("Escape")
    expect(case.locator("#look")).to_be_hidden()
    for _ in range(2):
        case.locator(".card").nth(3).focus()
        case.keyboard.press("x")
        case.keyboard.press("ArrowRight")
        case.keyboard.press("x")
        case.keyboard.press("c")
        expect(figures).to_have_count(3 if case.locator(".picked").count() else 2)
        case.keyboard.press("Escape")


def test_how_much_is_left_is_told_once_the_sample_is_judged(case: Page) -> None:
    left = case.locator("#left")
    expect(left).to_contain_text("An exact search compares every code, but can't know")
    left.get_by_label("Draw").fill("12")
    left.get_by_role("button", name="Draw a sample").click()
    expect(case.locator(".card:focus")).to_have_count(1)
    assert case.locator(".card").count() == 12
    expect(case.locator(".card .distance")).to_have_count(0)
    for _ in range(6):
        case.keyboard.press("2")
    expect(case.locator("#waiting")).to_have_text("6")
    case.get_by_role("link", name="To judge").click()
    expect(left).to_contain_text("6 of 12 are judged")
    case.get_by_role("link", name="Judge the sample").click()
    expect(case.locator("#waiting")).to_have_text("6")
    assert case.locator(".card").count() == 6
    for _ in range(6):
        case.keyboard.press("2")
    expect(case.locator("#following")).to_be_focused()
    case.keyboard.press("Enter")
    expect(left.locator(".told")).to_contain_text(
        "About 0 relevant pictures are left; with 95 % confidence between 0 and"
    )
    expect(case.get_by_role("link", name="To judge")).to_have_attribute("aria-current", "page")


def test_the_search_page_marks_hides_and_judges_for_a_chosen_case(case: Page) -> None:
    home = case.url
    case.locator(".seeds a").click()
    expect(case.locator("#results h1")).to_contain_text("by similarity")
    expect(case.locator(".card.relevant .mark")).to_have_count(1)
    for place in (3, 4):
        case.locator(".grid input").nth(place).check()
    case.get_by_role("button", name="Not relevant").click()
    expect(case.locator(".card.not_relevant .mark")).to_have_count(2)
    total = case.locator(".card").count()
    case.get_by_label("Hide judged").check()
    expect(case.locator(".mark")).to_have_count(0)
    assert case.locator(".card").count() == total - 3
    assert f"case={home.rpartition('/')[2]}" in case.url
    case.locator(".card .go").nth(2).click()
    expect(case).to_have_url(re.compile("image_id=.*case=.*hide=judged"))
    case.get_by_label("Without the case").click()
    expect(case.get_by_role("button", name="Open a case")).to_be_visible()
    case.goto(home)
    assert counts(case) == ["1", "2", "0"]


def test_a_case_keeps_the_picture_that_was_uploaded(page: Page) -> None:
    content = picture(3)
    page.locator("#image").set_input_files({"name": "mug.png", "mimeType": "image/png", "buffer": content})
    expect(page.locator("#results h1")).to_contain_text("by similarity")
    page.get_by_role("button", name="Open a case").click()
    kept = page.locator(".seeds img")
    expect(kept).to_have_count(1)
    assert page.request.get(urljoin(page.url, kept.get_attribute("src") or "")).body() == content


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

"""What the page says of an answer: what it is worth, how the window lies around the seed, why an image is missing.

Every test also holds that nothing was loaded from elsewhere and that the browser complained of nothing.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browsing import IMAGES, Served, focused, ids, search_by, settled, ticked, upload, watched

pytestmark = pytest.mark.browser

CAPTION = "#histogram figcaption"
VERDICT = ".verdict"


@pytest.fixture(autouse=True)
def in_memory(served: Served) -> Iterator[None]:
    """The codes are kept in memory, with the categories beside them."""
    served.made.keep_in_memory("category")
    yield
    served.made.backend.resident = None


def distances(page: Page) -> list[int]:
    return [int(text) for text in page.locator(".distance").all_inner_texts()]


def cut_x(page: Page) -> float:
    drawn = page.locator("#histogram path.cut").get_attribute("d") or ""
    return float(drawn.removeprefix("M").split()[0])


def explain(page: Page, image_id: str) -> Locator:
    if page.locator("#why").get_attribute("open") is None:
        page.click("#why summary")
    page.fill("#explain", image_id)
    page.press("#explain", "Enter")
    settled(page)
    return page.locator(VERDICT)


# What it is worth -----------------------------------------------------------------------------------------------------


def test_the_small_print_says_what_answered_and_what_that_is_worth(page: Page, served: Served) -> None:
    search_by(page, "image-12")
    print_ = page.locator(".heading .print")
    expect(print_).to_contain_text(f"exact at any distance · {IMAGES} codes compared in memory · as of now")
    page.fill("#radius", "90")
    expect(print_).to_contain_text("exact, complete up to 90 bits")
    expect(print_.locator("time")).to_have_attribute("title", re.compile("^2026-11-20T12:00:00.000Z: what the store"))
    served.made.store.incomplete = "a shard is away"
    page.goto(f"{served.base}/?image_id=image-12&strategy=flat")
    served.made.store.incomplete = None
    expect(print_).to_contain_text("not complete · 60 codes compared in the store")
    expect(page.locator(".notice")).to_have_text("These hits are not complete: a shard is away.")


# The histogram --------------------------------------------------------------------------------------------------------


def test_the_histogram_is_cut_at_the_last_hit_and_a_click_sets_the_radius(page: Page) -> None:
    search_by(page, "image-12")
    last = distances(page)[-1]
    expect(page.locator(CAPTION)).to_have_text(f"40 of {IMAGES} images within {last} bits")
    expect(page.locator("#histogram text.cut")).to_have_text(f"last hit: {last}")
    page.locator("#histogram a").nth(20).click()
    expect(page.locator("#histogram text.cut")).to_have_text(re.compile("^within"))
    radius = int(page.locator("#radius").input_value())
    within = [distance for distance in distances(page) if distance <= radius]
    assert distances(page) == within
    expect(page.locator(CAPTION)).to_have_text(f"{len(within)} of {IMAGES} images within {radius} bits")
    assert f"radius={radius}" in page.url


def test_the_histogram_follows_the_slider_and_the_filters(page: Page) -> None:
    search_by(page, "image-12")
    page.locator("#radius-slider").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#histogram text.cut")).to_have_text("within 126")
    wide = cut_x(page)
    page.fill("#radius", "40")
    expect(page.locator("#histogram text.cut")).to_have_text("within 40")
    assert cut_x(page) < wide
    assert focused(page) == "radius"
    page.locator(".chip", has_text="even").first.click()
    expect(page.locator(CAPTION)).to_contain_text(f"of {IMAGES // 2} images")


def test_the_histogram_has_a_name_and_says_in_words_what_it_shows(page: Page) -> None:
    search_by(page, "image-12")
    drawing = page.get_by_role("group", name=re.compile("How far all images are from the seed"))
    expect(drawing).to_be_visible()
    expect(drawing.locator("desc")).to_contain_text(f"of {IMAGES} images differ in at")
    # By keyboard the field of the radius does what the bars do.
    assert page.locator("#histogram a:not([tabindex='-1'])").count() == 0
    assert 1 < page.locator("#histogram a").count() <= 64
    explain(page, "image-13")
    page.set_viewport_size({"width": 640, "height": 400})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_the_codes_in_memory_there_is_no_histogram(page: Page, served: Served) -> None:
    served.made.keep_in_memory()
    search_by(page, "image-12")
    expect(page.locator("#histogram")).to_be_visible()
    page.locator(".chip", has_text="even").first.click()
    expect(page.locator("#histogram")).to_be_hidden()
    expect(page.locator(".card")).to_have_count(IMAGES // 2)
    served.made.backend.resident = None
    page.goto(f"{served.base}/?image_id=image-12")
    expect(page.locator("#histogram")).to_be_hidden()
    expect(page.locator(".card")).to_have_count(40)


# Why is it missing? ---------------------------------------------------------------------------------------------------


def test_what_would_bring_a_missing_image_in_is_a_link(page: Page, served: Served) -> None:
    search_by(page, "image-12")
    page.fill("#k", str(IMAGES))
    expect(page.locator(".card")).to_have_count(IMAGES)
    missing, distance = ids(page)[-1], distances(page)[-1]
    page.fill("#k", "5")
    expect(page.locator(".card")).to_have_count(5)
    verdict = explain(page, missing)
    expect(verdict).to_contain_text("Cut off: nearer images fill the k places.")
    expect(verdict).to_contain_text(f"{distance} of 256 bits differ · place {IMAGES} by distance")
    assert focused(page) == "explain"
    page.fill("#radius", str(distance - 1))
    expect(verdict).to_contain_text("Beyond the radius")
    verdict.get_by_text(f"Within {distance} bits").click()
    expect(verdict).to_contain_text("Among the hits")
    expect(page.locator("#radius")).to_have_value(str(distance))
    expect(page.locator("#k")).to_have_value(str(IMAGES))
    verdict.get_by_text("Go to it").click()
    assert focused(page) == missing
    expect(page.locator("#explained")).to_be_in_viewport()
    page.reload()
    expect(verdict).to_contain_text("Among the hits")


def test_a_filtered_and_an_unknown_image_are_explained_to_an_uploaded_picture_too(page: Page) -> None:
    upload(page, 12)
    page.locator(".chip", has_text="even").first.click()
    expect(page.locator("#filters .chip")).to_have_count(1)
    verdict = explain(page, "image-13")
    expect(verdict).to_contain_text("Left out by filters")
    verdict.get_by_text("Without filters").click()
    expect(page.locator("#filters .chip")).to_have_count(0)
    expect(verdict).not_to_contain_text("Left out by filters")
    expect(page.locator("#cropping img")).to_have_attribute("src", re.compile("^data:image/webp"))
    expect(explain(page, "no such image")).to_contain_text("Not indexed")
    page.locator(".card .go").nth(3).click()
    expect(page.locator(VERDICT)).to_have_count(0)
    expect(page.locator("#explain")).to_have_value("")


# Further hits ---------------------------------------------------------------------------------------------------------


def test_further_hits_come_below_and_the_ticks_stay(page: Page, served: Served) -> None:
    search_by(page, "image-12")
    first = ids(page)
    page.locator(".grid input").nth(2).check()
    expect(page.locator("#results h1")).to_have_text(re.compile(r"Images 1 to\s+40 by similarity"))
    page.click("text=More hits")
    expect(page.locator(".card")).to_have_count(IMAGES)
    assert ids(page)[:40] == first
    assert len(set(ids(page))) == IMAGES
    assert distances(page) == sorted(distances(page))
    assert ticked(page) == [first[2]]
    assert focused(page) == ids(page)[40]
    expect(page.locator("#results h1")).to_have_text(re.compile(rf"Images 1 to\s+{IMAGES} by similarity"))
    expect(page.locator(".heading .print")).to_contain_text(re.compile(r"nearest 0, furthest \d+"))
    expect(page.locator(CAPTION)).to_contain_text(f"{IMAGES} of {IMAGES} images")
    expect(page.locator("text=More hits")).to_have_count(0)


def test_further_hits_that_fail_leave_the_first_where_they_are(page: Page) -> None:
    search_by(page, "image-12")
    page.route("**/*cursor=*", lambda route: route.abort())
    page.click("text=More hits")
    expect(page.locator(".more output")).to_have_text("The searcher does not answer. Try again in a moment.")
    expect(page.locator(".card")).to_have_count(40)
    page.unroute("**/*cursor=*")
    page.click("text=More hits")
    expect(page.locator(".card")).to_have_count(IMAGES)


def test_all_of_it_works_without_a_script(chromium: Browser, served: Served) -> None:
    context: BrowserContext = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    with watched(page, served.base):
        page.goto(f"{served.base}/?image_id=image-12&k=5")
        first = ids(page)
        page.click("text=More hits")
        further = ids(page)
        assert set(first).isdisjoint(further)
        assert re.search(r"Images 6 to\s+10 by similarity", page.locator("#results h1").inner_text())
        page.click("#why summary")
        page.fill("#explain", further[0])
        page.click("text=Explain")
        page.click("text=The nearest 6")
        assert ids(page) == [*first, further[0]]
        assert "Among the hits" in page.locator(VERDICT).inner_text()
        page.locator("#histogram a").first.click()
        assert ids(page) == ["image-12"]
    context.close()

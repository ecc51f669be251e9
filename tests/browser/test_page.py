"""The page in a real browser, against the real web application over a fake store.

Every test also holds that nothing was loaded from elsewhere and that the browser complained of nothing.
"""

import csv
import json
import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browsing import IMAGES, Served, code_on, focused, ids, picture, search_by, settled, ticked, upload, watched

pytestmark = pytest.mark.browser

# Seeds ----------------------------------------------------------------------------------------------------------------


def test_an_uploaded_picture_finds_its_like_in_descending_similarity(page: Page) -> None:
    upload(page, 12)
    assert ids(page)[0] == "image-12"
    distances = [int(text) for text in page.locator(".distance").all_inner_texts()]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert len(distances) == 40
    expect(page.locator(".facts b").first).to_have_text(re.compile(r"100\s%"))


def test_a_dragged_crop_changes_the_query_and_can_be_taken_back(page: Page) -> None:
    upload(page, 12)
    whole = code_on(page)
    box = page.locator("#cropping").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=3)
    page.mouse.up()
    expect(page.locator("#crop-clear")).to_be_visible()
    expect(page.locator("#crop")).to_have_attribute("aria-label", re.compile("from 10 to 60 % across"))
    assert code_on(page) != whole
    page.click("#crop-clear")
    expect(page.locator("#seed .code")).to_have_text(whole)


def test_a_crop_is_moved_resized_and_applied_by_keyboard(page: Page) -> None:
    search_by(page, "image-05")
    whole = code_on(page)
    page.click("#crop-start")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#crop")).to_have_attribute("aria-label", "Crop from 18 to 80 % across and 22 to 82 % down")
    page.keyboard.press("Enter")
    expect(page.locator("#crop-clear")).to_be_visible()
    assert code_on(page) != whole
    assert focused(page) == "crop"
    assert "crop=0.18%2C0.22%2C0.8%2C0.82" in page.url
    page.keyboard.press("Escape")
    expect(page.locator("#seed .code")).to_have_text(whole)


DROP = """([bytes, kind]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "seed.png", { type: "image/png" }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(page: Page, way: str) -> None:
    page.evaluate(DROP, [list(picture(21)), way])
    expect(page.locator("#cropping img")).to_be_visible()
    settled(page)
    assert ids(page)[0] == "image-21"


def test_words_and_ids_are_found_and_any_image_is_a_seed(page: Page) -> None:
    page.fill("#find", "pict 33")
    page.press("#find", "Enter")
    expect(page.locator("#results h1")).to_have_text("“pict 33”")
    assert ids(page) == ["image-33"]
    page.click(".card .go")
    expect(page.locator("#seed .label")).to_have_text("image-33")
    assert ids(page)[0] == "image-33"
    expect(page.locator(".card").first).to_have_class(re.compile("is-seed"))


def test_an_id_with_every_kind_of_character_is_shown_and_searched(page: Page) -> None:
    search_by(page, "50%2F off/thumbnail")
    assert ids(page)[0] == "50%2F off/thumbnail"
    loaded = page.locator(".card img").first.evaluate("async img => { await img.decode(); return img.naturalWidth }")
    assert loaded == 200


# Refining -------------------------------------------------------------------------------------------------------------


def test_sliders_and_filters_refine_the_search_and_keep_the_upload(page: Page) -> None:
    upload(page, 12)
    preview = page.locator("#cropping img").get_attribute("src")
    page.locator("#k-slider").focus()
    page.keyboard.press("Home")
    expect(page.locator(".card")).to_have_count(1)
    page.fill("#k", "50")
    expect(page.locator(".card")).to_have_count(50)
    page.locator(".chip", has_text="odd").first.click()
    expect(page.locator("#filters .chip")).to_have_text(re.compile("category=odd"))
    settled(page)
    assert {int(found[-2:]) % 2 for found in ids(page) if found.startswith("image-")} == {1}
    expect(page.locator("#cropping img")).to_have_attribute("src", preview or "")
    page.click("#filters a")
    expect(page.locator("#filters .chip")).to_have_count(0)
    expect(page.locator(".card")).to_have_count(50)
    page.fill("#radius", "0")
    expect(page.locator(".card")).to_have_count(1)
    page.check("[name=group]")
    settled(page)
    assert ids(page) == ["image-12"]


def test_ticks_stay_while_the_same_search_is_refined(page: Page) -> None:
    search_by(page, "image-12")
    second = ids(page)[1]
    page.locator(".grid input").nth(1).check()
    page.fill("#k", "5")
    expect(page.locator(".card")).to_have_count(5)
    assert ticked(page) == [second]
    expect(page.locator("#count")).to_have_text("1 ticked")


# Ticking and exporting ------------------------------------------------------------------------------------------------


def test_a_range_is_ticked_with_shift_and_exported(page: Page, tmp_path: Path) -> None:
    search_by(page, "image-12")
    shown = ids(page)
    page.locator(".grid input").nth(2).click()
    page.locator(".grid input").nth(6).click(modifiers=["Shift"])
    assert ticked(page) == shown[2:7]
    with page.expect_download() as download:
        page.click("text=Export CSV")
    download.value.save_as(tmp_path / "images.csv")
    with (tmp_path / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image_id"] for row in rows] == [("'" if found[0] in "=+-@" else "") + found for found in shown[2:7]]
    assert [int(row["distance"]) for row in rows] == sorted(int(row["distance"]) for row in rows)
    with page.expect_download() as download:
        page.click("text=Export JSON")
    download.value.save_as(tmp_path / "images.json")
    assert [entry["image_id"] for entry in json.loads((tmp_path / "images.json").read_text())] == shown[2:7]


def test_all_and_none_are_ticked_by_a_button(page: Page) -> None:
    expect(page.locator("[name=format]").first).to_be_disabled()
    page.click("#all")
    expect(page.locator("#count")).to_have_text(f"{IMAGES} ticked")
    page.click("#none")
    expect(page.locator("#count")).to_have_text("0 ticked")


def test_everything_works_by_keyboard(page: Page) -> None:
    page.keyboard.press("/")
    assert focused(page) == "find"
    page.keyboard.type("image-12")
    page.keyboard.press("Enter")
    expect(page.locator("#seed .label")).to_have_text("image-12")
    settled(page)
    shown = ids(page)
    page.keyboard.press("ArrowDown")
    assert focused(page) == shown[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert ticked(page) == shown[1:4]
    columns = page.evaluate("getComputedStyle(document.querySelector('.grid')).gridTemplateColumns").count("px")
    page.keyboard.press("ArrowDown")
    assert focused(page) == shown[3 + columns]
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert focused(page) == shown[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#seed .label")).to_have_text(shown[1])
    settled(page)
    assert focused(page) == ids(page)[0]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('.card a, .card button')")
    page.keyboard.press("/")
    assert focused(page) == "find"


# Links and history ----------------------------------------------------------------------------------------------------


def test_the_address_reopens_the_same_search(page: Page, context: BrowserContext, served: Served) -> None:
    upload(page, 12)
    page.fill("#k", "7")
    expect(page.locator(".card")).to_have_count(7)
    shown = ids(page)
    other = context.new_page()
    with watched(other, served.base):
        other.goto(page.url)
        assert ids(other) == shown
        expect(other.locator("#k")).to_have_value("7")
        other.close()


def test_going_back_restores_the_search_and_the_picture_of_its_seed(page: Page) -> None:
    upload(page, 12)
    shown = ids(page)
    page.locator(".card .go").nth(3).click()
    expect(page.locator("#seed .label")).to_have_text(shown[3])
    page.go_back()
    expect(page.locator("#seed .label")).to_have_text("Uploaded picture")
    settled(page)
    assert ids(page) == shown
    expect(page.locator("#cropping img")).to_have_attribute("src", re.compile("^data:image/webp"))
    page.reload()
    expect(page.locator("#cropping img")).to_have_attribute("src", re.compile("^data:image/webp"))


# States ---------------------------------------------------------------------------------------------------------------


def test_pictures_are_veiled_until_pointed_at_and_that_is_remembered(page: Page) -> None:
    sight = "img => getComputedStyle(img).filter"
    card = page.locator(".card").nth(4)
    page.select_option("#veil", "blur")
    page.reload()
    expect(page.locator("#veil")).to_have_value("blur")
    assert "blur" in card.locator("img").evaluate(sight)
    card.hover()
    assert card.locator("img").evaluate(sight) == "none"
    page.mouse.move(0, 0)
    page.locator(".grid input").nth(4).focus()
    assert card.locator("img").evaluate(sight) == "none"
    page.select_option("#veil", "grey")
    assert "grayscale" in page.locator(".card").nth(9).locator("img").evaluate(sight)


def test_a_failed_search_says_so_and_the_next_one_works(page: Page, served: Served) -> None:
    page.set_input_files("#image", {"name": "a.png", "mimeType": "image/png", "buffer": b"not a picture"})
    expect(page.locator(".failed")).to_contain_text("This is not a JPEG, PNG or WebP picture.")
    page.route("**/?*", lambda route: route.abort())
    page.fill("#find", "image-12")
    page.press("#find", "Enter")
    expect(page.locator(".failed")).to_contain_text("The searcher does not answer.")
    page.unroute("**/?*")
    search_by(page, "image-12")
    served.made.store.away = True
    page.fill("#k", "3")
    expect(page.locator(".failed")).to_contain_text("The store or the decoder is away.")
    served.made.store.away = False
    # The page tries again by itself, with the seed that it has.
    expect(page.locator(".card")).to_have_count(3, timeout=15_000)
    expect(page.locator("#seed .label")).to_have_text("image-12")


def test_a_slow_search_shows_that_it_is_under_way(page: Page, served: Served) -> None:
    served.made.store.held = threading.Event()
    page.fill("#find", "image-12")
    page.press("#find", "Enter")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    served.made.store.held.set()
    expect(page.locator("#seed .label")).to_have_text("image-12")
    settled(page)
    served.made.store.held = None


def test_without_a_script_links_forms_and_uploads_work(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.base)
    page.fill("#find", "image-12")
    page.press("#find", "Enter")
    assert page.locator(".is-seed .title").inner_text() == "Picture 12"
    page.fill("#k", "5")
    page.click("text=Apply")
    assert page.locator(".card").count() == 5
    page.locator(".chip", has_text="even").first.click()
    assert "filter=category%3Deven" in page.url
    page.set_input_files("#image", {"name": "seed.png", "mimeType": "image/png", "buffer": picture(33)})
    page.click("text=Search by it")
    assert page.locator("#seed .label").inner_text() == "Uploaded picture"
    assert "Picture" in page.locator(".card .title").first.inner_text()
    context.close()


def test_at_200_percent_nothing_is_cut_off_sideways(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(viewport={"width": 640, "height": 400}, device_scale_factor=2)
    page = context.new_page()
    for path in ("/", "/?image_id=image-12", "/docs"):
        page.goto(served.base + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    context.close()


NAMELESS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select")]
  .filter(control => control.checkVisibility())
  .filter(control => !(control.innerText?.trim() || control.ariaLabel || control.labels?.length
    || control.querySelector("img[alt]:not([alt=''])") ))
  .map(control => control.outerHTML)"""


def test_every_control_has_a_name(page: Page) -> None:
    assert page.evaluate(NAMELESS) == []
    search_by(page, "image-12")
    assert page.evaluate(NAMELESS) == []

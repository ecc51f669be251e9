"""Reviewing groups of duplicates in a real browser."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from shared.encoding.copy_code import COPY_ENCODER_ID
from tests.browsing import Served, served_pictures, watched
from tests.searchers import code_near, image

pytestmark = pytest.mark.browser

GROUPS = 4


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A searcher over drawn pictures, with two or three copies of each of the first ones."""
    folder: Path = tmp_path_factory.mktemp("workbench")
    with served_pictures(workbench_url=f"sqlite://{folder}/workbench.db") as ready:
        for number in range(GROUPS):
            code = code_near(bytes(32), 64 * number)
            original = ready.made.store.documents([f"image-{number:02}"])[f"image-{number:02}"]
            thumbnail = ready.made.store.thumbnail(original.image_id)
            for copy in range(3 + number % 2):
                facts = {"title": original.attributes["title"], "seller": f"s-{copy}"}
                made = image(f"copy-{number}-{copy}", item_id=f"i-{copy}", thumbnail=thumbnail, attributes=facts)
                codes = {**made.codes, COPY_ENCODER_ID: code_near(code, 6 * copy)}
                ready.made.put(replace(made, codes=codes))
        yield ready


@pytest.fixture
def run(page: Page) -> Page:
    """A run that is through, with its open groups."""
    page.get_by_role("link", name="Duplicates").click()
    page.get_by_label("Radius").fill("10")
    page.get_by_role("button", name="Look for duplicates").click()
    expect(page.locator(".group")).to_have_count(GROUPS)
    return page


def count(page: Page, state: str) -> str:
    return page.locator(f"[data-count={state}]").inner_text()


def ids(page: Page, group: int) -> list[str]:
    found = page.locator(".group").nth(group).locator("[name=images]")
    return [str(value) for value in found.evaluate_all("all => all.map(box => box.value)")]


def test_groups_are_reviewed_by_keyboard_without_a_reload(run: Page) -> None:
    run.evaluate("window.stays = true")
    first = ids(run, 0)
    run.keyboard.press("ArrowRight")
    run.keyboard.press("k")
    expect(run.locator("[data-count=kept]")).to_have_text("1")
    expect(run.locator(".group")).to_have_count(GROUPS - 1)
    run.keyboard.press("d")
    expect(run.locator("[data-count=dismissed]")).to_have_text("1")
    run.keyboard.press("u")
    expect(run.locator("[data-count=open]")).to_have_text(str(GROUPS - 1))
    run.keyboard.press("u")
    expect(run.locator(".group")).to_have_count(GROUPS)
    assert ids(run, 0) == first
    run.keyboard.press("x")
    run.keyboard.press("s")
    expect(run.locator(".group")).to_have_count(GROUPS + 1)
    assert sorted(len(ids(run, group)) for group in range(GROUPS + 1)) == [1, 3, 3, 3, 4]
    assert run.evaluate("window.stays") is True
    for group in (0, GROUPS):
        run.locator(".group").nth(group).locator("[name=groups]").check()
    run.keyboard.press("m")
    expect(run.locator(".group")).to_have_count(GROUPS)
    assert sorted(ids(run, 0)) == sorted(first)
    assert (count(run, "kept"), count(run, "dismissed")) == ("0", "0")


def test_the_one_to_keep_is_picked_by_the_pointer_and_what_does_not_fit_is_told(run: Page) -> None:
    group = run.locator(".group").first
    group.locator("[name=keep]").nth(1).check()
    kept = group.locator("[name=keep]:checked").get_attribute("value")
    group.get_by_role("button", name="Split off").click()
    expect(run.locator("#trouble")).to_contain_text("split names some images")
    group.get_by_role("button", name="Keep the marked one").click()
    expect(run.locator("[data-count=kept]")).to_have_text("1")
    expect(run.locator("#trouble")).to_be_hidden()
    run.get_by_role("link", name="Kept 1").click()
    expect(run.locator(".card.kept")).to_have_count(1)
    expect(run.locator(".card.kept .facts").first).to_have_text(str(kept))
    run.get_by_role("button", name="Open again").click()
    expect(run.locator(".group")).to_have_count(0)
    expect(run.locator("[data-count=open]")).to_have_text(str(GROUPS))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_duplicates_have_no_barriers_and_fit_at_400_percent(
    chromium: Browser, served: Served, scheme: str
) -> None:
    narrow: Any = {"viewport": {"width": 320, "height": 800}, "color_scheme": scheme}
    context = chromium.new_context(**narrow, bypass_csp=True)
    page = context.new_page()
    with watched(page, served.base):
        page.goto(f"{served.base}/duplicates")
        page.get_by_role("button", name="Look for duplicates").click()
        expect(page.locator(".group")).to_have_count(GROUPS)
        for address in (page.url, f"{served.base}/duplicates"):
            page.goto(address)
            violations = Axe().run(page).response["violations"]
            assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in violations] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()

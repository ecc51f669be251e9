"""Signing in as an analyst meets it: a form, the page that was asked for, who it is for, and the way out."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from searcher.people import Scope
from searcher.workbench.database import Database
from searcher.workbench.keys import Keys
from tests.browsing import serving, watched
from tests.searchers import FakeSearcher, fake_searcher

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSearcher]:
    """A searcher that asks for keys."""
    folder: Path = tmp_path_factory.mktemp("workbench")
    with fake_searcher(workbench_url=f"sqlite://{folder}/workbench.db") as found:
        yield found


@pytest.fixture(scope="module")
def secret(made: FakeSearcher) -> str:
    """The secret of an analyst's key."""
    database = Database.of(made.settings)
    new = Keys(database, lambda: made.now).create("ann", Scope.JUDGE, None, "command line")
    database.close()
    made.now += timedelta(seconds=10)
    return new.secret


@pytest.fixture(scope="module")
def base(made: FakeSearcher, secret: str) -> Iterator[str]:
    with serving(made) as address:
        yield address


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Browser, base: str) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme=request.param, bypass_csp=True)
    made = context.new_page()
    with watched(made, base):
        yield made
    context.close()


def test_signing_in_leads_to_the_page_that_was_asked_for_and_signing_out_ends_it(
    page: Page, base: str, secret: str
) -> None:
    page.goto(f"{base}/cases?state=open")
    expect(page).to_have_url(f"{base}/sign-in?following=%2Fcases%3Fstate%3Dopen")
    expect(page.get_by_label("Key")).to_be_focused()
    assert complaints(page) == []
    page.keyboard.type("not a key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("There is no such key")
    assert complaints(page) == []
    page.get_by_label("Key").fill(secret)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{base}/cases?state=open")
    expect(page.locator(".who")).to_contain_text("ann")
    assert complaints(page) == []
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("fetch('/v1/keys').then(reply => reply.status)") == 403
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{base}/sign-in")
    page.goto(f"{base}/cases")
    expect(page.get_by_label("Key")).to_be_visible()


def test_a_link_from_another_site_opens_for_who_is_signed_in(context: BrowserContext, base: str, secret: str) -> None:
    page, asked = context.new_page(), []
    page.goto(f"{base}/sign-in")
    page.get_by_label("Key").fill(secret)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{base}/")
    # localhost and 127.0.0.1 are two sites to a browser, and one searcher.
    page.goto(f"{base.replace('127.0.0.1', 'localhost')}/sign-in")
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("address => { location.href = address }", f"{base}/cases?state=open")
    expect(page).to_have_url(f"{base}/cases?state=open")
    expect(page.locator(".who")).to_contain_text("ann")
    assert asked.count(f"{base}/cases?state=open") == 2, "once without the cookie, once with it"


def complaints(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html']}" for one in violations]

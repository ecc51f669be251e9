"""Who may do what over HTTP: keys, sessions, a proxy's word, and nobody where none of these is there."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import select
from starlette.routing import BaseRoute, Route
from starlette.testclient import TestClient

from searcher.gate import OPEN_FOLDER, OPEN_PATHS, is_open
from searcher.key_ring import KNOWN_FOR_WHILE_AWAY
from searcher.people import Means, Needs, Person, Scope
from searcher.proxies import TrustedProxies
from searcher.recognizing import SESSION_COOKIE, WrongKeys
from searcher.workbench.database import WorkbenchUnavailableError
from searcher.workbench.keys import Keys, Known
from searcher.workbench.tables import AUDIT
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.described import described_client
from tests.searchers import FakeSearcher, fake_searcher, image

BASE = "http://127.0.0.1:8080"
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
OURS = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
PROXY = "10.1.2.3"
PROXIED: dict[str, Any] = {
    "trusted_proxies": ("10.1.2.0/28", "fd00::/64"),
    "group_scopes": ("*=read", "analysts=judge", "CN=Admins=administer"),
}


@dataclass
class Site:
    """A searcher with a workbench of its own, and a browser or program before it."""

    made: FakeSearcher
    client: TestClient
    keys: Keys

    def secret(self, scope: Scope, name: str = "") -> str:
        """A new key's secret. It is known at once, also where the keys were just read: a moment passes."""
        self.made.now += timedelta(seconds=1)
        return self.keys.create(name or f"{scope} key", scope, None, "command line").secret

    def bearer(self, scope: Scope, name: str = "") -> dict[str, str]:
        """The header of a program with a new key."""
        return {"Authorization": f"Bearer {self.secret(scope, name)}"}

    def behind(self, peer: str) -> TestClient:
        """A client whose requests come from this address."""
        return TestClient(self.client.app, base_url=BASE, follow_redirects=False, client=(peer, 50000))

    def sign_in(self, secret: str, **fields: str) -> Any:
        return self.client.post("/sign-in", data={"key": secret, **fields}, headers=OURS)


@contextmanager
def site(folder: Path, peer: str = "192.0.2.7", base: str = BASE, **settings: Any) -> Iterator[Site]:
    with fake_searcher(workbench_url=f"sqlite://{folder}/workbench.db", **settings) as made:
        app = made.app()
        desk = app.state.services.casework.desk
        with described_client(app, base, client=(peer, 50000)) as client:
            client.get("/readyz")
            yield Site(made, client, desk._opened().keys)
        desk.close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    """A searcher with a key, so that it asks for keys."""
    with site(tmp_path) as found:
        found.secret(Scope.ADMINISTER, "first")
        found.made.now += timedelta(seconds=10)
        yield found


# Routes ---------------------------------------------------------------------------------------------------------------


def routes_of(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """All routes, those of included routers too; fails at a kind that it does not know."""
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            yield from routes_of(route.original_router.routes)  # type: ignore[attr-defined]


def needs_of(dependant: Dependant) -> list[Scope]:
    mine = [dependant.call.scope] if isinstance(dependant.call, Needs) else []
    return mine + [scope for inner in dependant.dependencies for scope in needs_of(inner)]


def test_every_route_names_one_scope_or_is_on_the_short_list_of_open_ones() -> None:
    with fake_searcher() as made:
        routes = list(routes_of(made.app().routes))
    unnamed, open_ones = [], set()
    for route in routes:
        scopes = needs_of(route.dependant) if isinstance(route, APIRoute) else []
        if is_open(route.path):
            open_ones.add(route.path)
            assert scopes == [], f"{route.path} asks strangers for a scope"
        elif len(scopes) != 1:
            unnamed.append(f"{sorted(route.methods or ())} {route.path} names {scopes}")
    assert unnamed == []
    assert open_ones == {*OPEN_PATHS, OPEN_FOLDER + "{digest}/{name}"}


def test_a_stranger_gets_into_no_route_whatever_its_method(here: Site) -> None:
    asked = 0
    for route in routes_of(here.client.app.routes):  # type: ignore[attr-defined]
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in route.methods or ():
            if not is_open(path):
                reply = here.client.request(method, path)
                assert (reply.status_code, reply.json()["reason"]) == (401, "key_needed"), (method, path)
                assert reply.headers["www-authenticate"] == 'Bearer realm="catalogue"'
                asked += 1
    assert asked > 20
    assert here.client.get("/no/such/path").status_code == 401


def test_supervisors_and_the_sign_in_page_need_no_key(here: Site) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/version", "/sign-in"):
        assert here.client.get(path).status_code == 200


def test_a_strangers_body_is_not_read(here: Site) -> None:
    read = []

    def body() -> Iterator[bytes]:
        read.append(True)
        yield b"not JSON"

    reply = here.client.post("/v1/search", content=body(), headers={"Content-Type": "application/json"})
    assert reply.status_code == 401


CASE = {"name": "Mugs", "seeds": [{"code": "00" * 32}]}


def test_a_higher_scope_includes_the_lower_ones(here: Site) -> None:
    expected = {Scope.READ: (200, 403, 403), Scope.JUDGE: (200, 201, 403), Scope.ADMINISTER: (200, 201, 200)}
    for scope, statuses in expected.items():
        headers = here.bearer(scope)
        replies = (
            here.client.get("/v1/images", headers=headers),
            here.client.post("/v1/cases", json=CASE, headers=headers),
            here.client.get("/v1/keys", headers=headers),
        )
        assert tuple(reply.status_code for reply in replies) == statuses
        for reply, needed in zip(replies[1:], ("judge", "administer"), strict=True):
            if reply.status_code == 403:
                assert reply.json()["reason"] == "scope_missing"
                assert reply.headers["www-authenticate"].endswith(f'error="insufficient_scope", scope="{needed}"')


def test_the_ledger_and_the_audit_log_name_the_key(here: Site) -> None:
    headers = here.bearer(Scope.JUDGE, "ann")
    case_id = here.client.post("/v1/cases", json=CASE, headers=headers).json()["case_id"]
    judgement = {"image_id": "mug", "verdict": "relevant"}
    path = f"/v1/cases/{case_id}/judgements"
    assert here.client.post(path, json={"judgements": [judgement]}, headers=headers).status_code == 200
    (entry,) = here.client.get(path, headers=headers).json()["judgements"]
    assert entry["who"] == "ann"


def test_an_export_of_the_page_is_in_the_audit_log_with_its_name(here: Site) -> None:
    here.sign_in(here.secret(Scope.READ, "ann"))
    ticked: dict[str, Any] = {
        "image_id": "mug",
        "item_id": "mug",
        "event_time": "",
        "image_url": None,
        "attributes": {},
    }
    form = {"ticked": json.dumps(ticked), "format": "csv"}
    assert here.client.post("/export", data=form, headers=OURS).status_code == 200
    with here.keys._database.transaction() as connection:
        entries = connection.execute(select(AUDIT).where(AUDIT.c.action == "exported")).all()
    assert [(entry.who, json.loads(entry.detail)) for entry in entries] == [("ann", {"format": "csv", "images": 1})]


# Keys -----------------------------------------------------------------------------------------------------------------


def test_administrators_make_rotate_and_revoke_keys(here: Site) -> None:
    admin = here.bearer(Scope.ADMINISTER, "boss")
    made = here.client.post("/v1/keys", json={"name": "ann", "scope": "read"}, headers=admin)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert (made.json()["made_by"], made.json()["state"]) == ("boss", "in use")

    def status(secret: str) -> int:
        return here.client.get("/v1/images", headers={"Authorization": f"Bearer {secret}"}).status_code

    assert status(made.json()["secret"]) == 200
    rotated = here.client.post("/v1/keys/ann/rotate", json={"grace_seconds": 60}, headers=admin).json()
    assert (status(made.json()["secret"]), status(rotated["secret"])) == (200, 200)
    here.made.now += timedelta(seconds=61)
    assert (status(made.json()["secret"]), status(rotated["secret"])) == (401, 200)
    listed = here.client.get("/v1/keys", headers=admin)
    assert [key["name"] for key in listed.json()["keys"]] == ["ann", "boss", "first"]
    assert rotated["secret"] not in listed.text
    assert here.client.delete("/v1/keys/ann", headers=admin).json()["state"] == "revoked"
    assert status(rotated["secret"]) == 401
    assert here.client.delete("/v1/keys/ann", headers=admin).json()["reason"] == "key_missing"
    again = here.client.post("/v1/keys", json={"name": "ann", "scope": "read"}, headers=admin)
    assert (again.status_code, again.json()["reason"]) == (422, "key_refused")


def test_a_key_with_an_end_ends_then(here: Site) -> None:
    admin = here.bearer(Scope.ADMINISTER, "boss")
    ends = here.made.now + timedelta(minutes=1)
    body = {"name": "ann", "scope": "read", "expires_at": ends.isoformat()}
    made = here.client.post("/v1/keys", json=body, headers=admin).json()
    headers = {"Authorization": f"Bearer {made['secret']}"}
    assert here.client.get("/v1/images", headers=headers).status_code == 200
    here.made.now = ends
    assert here.client.get("/v1/images", headers=headers).json()["reason"] == "key_wrong"
    no_zone = here.client.post("/v1/keys", json=body | {"name": "b", "expires_at": "2027-01-01"}, headers=admin)
    assert no_zone.status_code == 422


def test_wrong_keys_are_refused_and_after_ten_a_minute_told_to_wait_while_right_ones_go_on(here: Site) -> None:
    right = here.secret(Scope.READ)
    wrong = [right[:-1] + ("0" if right[-1] != "0" else "1"), "nonsense", f"catalogue_{'0' * 12}_{'0' * 64}", ""] * 3
    replies = [here.client.get("/v1/images", headers={"Authorization": f"Bearer {secret}"}) for secret in wrong]
    assert [reply.status_code for reply in replies] == [401] * 10 + [429] * 2
    assert replies[0].headers["www-authenticate"].endswith('error="invalid_token"')
    assert replies[-1].headers["retry-after"] == "60"
    assert here.sign_in("nonsense").status_code == 429
    assert here.client.get("/v1/images", headers={"Authorization": f"bearer {right}"}).status_code == 200
    here.made.now += timedelta(minutes=1)
    assert here.client.get("/v1/images", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_counting_wrong_keys_takes_bounded_memory_and_knows_networks_of_ipv6() -> None:
    moment = datetime(2026, 11, 21)
    counted = WrongKeys(lambda: moment)
    for number in range(10_500):
        assert counted.admit(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(counted) == 10_000
    assert [counted.admit(f"2001:db8::{number:x}") for number in range(12)] == [True] * 10 + [False] * 2
    assert counted.admit("2001:db8:0:1::1")


# Without keys ---------------------------------------------------------------------------------------------------------


def test_without_keys_whoever_is_on_this_machine_may_do_everything_until_there_is_one(tmp_path: Path) -> None:
    with site(tmp_path) as found:
        assert found.client.get("/sign-in").headers["location"] == "/"
        assert found.client.get("/v1/keys").json() == {"keys": []}
        made = found.client.post("/v1/keys", json={"name": "ann", "scope": "administer"})
        assert made.json()["made_by"] == "local"
        assert found.client.get("/v1/keys").status_code == 401
        assert found.client.get("/", headers=NAVIGATION).headers["location"] == "/sign-in?following=%2F"


def test_a_key_that_a_command_makes_is_asked_for_within_seconds(tmp_path: Path) -> None:
    with site(tmp_path) as found:
        assert found.client.get("/v1/images").status_code == 200
        found.secret(Scope.READ, "ann")
        found.made.now += timedelta(seconds=6)
        assert found.client.get("/v1/images").status_code == 401


def test_revoking_the_last_key_opens_nothing(tmp_path: Path) -> None:
    with site(tmp_path) as found:
        found.secret(Scope.ADMINISTER, "ann")
        found.keys.revoke("ann", "command line")
        found.made.now += timedelta(seconds=6)
        assert found.client.get("/v1/images").status_code == 401


@pytest.mark.parametrize("settings", [{"http_host": "0.0.0.0"}, PROXIED])
def test_only_loopback_without_a_proxy_is_ever_open(tmp_path: Path, settings: dict[str, Any]) -> None:
    with site(tmp_path, **settings) as found:
        assert found.client.get("/v1/images").status_code == 401


def test_where_keys_can_not_be_known_nobody_gets_in(tmp_path: Path) -> None:
    away = False

    async def look(_: Mapping[str, datetime]) -> Known:
        if away:
            raise WorkbenchUnavailableError("away")
        return Known({}, {}, asked_for=False)

    with fake_searcher() as made:
        made.look = look
        with TestClient(made.app(), base_url=BASE) as client:
            assert client.get("/v1/images").status_code == 200
            away = True
            made.now += KNOWN_FOR_WHILE_AWAY
            assert client.get("/v1/images").status_code == 200
            made.now += timedelta(seconds=1)
            for path in ("/v1/images", "/readyz"):
                reply = client.get(path)
                assert (reply.status_code, reply.json()["reason"]) == (503, "keys_unknown")
            assert client.get("/livez").status_code == 200


# Sessions -------------------------------------------------------------------------------------------------------------


def test_a_browser_signs_in_works_and_signs_out(here: Site) -> None:
    refused = here.client.get("/cases?state=open", headers=NAVIGATION)
    assert (refused.status_code, refused.headers["location"]) == (303, "/sign-in?following=%2Fcases%3Fstate%3Dopen")
    form = here.client.get(refused.headers["location"])
    assert 'name="following" value="/cases?state=open"' in form.text
    entered = here.sign_in(here.secret(Scope.JUDGE, "ann"), following="/cases?state=open")
    assert (entered.status_code, entered.headers["location"]) == (303, "/cases?state=open")
    page = here.client.get("/cases", headers=NAVIGATION)
    assert page.status_code == 200
    assert ">ann</span>" in page.text
    assert "Sign out" in page.text
    assert here.client.post("/v1/cases", json=CASE, headers=OURS).status_code == 201
    copied = here.client.cookies[SESSION_COOKIE]
    assert here.client.post("/sign-out", headers=OURS).headers["location"] == "/sign-in"
    assert dict(here.client.cookies) == {}
    assert here.client.get("/cases", headers=NAVIGATION).status_code == 303
    # The session itself has ended, not only this browser's cookie.
    here.client.cookies.set(SESSION_COOKIE, copied)
    assert here.client.get("/cases", headers=NAVIGATION).status_code == 303


def test_the_cookie_is_kept_from_scripts_from_other_sites_and_from_plain_http(tmp_path: Path) -> None:
    for number, (base, secure) in enumerate(((BASE, False), ("https://127.0.0.1:8080", True))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with site(folder, base=base) as found:
            secret = found.secret(Scope.READ)
            entered = found.client.post("/sign-in", data={"key": secret})
            cookie = entered.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert "max-age=43200" in cookie
            assert ("secure" in cookie) is secure
            assert secret not in cookie


def test_a_session_ends_after_its_time_and_with_its_key(here: Site) -> None:
    secret = here.secret(Scope.READ, "ann")
    here.sign_in(secret)
    assert here.client.get("/v1/images").status_code == 200
    here.made.now += timedelta(hours=12)
    assert here.client.get("/v1/images").status_code == 401
    here.sign_in(secret)
    assert here.client.get("/v1/images").status_code == 200
    here.keys.revoke("ann", "command line")
    here.made.now += timedelta(seconds=6)
    assert here.client.get("/v1/images").status_code == 401


def test_a_wrong_key_is_told_on_the_sign_in_page(here: Site) -> None:
    refused = here.sign_in("nonsense", following="/cases")
    assert (refused.status_code, refused.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "There is no such key" in refused.text
    assert 'value="/cases"' in refused.text
    assert "set-cookie" not in refused.headers


def test_nobody_is_sent_elsewhere_after_signing_in(here: Site) -> None:
    secret = here.secret(Scope.READ)
    elsewhere = (
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
    )
    for following in (*elsewhere, "", "/sign-in", "evil"):
        assert here.sign_in(secret, following=following).headers["location"] == "/"
    assert here.sign_in(secret, following="/?q=//x").headers["location"] == "/?q=//x"


def test_no_other_site_writes_with_a_browsers_session(here: Site) -> None:
    here.sign_in(here.secret(Scope.ADMINISTER, "ann"))
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        for method, path in (
            ("POST", "/v1/cases"),
            ("POST", "/cases"),
            ("POST", "/v1/keys"),
            ("DELETE", "/v1/keys/ann"),
            ("POST", "/sign-out"),
            ("POST", "/sign-in"),
        ):
            reply = here.client.request(method, path, headers=headers)
            assert (reply.status_code, reply.json()["reason"]) == (403, "cross_site"), (method, path)
    assert here.client.get("/v1/keys", headers={"Sec-Fetch-Site": "same-origin"}).json()["keys"][0]["state"] == "in use"


def test_a_link_in_a_message_opens_though_the_browser_holds_its_cookie_back_at_first(here: Site) -> None:
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    first = here.client.get("/cases?state=open&x=<b>", headers=linked)
    assert first.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/cases?state=open&amp;x=' in first.text
    assert "<b>" not in first.text
    elsewhere = here.client.get("//evil.example/", headers=linked)
    assert "evil" not in elsewhere.text
    # The page goes on by itself, now as one of this site, and who has no session is asked to sign in.
    assert here.client.get("/cases?state=open", headers=linked | {"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_who_may_not_see_a_page_is_told_so_and_scripts_get_a_problem_document(here: Site) -> None:
    here.sign_in(here.secret(Scope.READ, "ann"))
    page = here.client.post("/cases", headers=OURS | {"Sec-Fetch-Mode": "navigate"})
    assert (page.status_code, "This needs the scope judge" in page.text) == (403, True)
    script = here.client.post("/cases", headers=OURS | {"Sec-Fetch-Mode": "cors"})
    assert (script.status_code, script.json()["reason"]) == (403, "scope_missing")


# Behind a proxy -------------------------------------------------------------------------------------------------------


def test_a_trusted_proxy_says_who_asks_and_groups_what_they_may(tmp_path: Path) -> None:
    expected = {
        "": (200, 403, 403),
        "others": (200, 403, 403),
        "others, analysts": (200, 201, 403),
        "analysts,CN=Admins": (200, 201, 200),
    }
    with site(tmp_path, peer=PROXY, **PROXIED) as found:
        for groups, statuses in expected.items():
            headers = {"X-Forwarded-User": "ann@example.com", "X-Forwarded-Groups": groups}
            replies = (
                found.client.get("/v1/images", headers=headers),
                found.client.post("/v1/cases", json=CASE, headers=headers),
                found.client.get("/v1/keys", headers=headers),
            )
            assert tuple(reply.status_code for reply in replies) == statuses
        shown = found.client.get("/", headers={"X-Forwarded-User": "ann@example.com"} | NAVIGATION).text
        assert ">ann@example.com</span>" in shown
        assert "Sign out" not in shown


def test_who_is_in_no_group_with_a_scope_may_do_nothing(tmp_path: Path) -> None:
    with site(tmp_path, peer=PROXY, trusted_proxies=(PROXY,), group_scopes=("analysts=judge",)) as found:
        reply = found.client.get("/v1/images", headers={"X-Forwarded-User": "ann"})
        assert (reply.status_code, reply.json()["reason"]) == (403, "scope_missing")
        assert found.client.get("/", headers={"X-Forwarded-User": "ann"} | NAVIGATION).status_code == 403


def test_headers_from_elsewhere_count_for_nothing(tmp_path: Path) -> None:
    spoofed = {"X-Forwarded-User": "boss", "X-Forwarded-Groups": "CN=Admins", "X-Forwarded-For": PROXY}
    with site(tmp_path, **PROXIED) as found:
        for peer in ("192.0.2.7", "10.1.2.16", "127.0.0.1", "fd00:0:0:1::1", "not an address", ""):
            headers = spoofed | {"Forwarded": f"for={PROXY}", "X-Real-IP": PROXY}
            assert found.behind(peer).get("/v1/images", headers=headers).status_code == 401, peer


def test_a_proxy_that_names_nobody_or_two_lets_nobody_in(tmp_path: Path) -> None:
    unclear: list[list[tuple[str, str]]] = [
        [],
        [("X-Forwarded-User", "")],
        [("X-Forwarded-User", " ")],
        [("X-Forwarded-User", "boss"), ("X-Forwarded-User", "ann")],
        [("X-Forwarded-User", "ann"), ("X-Forwarded-Groups", "CN=Admins"), ("X-Forwarded-Groups", "others")],
        [("X-Forwarded-User", "a" * 255)],
        [("X-Forwarded-User", "a\x07")],
        [("X-Forwarded-Email", "ann@example.com")],
    ]
    with site(tmp_path, **PROXIED) as found:
        for peer in (PROXY, f"::ffff:{PROXY}", "fd00::9"):
            client = found.behind(peer)
            assert client.get("/v1/images", headers={"X-Forwarded-User": "ann"}).status_code == 200
            for headers in unclear:
                assert client.get("/v1/images", headers=headers).status_code == 401, headers


def test_a_name_that_is_no_text_is_nobodys() -> None:
    proxies = TrustedProxies.of(Settings(_env_file=None, **PROXIED))
    assert proxies.person([(b"x-forwarded-user", b"a\xff")]) is None
    assert proxies.person([(b"x-forwarded-user", "Zoë".encode())]) == Person("Zoë", Scope.READ, Means.PROXY)


def test_keys_work_beside_a_proxy_whose_own_token_is_not_taken_for_one(tmp_path: Path) -> None:
    with site(tmp_path, peer=PROXY, **PROXIED) as found:
        program = found.bearer(Scope.ADMINISTER, "program")
        assert found.client.get("/v1/keys", headers=program).status_code == 200
        token = {"Authorization": "Bearer eyJhbGciOi.of.the.proxy", "X-Forwarded-User": "ann"}
        assert found.client.get("/v1/images", headers=token).status_code == 200
        basic = {"Authorization": "Basic YW5uOg==", "X-Forwarded-User": "ann"}
        assert found.client.get("/v1/images", headers=basic).status_code == 200
        del token["X-Forwarded-User"]
        assert found.client.get("/v1/images", headers=token).status_code == 401


def test_a_proxy_says_whether_the_browser_speaks_tls_and_where_wrong_keys_come_from(tmp_path: Path) -> None:
    with site(tmp_path, peer=PROXY, **PROXIED) as found:
        secret = found.secret(Scope.READ)
        said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.1, 198.51.100.2"}
        entered = found.client.post("/sign-in", data={"key": secret}, headers=said)
        assert "secure" in entered.headers["set-cookie"].lower()
        for _ in range(11):
            last = found.client.post("/sign-in", data={"key": "wrong"}, headers=said)
        assert last.status_code == 429
        other = found.client.post("/sign-in", data={"key": "wrong"}, headers={"X-Forwarded-For": "198.51.100.3"})
        assert other.status_code == 401


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"trusted_proxies": ("10.0.0.1/8",)}, "CATALOGUE_TRUSTED_PROXIES"),
        ({"trusted_proxies": ("proxy.internal",)}, "CATALOGUE_TRUSTED_PROXIES"),
        ({"group_scopes": ("analysts",)}, "CATALOGUE_GROUP_SCOPES"),
        ({"group_scopes": ("analysts=everything",)}, "CATALOGUE_GROUP_SCOPES"),
    ],
)
def test_a_proxy_that_is_set_up_wrongly_is_told(settings: dict[str, Any], named: str) -> None:
    with fake_searcher(**settings) as made, pytest.raises(ConfigurationError, match=named):
        made.app()


HOSTILE = """"><script>alert(1)</script><img src=x onerror='alert(2)'>"""


def test_a_hostile_user_name_or_address_is_text(tmp_path: Path) -> None:
    with site(tmp_path, peer=PROXY, **PROXIED) as found:
        found.made.put(image("mug"))
        asked: Callable[..., Any] = found.client.get
        page = asked("/", headers={"X-Forwarded-User": HOSTILE} | NAVIGATION)
        form = asked("/sign-in", params={"following": f"/{HOSTILE}"})
        for reply in (page, form):
            assert reply.status_code == 200
            assert "alert(1)" in reply.text
            assert "<script>alert" not in reply.text
            assert "<img src=x" not in reply.text

"""Files of events: only regular ones, only below the allowed roots, never for a query."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.event_fetcher import EventFetcher
from shared.errors import RejectedError, RejectionReason
from shared.images.fetcher import Fetcher
from tests.image_host import ImageHost
from tests.unit.test_fetcher import LIMITS

BYTES_MAX = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"picture")
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def fetch(url: str, *roots: Path | str) -> bytes:
    async def once() -> bytes:
        async with Fetcher(LIMITS) as web:
            return await EventFetcher(web, [str(root) for root in roots], BYTES_MAX).fetch(url)

    return asyncio.run(once())


def reason_of(url: str, *roots: Path | str) -> RejectionReason:
    with pytest.raises(RejectedError) as caught:
        fetch(url, *roots)
    return caught.value.reason


def test_a_file_below_a_root_is_read(root: Path) -> None:
    assert fetch((root / "a.jpg").as_uri(), "/nowhere", root) == b"picture"
    assert fetch(f"FILE://localhost{root}/./a.jpg", root) == b"picture"
    assert fetch(f"file:{root}/a.jpg", root) == b"picture"


@pytest.mark.parametrize(
    "name", ["a b.jpg", "100%.jpg", "ä#?.jpg", "a%20b", "日本.jpg", os.fsdecode(b"\xff.jpg"), "\n"]
)
def test_any_file_name_has_a_url(root: Path, name: str) -> None:
    (root / name).write_bytes(b"odd")
    assert fetch((root / name).as_uri(), root) == b"odd"


def test_a_name_may_be_written_without_escapes(root: Path) -> None:
    (root / "ä b.jpg").write_bytes(b"plain")
    assert fetch(f"file://{root}/ä b.jpg", root) == b"plain"


def test_a_root_may_be_relative_or_at_home(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = (root / "a.jpg").as_uri()
    monkeypatch.chdir(root.parent)
    assert fetch(url, "pictures") == b"picture"
    monkeypatch.setenv("HOME", str(root.parent))
    assert fetch(url, "~/pictures") == b"picture"


def test_without_a_root_no_file_is_read(root: Path) -> None:
    assert reason_of((root / "a.jpg").as_uri()) is RejectionReason.URL_FORBIDDEN


@pytest.mark.parametrize(
    "path", ["../secret", "%2e%2e/secret", "x/../../secret", "..%2fsecret", "link", "folder/secret", "../no-such-file"]
)
def test_no_path_leads_out_of_the_root(root: Path, path: str) -> None:
    (root / "link").symlink_to(root.parent / "secret")
    (root / "folder").symlink_to(root.parent)
    assert reason_of(f"file://{root}/{path}", root) is RejectionReason.URL_FORBIDDEN


def test_a_root_is_no_prefix_of_names(root: Path) -> None:
    (root.parent / "pictures-2").write_bytes(b"")
    assert reason_of((root.parent / "pictures-2").as_uri(), root) is RejectionReason.URL_FORBIDDEN


def test_links_within_a_root_and_a_root_that_is_a_link_work(root: Path) -> None:
    (root / "link").symlink_to("a.jpg")
    (root.parent / "root").symlink_to(root)
    assert fetch((root.parent / "root" / "link").as_uri(), root.parent / "root") == b"picture"


def test_only_regular_files_are_read(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert reason_of((root / "pipe").as_uri(), root) is RejectionReason.URL_FORBIDDEN
    assert reason_of(root.as_uri(), root) is RejectionReason.URL_FORBIDDEN
    assert reason_of("file:///dev/zero", "/dev") is RejectionReason.URL_FORBIDDEN


def test_a_missing_file_is_not_found(root: Path) -> None:
    assert reason_of((root / "b.jpg").as_uri(), root) is RejectionReason.IMAGE_NOT_FOUND
    assert reason_of((root / "a.jpg" / "b").as_uri(), root) is RejectionReason.IMAGE_NOT_FOUND


def test_a_large_file_is_refused(root: Path) -> None:
    (root / "full").write_bytes(bytes(BYTES_MAX))
    (root / "large").write_bytes(bytes(BYTES_MAX + 1))
    assert len(fetch((root / "full").as_uri(), root)) == BYTES_MAX
    assert reason_of((root / "large").as_uri(), root) is RejectionReason.IMAGE_TOO_LARGE


@pytest.mark.parametrize(
    "url", ["file://other.test/a.jpg", "file:a.jpg", "file:", "file:///a%00.jpg", "file:///a.jpg?x", "file:///a.jpg#x"]
)
def test_a_malformed_file_url_is_refused(root: Path, url: str) -> None:
    assert reason_of(url, root, "/") is RejectionReason.URL_FORBIDDEN


def test_other_urls_go_to_the_web_under_its_rules(root: Path) -> None:
    with ImageHost() as host:
        assert fetch(host.serve("/", b"web"), root) == b"web"
    assert reason_of("ftp://example.com/", root) is RejectionReason.URL_FORBIDDEN


def test_the_fetcher_of_queries_reads_no_file_whatever_its_settings(root: Path) -> None:
    async def once() -> None:
        async with Fetcher(replace(LIMITS, allowed_hosts=("localhost",))) as web:
            await web.fetch((root / "a.jpg").as_uri())

    with pytest.raises(RejectedError, match="scheme"):
        asyncio.run(once())

"""The privileges that deploy/README.md names are enough for a searcher, and it can do no more with them.

They are given to everybody by a role file here, for which Elasticsearch needs neither users nor API keys; what a role
allows does not depend on who has it.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.document import Document, Kind
from shared.errors import CatalogueError
from shared.store import Restriction, StoredEncoder
from shared.store.elasticsearch import Connection
from shared.store.elasticsearch_store import ElasticsearchStore
from shared.watch import Watch, WatchList
from tests.elasticsearch_server import elasticsearch_server
from tests.programs import until

pytestmark = pytest.mark.containers

RUNBOOK = Path(__file__).parents[2] / "deploy" / "README.md"
EVERYTHING = {"cluster": ["all"], "indices": [{"names": ["*"], "privileges": ["all"]}]}
NOW = datetime(2026, 11, 20, tzinfo=UTC)
LATER = datetime(2027, 11, 20, tzinfo=UTC)
CODE = bytes(32)
ALL = Restriction(visible_after_ms=0)


def give(file: Path, role: object) -> None:
    """Write the role in place: a new file would not be the one that the container sees. JSON is YAML, too."""
    file.write_text(json.dumps({"visitor": role}))
    file.chmod(0o644)


def documented_role() -> object:
    """The role that the runbook tells to make a searcher's API key with."""
    (text,) = re.findall(r'"role_descriptors": \{"searcher": (\{.*?\})\}\}\'', RUNBOOK.read_text(), re.DOTALL)
    return json.loads(text)


def document(image_id: str, version: int) -> Document:
    return Document(image_id, Kind.IMAGE, version, True, 1000, codes={"e": CODE}, thumbnail=b"webp")


def followed(store: ElasticsearchStore) -> set[str]:
    """The images that a follower has met when it has caught up."""
    feed, found = store.follow("e", terms=True, shown=True), set[str]()
    while not (step := feed.read()).caught_up:
        found |= {change.image_id for change in step.changes}
    return found | {change.image_id for change in step.changes}


def test_a_searchers_documented_privileges_are_enough_and_write_no_image(docker: None, tmp_path: Path) -> None:
    roles = tmp_path / "roles.yml"
    give(roles, EVERYTHING)
    with elasticsearch_server(roles=roles) as server:
        store = ElasticsearchStore(Connection([server.base], api_key=None, ca_file=None, seconds=30))
        store.activate_encoder(StoredEncoder("e", 256, b"weights"))
        store.write([document("a", 1)], datetime(2026, 10, 20, tzinfo=UTC))
        store.write([document("a", 2), document("b", 1)], NOW)
        give(roles, documented_role())
        until(lambda: not server.answers(), 30, "the role to be read")

        assert followed(store) == {"a", "b"}
        store.check()
        assert store.active_encoder() == StoredEncoder("e", 256, b"weights")
        assert [one.document.image_id for one in store.nearest("e", CODE, 5, None, ALL).neighbours] == ["a", "b"]
        assert {one.image_id for one in store.newest([], ALL, None, 5)} == {"a", "b"}
        assert (store.visible_count(ALL), store.documents(["a"])["a"].version) == (2, 2)
        assert store.thumbnail("a") == b"webp"
        assert {copy.image_id for copy in store.scan()} == {"a", "b"}
        watches = WatchList(1, [Watch("w", 1, "e", [CODE], 8, [])])
        store.publish_watches(watches)
        assert (store.watches_revision(), store.watches()) == (1, watches)

        for refused in (lambda: store.write([document("a", 3)], NOW), lambda: store.drop_expired(LATER, 3)):
            with pytest.raises(CatalogueError, match="does not allow this"):
                refused()
        assert (store.documents(["a"])["a"].version, store.visible_count(ALL)) == (2, 2)
        store.close()

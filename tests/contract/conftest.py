"""The stores that the contract suites run on: the fake, SQLite, and a real Elasticsearch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.store.elasticsearch import Connection
from shared.store.elasticsearch_store import ElasticsearchStore
from shared.store.sqlite_store import SqliteStore
from tests.fake_store import FakeStore
from tests.store_subject import Subject


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Subject]:
    store = SqliteStore(tmp_path / "catalogue.db")
    yield Subject(store, lambda: None)
    store.close()


@pytest.fixture
def elasticsearch(elasticsearch_url: str) -> Iterator[Subject]:
    connection = Connection(
        [elasticsearch_url.replace("elasticsearch", "http")], api_key=None, ca_file=None, seconds=30
    )
    indices = list(connection.ask(lambda client: client.indices.get(index="catalogue*", features="aliases")))
    if indices:
        connection.ask(lambda client: client.indices.delete(index=indices))
    store = ElasticsearchStore(connection)
    yield Subject(store, lambda: connection.ask(lambda client: client.indices.refresh(index="catalogue*")))
    store.close()


@pytest.fixture
def fake() -> Subject:
    return Subject(FakeStore(), lambda: None)


@pytest.fixture(params=["fake", "sqlite", pytest.param("elasticsearch", marks=pytest.mark.containers)])
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.getfixturevalue(request.param)
    return found

"""What the contract suites run on: stores (the fake, SQLite, Elasticsearch), and databases of workbenches."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from searcher.workbench.database import Database, new_engine
from shared.store.elasticsearch import Connection
from shared.store.elasticsearch_store import ElasticsearchStore
from shared.store.sqlite_store import SqliteStore
from tests.fake_store import FakeStore
from tests.store_subject import Subject
from tests.workbenches import SECONDS, Clock

if TYPE_CHECKING:
    from tests.elasticsearch_server import ElasticsearchServer


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Subject]:
    store = SqliteStore(tmp_path / "catalogue.db")
    yield Subject(store, lambda: None)
    store.close()


@pytest.fixture
def elasticsearch(elasticsearch_node: "ElasticsearchServer") -> Iterator[Subject]:
    elasticsearch_node.remove_indices()
    connection = Connection([elasticsearch_node.base], api_key=None, ca_file=None, seconds=30)
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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.containers)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str | None]:
    """The URL and password of an empty database."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/folder/workbench.db", None
    url, password = request.getfixturevalue("postgresql")
    engine = new_engine(url, password, SECONDS)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url, password


@pytest.fixture
def database(address: tuple[str, str | None]) -> Iterator[Database]:
    found = Database(new_engine(*address, SECONDS))
    yield found
    found.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()

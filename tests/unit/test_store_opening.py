"""Which store a URL names."""

from pathlib import Path

import pytest

from shared.errors import ConfigurationError, StoreUnavailableError
from shared.settings import Settings
from shared.store.elasticsearch_store import ElasticsearchStore
from shared.store.opening import open_store
from shared.store.sqlite_store import SqliteStore


def settings(url: str, **others: object) -> Settings:
    return Settings(_env_file=None, store_url=url, **others)  # type: ignore[arg-type]


def test_an_absolute_path_makes_its_folders_and_file(tmp_path: Path) -> None:
    store = open_store(settings(f"sqlite://{tmp_path}/a%20b/catalogue.db"))
    assert isinstance(store, SqliteStore)
    store.close()
    assert (tmp_path / "a b" / "catalogue.db").is_file()


def test_a_relative_path_is_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store(settings("sqlite:folder/catalogue.db")).close()
    assert (tmp_path / "folder" / "catalogue.db").is_file()


@pytest.mark.parametrize(
    "url",
    [
        "elasticsearch://localhost",
        "elasticsearch://a:9200,b:9201/",
        "elasticsearchs://[::1]:9243",
        "elasticsearch://[::1]",
    ],
)
def test_elasticsearch_is_named_without_being_asked(url: str) -> None:
    store = open_store(settings(url, elasticsearch_api_key="key"))
    assert isinstance(store, ElasticsearchStore)
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "catalogue.db",
        "postgres://host/x",
        "sqlite:",
        "sqlite://relative/path.db",
        "sqlite:///folder/",
        "elasticsearch:host",
        "elasticsearch://",
        "elasticsearch://host:9200,",
        "elasticsearch://host:port",
        "elasticsearch://host:99999",
        "elasticsearch://host/index",
        "elasticsearch://user:secret@host",
    ],
)
def test_a_wrong_url_is_a_configuration_error_that_names_the_setting_and_no_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CATALOGUE_STORE_URL") as raised:
        open_store(settings(url))
    assert "secret" not in str(raised.value)


def test_a_certificate_file_that_is_missing_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CATALOGUE_ELASTICSEARCH_CA_FILE"):
        open_store(settings("elasticsearchs://localhost", elasticsearch_ca_file=tmp_path / "none.pem"))


def test_a_server_that_is_not_there_is_an_outage(unused_port: int) -> None:
    store = open_store(settings(f"elasticsearch://127.0.0.1:{unused_port}"))
    with pytest.raises(StoreUnavailableError, match="can't be reached"):
        store.check()
    with pytest.raises(StoreUnavailableError):
        store.documents(["a"])
    store.close()


@pytest.fixture
def unused_port() -> int:
    from tests.conftest import free_port  # noqa: PLC0415

    return free_port()

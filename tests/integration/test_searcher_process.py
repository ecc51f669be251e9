"""The searcher as a process: its address, its end, and settings that it can't work with."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from catalogue_client import AuthenticatedClient, Client
from catalogue_client.api.images import images
from catalogue_client.api.operations import livez

from searcher.people import Scope
from searcher.serving import listen
from searcher.workbench.workbench import Workbench
from shared.errors import ConfigurationError
from tests.answers import answered
from tests.conftest import free_port
from tests.programs import Programs, get_status, programs, until


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """A small demo catalogue, indexed."""
    made = programs(tmp_path_factory.mktemp("searcher"))
    made.ok("indexer", "produce", "--demo", "4")
    made.ok("indexer", "fit", "--sample", "10")
    made.ok("indexer", "run", "--until-caught-up")
    return made


@pytest.fixture
def serving(indexed: Programs) -> "Iterator[subprocess.Popen[bytes]]":
    with indexed.running("searcher", "serve") as process:
        ready = f"http://127.0.0.1:{indexed.settings['http_port']}/readyz"
        until(lambda: get_status(ready) == 200, 60, "the searcher", process)
        yield process


def test_sigterm_ends_with_0_though_a_client_keeps_its_connection(
    indexed: Programs, serving: "subprocess.Popen[bytes]"
) -> None:
    with Client(base_url=f"http://127.0.0.1:{indexed.settings['http_port']}") as client:
        assert answered(livez.sync(client=client)).to_dict() == {"status": "ok"}
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(20) == 0


def test_a_server_on_the_network_asks_for_keys_and_heeds_them_within_seconds(indexed: Programs, tmp_path: Path) -> None:
    settings = indexed.settings | {"http_host": "0.0.0.0", "http_port": str(free_port()), "trusted_proxies": "10.1.2.3"}
    made = programs(tmp_path, **settings | {"workbench_url": f"sqlite://{tmp_path}/workbench.db"})
    with closing(Workbench.of(made.settings_of_programs(), lambda: datetime.now(UTC))) as bench:
        first = bench.keys.create("first", Scope.ADMINISTER, None, "test").secret
        with made.serving() as base:
            assert get_status(f"{base}/v1/images") == 401
            assert status_for(AuthenticatedClient(base, token=first)) == 200
            # A header of anybody on this machine does not pass for the proxy's address.
            pretended = {"X-Forwarded-For": "10.1.2.3", "X-Forwarded-User": "boss"}
            assert status_for(Client(base, headers=pretended)) == 401
            second = bench.keys.create("ann", Scope.READ, None, "test").secret
            until(lambda: status_for(AuthenticatedClient(base, token=second)) == 200, 10, "the new key to work")
            bench.keys.revoke("ann", "test")
            until(lambda: status_for(AuthenticatedClient(base, token=second)) == 401, 10, "the revoked key to end")
            assert all(key.used_at for key in bench.keys.list())


def status_for(client: AuthenticatedClient | Client) -> int:
    with client:
        return images.sync_detailed(client=client).status_code


def test_an_address_in_use_ends_with_2_and_one_line(indexed: Programs, serving: "subprocess.Popen[bytes]") -> None:
    second = indexed.run("searcher", "serve")
    assert second.returncode == 2
    assert second.stderr.startswith("searcher: CATALOGUE_HTTP_PORT: can't listen on 127.0.0.1:")
    assert len(second.stderr.splitlines()) == 1


def test_another_embedder_than_the_indexs_ends_with_2(indexed: Programs, tmp_path: Path) -> None:
    other = programs(tmp_path, **indexed.settings | {"embedder": "vgg16", "weights": "random:1"})
    for command in (("serve",), ("query", "picture.jpg")):
        (tmp_path / "picture.jpg").write_bytes(b"not looked at before the encoder is open")
        refused = other.run("searcher", *command)
        assert refused.returncode == 2, refused.stderr
        assert "classic" in refused.stderr.splitlines()[-1]
        assert "Traceback" not in refused.stderr


def test_a_command_line_query_tells_what_is_wrong_by_its_exit_code(indexed: Programs, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert indexed.run("searcher", "query", "--id", "unknown").returncode == 4
    assert indexed.run("searcher", "query", str(tmp_path / "broken.jpg")).returncode == 4
    assert indexed.run("searcher", "query", "--code", "zz").returncode == 2
    empty = programs(tmp_path).run("searcher", "query", "--code", "00")
    assert empty.returncode == 2
    assert "indexer fit" in empty.stderr


def test_the_listener_lets_small_replies_go_at_once() -> None:
    with listen("127.0.0.1", 0) as listener:
        # What asyncio looks at before it turns TCP_NODELAY on for a connection.
        assert (listener.proto, listener.type) == (socket.IPPROTO_TCP, socket.SOCK_STREAM)


def test_an_unknown_host_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"can't listen on no-such-host\.invalid:0"):
        listen("no-such-host.invalid", 0)

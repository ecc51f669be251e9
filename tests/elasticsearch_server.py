"""A real Elasticsearch in a container at a fixed port, which can be killed, started, blocked and looked into."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testcontainers.core.container import DockerContainer

from tests.conftest import free_port
from tests.programs import until

IMAGE = "docker.elastic.co/elasticsearch/elasticsearch:9.5.0"
# A server of minutes never earns back what the second compiler costs.
SHORT_LIVED_JAVA = "-XX:TieredStopAtLevel=1"

_START_SECONDS = 120
_COPIES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ElasticsearchServer:
    """A running node at 127.0.0.1:port."""

    port: int
    container: Any

    @property
    def url(self) -> str:
        """What CATALOGUE_STORE_URL names it."""
        return f"elasticsearch://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        """Its http:// URL."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End the process at once, as `kill -9` does; what it has written to its disk stays."""
        self.container.kill()

    def start(self) -> None:
        """Start it again at the same address; returns before it answers."""
        self.container.start()

    def freeze(self) -> None:
        """Let connections stay open without an answer."""
        self.container.pause()

    def thaw(self) -> None:
        """Answer again."""
        self.container.unpause()

    def answers(self) -> bool:
        """Whether it answers, and has every shard that it can have."""
        try:
            return not self.ask("GET", "_cluster/health?wait_for_status=yellow&timeout=1s")["timed_out"]
        except OSError:
            return False

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer to a request that must succeed."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.base}/{path}", content, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def remove_indices(self) -> None:
        """Remove every index of the project, whatever state it is in."""
        for index in self.ask("GET", "_cat/indices/catalogue*?format=json&h=index&expand_wildcards=all"):
            self.ask("DELETE", index["index"])

    def age(self, month: str, older: str) -> None:
        """Let all that was written in `month` ("2026.11") have been written in `older`, versions included."""
        source, target = f"catalogue-{month}", f"catalogue-{older}"
        self.ask("PUT", f"{source}/_settings", {"index.blocks.write": True})
        self.ask("POST", f"{source}/_clone/{target}", {"settings": {"index.blocks.write": None}})
        self.ask("GET", f"_cluster/health/{target}?wait_for_status=yellow&timeout=30s")
        swap = [{"add": {"index": target, "alias": "catalogue"}}, {"remove_index": {"index": source}}]
        self.ask("POST", "_aliases", {"actions": swap})

    def live_copies(self) -> list[tuple[str, int]]:
        """Image id and version of every live copy in the index itself, whether or not a searcher would show it."""
        self.ask("POST", "catalogue/_refresh")
        query = {"query": {"term": {"kind": "image"}}, "size": _COPIES_MAX, "_source": ["image_id", "version"]}
        found = self.ask("POST", "catalogue/_search", query)
        assert found["_shards"]["failed"] == 0
        assert found["hits"]["total"]["value"] < _COPIES_MAX
        return sorted((hit["_source"]["image_id"], hit["_source"]["version"]) for hit in found["hits"]["hits"])


@contextmanager
def elasticsearch_server(
    heap: str = "512m", memory: str = "2g", roles: Path | None = None, java: str = SHORT_LIVED_JAVA
) -> Iterator[ElasticsearchServer]:
    """A single node, empty. Everybody may do everything; or what the role `visitor` allows in the file `roles`, which
    Elasticsearch reads again every five seconds. `java` are options of the virtual machine."""
    port = free_port()
    container = (
        DockerContainer(IMAGE, mem_limit=memory)
        .with_bind_ports(9200, port)
        .with_env("ES_JAVA_OPTS", f"-Xms{heap} -Xmx{heap} {java}")
        .with_env("discovery.type", "single-node")
        .with_env("xpack.security.enabled", "false" if roles is None else "true")
    )
    if roles is not None:
        container.with_volume_mapping(str(roles), "/usr/share/elasticsearch/config/roles.yml")
        container.with_env("xpack.security.authc.anonymous.username", "visitor")
        container.with_env("xpack.security.authc.anonymous.roles", "visitor")
        container.with_env("xpack.security.http.ssl.enabled", "false")
    with container:
        server = ElasticsearchServer(port, container.get_wrapped_container())
        until(server.answers, _START_SECONDS, "Elasticsearch")
        yield server

"""The primitives of `monthly_indices` on Elasticsearch: one index for each month, all behind one alias."""

import base64
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.document import Document
from shared.errors import ConfigurationError, RejectedError, RejectionReason, StoreUnavailableError
from shared.store.elasticsearch import Connection, RefusalError, unavailable_for
from shared.store.elasticsearch_documents import (
    ALIAS,
    DERIVED_FIELDS,
    INDEX_PATTERN,
    SCHEMA,
    code_name,
    codes_properties,
    from_source,
    index_of,
    month_index,
    month_of_index,
    to_source,
)
from shared.store.monthly_indices import Put, PutOutcome

# Of one bulk request; thumbnails count. Elasticsearch itself advises 5 to 15 MB.
BULK_BYTES_MAX = 8 * 1024 * 1024
# So often in a row none of the items may pass before it is an outage: a server that takes a part is not away.
_FRUITLESS_TRIES = 8
_FIRST_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 0.1, 1.0
_CONFLICT, _NOT_FOUND = 409, 404

_TEMPLATE: dict[str, Any] = {
    "index_patterns": [INDEX_PATTERN],
    "priority": 500,
    # A write to an index that is gone must fail, and not bring it back with a guessed mapping and without the alias.
    "allow_auto_create": False,
}


@dataclass(frozen=True, slots=True)
class _Action:
    """One put as it is sent; `place` is where its answer goes."""

    place: int
    lines: tuple[bytes, bytes]

    @property
    def size_bytes(self) -> int:
        return len(self.lines[0]) + len(self.lines[1]) + 2


@dataclass(frozen=True, slots=True)
class CodeFields:
    """What a month keeps of which encoders (by field names): the bits of their codes, and a graph of some."""

    bits: Mapping[str, int]
    graphs: frozenset[str]


class ElasticsearchIndices:
    """The months. Of other processes' work it remembers only which graphs a month keeps, from its last `prepare` on:
    a month gets its fields once, and a document with a field that its month does not have is refused and tried again.

    `months_seen` are those of the last look, for questions that need not be answered as of now.
    """

    def __init__(
        self, connection: Connection, replicas: str, pause: Callable[[float], None], *, hnsw: bool = False
    ) -> None:
        """`pause` waits so many seconds before items that met an overload are sent again; with `hnsw` fields of codes
        that are made from now on come with a graph."""
        self._connection = connection
        self._replicas = replicas
        self._pause = pause
        self._hnsw = hnsw
        self._graphs: Mapping[str, frozenset[str]] = {}
        self.months_seen: Sequence[str] = ()

    def live(self) -> Sequence[str]:
        return sorted(self.fields())

    def prepare(self, month: str, codes: Mapping[str, int]) -> Sequence[str]:
        fields = self.fields()
        if month not in fields:
            self._make(month, codes)
            fields = self.fields()
        return sorted(self._fit(month, codes, fields))

    def fit(self, month: str, codes: Mapping[str, int]) -> None:
        fields = self.fields()
        if month not in fields:
            return
        try:
            self._fit(month, codes, fields)
        except RefusalError as error:
            if not error.missing:
                raise

    def _fit(self, month: str, codes: Mapping[str, int], fields: Mapping[str, CodeFields]) -> Mapping[str, CodeFields]:
        """Give the month what it lacks; gives the months after."""
        held = fields[month].bits if month in fields else {}
        # Fields that are there stay as they are: a graph that began late would lack what was written before.
        lacking = {encoder_id: bits for encoder_id, bits in codes.items() if held.get(code_name(encoder_id)) != bits}
        if lacking:
            properties = codes_properties(lacking, hnsw=self._hnsw)
            self._connection.ask(
                lambda client: client.indices.put_mapping(index=index_of(month), properties=properties)
            )
            fields = self.fields()
        self._graphs = {name: one.graphs for name, one in fields.items()}
        return fields

    def fields(self) -> dict[str, CodeFields]:
        """The months behind the alias, each with its fields of codes."""
        try:
            answer = self._connection.ask(lambda client: client.indices.get_mapping(index=ALIAS))
        except RefusalError as error:
            if error.missing:
                return {}
            raise
        fields = {}
        for index, described in answer.items():
            mappings = described["mappings"]
            month = month_of_index(index)
            schema = mappings.get("_meta", {}).get("schema")
            if month is None or schema != SCHEMA:
                raise ConfigurationError(
                    f"the index {index} behind the alias {ALIAS} is of another making (schema {schema}, not {SCHEMA})"
                )
            codes, graphs = (mappings["properties"].get(kind, {}).get("properties", {}) for kind in ("codes", "graph"))
            fields[month] = CodeFields({name: field["dims"] for name, field in codes.items()}, frozenset(graphs))
        self.months_seen = sorted(fields)
        return fields

    def versions(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for month, item in self._get(image_ids, months, source=False):
            found.setdefault(item["_id"], {})[month] = item["_version"]
        return found

    def copies(
        self, image_ids: Sequence[str], months: Sequence[str], *, real_time: bool = True
    ) -> Mapping[str, Mapping[str, Document]]:
        found: dict[str, dict[str, Document]] = {}
        excluded = ["thumbnail", *DERIVED_FIELDS]
        for month, item in self._get(image_ids, months, source_excludes=excluded, realtime=real_time):
            found.setdefault(item["_id"], {})[month] = from_source(item["_source"])
        return found

    def thumbnail(self, image_id: str) -> bytes | None:
        """The thumbnail of the image's highest version."""
        items = [item for _, item in self._get([image_id], self.live(), source_includes=["thumbnail"])]
        # A MOVED marker of the same version has none.
        winner = max(items, key=lambda item: (item["_version"], bool(item["_source"])), default=None)
        encoded = None if winner is None else winner["_source"].get("thumbnail")
        return None if encoded is None else base64.b64decode(encoded)

    def put(self, puts: Sequence[Put]) -> Sequence[PutOutcome | RejectedError]:
        answers: list[PutOutcome | RejectedError | None] = [None] * len(puts)
        actions = []
        for place, one in enumerate(puts):
            try:
                actions.append(_Action(place, _lines(one, self._graphs.get(one.month, ()))))
            except ValueError as error:
                answers[place] = RejectedError(RejectionReason.DOCUMENT_REFUSED, f"not writable as JSON: {error}")
        pause_seconds, fruitless = _FIRST_PAUSE_SECONDS, 0
        while actions:
            overloaded: list[tuple[_Action, StoreUnavailableError]] = []
            for request in _requests(actions):
                self._send(request, answers, overloaded)
            fruitless = 0 if len(overloaded) < len(actions) else fruitless + 1
            if fruitless == _FRUITLESS_TRIES:
                raise overloaded[0][1]
            if overloaded:
                self._pause(pause_seconds)
                pause_seconds = min(_PAUSE_SECONDS_MAX, pause_seconds * 2)
            actions = [action for action, _ in overloaded]
        return [answer for answer in answers if answer is not None]

    def refresh(self, months: Iterable[str]) -> None:
        names = [index_of(month) for month in months]
        answer = self._connection.ask(lambda client: client.indices.refresh(index=names, ignore_unavailable=True))
        if answer["_shards"]["failed"]:
            raise StoreUnavailableError(f"Elasticsearch could not refresh {', '.join(names)}")

    def drop(self, month: str) -> None:
        self._connection.ask(lambda client: client.indices.delete(index=index_of(month), ignore_unavailable=True))

    def _make(self, month: str, codes: Mapping[str, int]) -> None:
        """Make the month, and put it behind the alias once it can answer: no search ever meets a shard that is not up.

        Each step may be repeated, so a crash or another worker in between does no harm.
        """
        ask, index, body = self._connection.ask, index_of(month), month_index(codes, self._replicas, hnsw=self._hnsw)
        ask(lambda client: client.indices.put_index_template(name=ALIAS, **_TEMPLATE))
        try:
            ask(lambda client: client.indices.create(index=index, **body))
        except RefusalError as error:
            if not error.exists_already:
                raise
        # Not by status: a shard that is about to start counts as yellow.
        ask(lambda client: client.cluster.health(index=index, wait_for_active_shards=1, timeout="10s"))
        ask(lambda client: client.indices.put_alias(index=index, name=ALIAS))

    def _get(
        self, image_ids: Sequence[str], months: Sequence[str], **options: Any
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The month and the item of each copy; one that could not be read is never taken for an absent one."""
        wanted = [{"_index": index_of(month), "_id": image_id} for month in months for image_id in image_ids]
        if not wanted:
            return
        answer = self._connection.ask(lambda client: client.mget(docs=wanted, **options))
        for item in answer["docs"]:
            if "error" in item:
                if item["error"]["type"] == "index_not_found_exception":
                    continue
                raise StoreUnavailableError(f"Elasticsearch could not read {item['_index']}: {item['error']['reason']}")
            if item["found"]:
                yield str(month_of_index(item["_index"])), item

    def _send(
        self,
        request: Sequence[_Action],
        answers: list[PutOutcome | RejectedError | None],
        overloaded: list[tuple[_Action, StoreUnavailableError]],
    ) -> None:
        lines: Any = [line for action in request for line in action.lines]
        try:
            answer = self._connection.ask(
                lambda client: client.bulk(operations=lines, filter_path=["items.*.status", "items.*.error"])
            )
        except RefusalError as error:
            if not error.for_a_part:
                raise
            self._send_smaller(request, error, answers, overloaded)
            return
        for action, item in zip(request, answer["items"], strict=True):
            outcome = _outcome(item["index"])
            if isinstance(outcome, StoreUnavailableError):
                overloaded.append((action, outcome))
            else:
                answers[action.place] = outcome

    def _send_smaller(
        self,
        request: Sequence[_Action],
        error: RefusalError,
        answers: list[PutOutcome | RejectedError | None],
        overloaded: list[tuple[_Action, StoreUnavailableError]],
    ) -> None:
        """Halve a request that was refused as a whole, down to the document that is to blame."""
        if len(request) == 1:
            answers[request[0].place] = RejectedError(RejectionReason.DOCUMENT_REFUSED, str(error))
            return
        middle = len(request) // 2
        self._send(request[:middle], answers, overloaded)
        self._send(request[middle:], answers, overloaded)


def _lines(put: Put, graphs: Collection[str]) -> tuple[bytes, bytes]:
    """A put as the two lines of a bulk request; ValueError where the document can't be written as JSON."""
    document = put.document
    action = {
        "_index": index_of(put.month),
        "_id": document.image_id,
        "version": document.version,
        "version_type": "external_gte" if put.over_equal else "external",
    }
    return json.dumps({"index": action}, ensure_ascii=False).encode(), to_source(document, graphs)


def _requests(actions: Sequence[_Action]) -> Iterator[list[_Action]]:
    """Split into runs of at most BULK_BYTES_MAX, or of one action."""
    request: list[_Action] = []
    size_bytes = 0
    for action in actions:
        if request and size_bytes + action.size_bytes > BULK_BYTES_MAX:
            yield request
            request, size_bytes = [], 0
        request.append(action)
        size_bytes += action.size_bytes
    if request:
        yield request


def _outcome(item: Mapping[str, Any]) -> PutOutcome | RejectedError | StoreUnavailableError:
    status = item["status"]
    if "error" not in item:
        return PutOutcome.STORED
    if status == _CONFLICT:
        return PutOutcome.CONFLICT
    error_type, reason = item["error"]["type"], str(item["error"].get("reason"))
    if status == _NOT_FOUND:
        return PutOutcome.MONTH_MISSING
    return unavailable_for(status, error_type, reason) or RejectedError(RejectionReason.DOCUMENT_REFUSED, reason)

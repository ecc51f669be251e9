"""Follows what is written to Elasticsearch, by the sequence numbers that each month's shard gives its operations.

A *pass* reads, month by month, one snapshot (a point in time, opened after a refresh) of all with a sequence number
above the month's position. The argument, for the server's own terms:

- What was acknowledged before the pass began is on every copy that can be searched, so the refreshed snapshot has it,
  or what superseded it: reading has no upper bound, for what supersedes has a higher number.
- The position follows the global checkpoint, as it was when the pass began, and never passes it. Below it no operation
  is missing and none is ever rolled back. Above it one may be in flight, or be lost with its primary; what lies there
  is given again by the next pass.
- A MOVED marker says only that a copy of its version, or of a higher one, was acknowledged in another month; that copy
  is in the feed itself, so markers of this kind are not given. But that month's snapshot may be older than the copy:
  then one more pass follows before the feed has caught up.
- A shard's history id changes where numbers lose their meaning: a month made anew, restored, or brought back from a
  stale copy.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from shared.errors import StoreUnavailableError
from shared.store import Change, Changes
from shared.store.elasticsearch import Connection, RefusalError
from shared.store.elasticsearch_documents import ALIAS, code_key, index_of, month_of_index, read_change
from shared.store.elasticsearch_indices import ElasticsearchIndices

_PAGE = 5000
# Between two pages; each page renews it.
_KEEP_ALIVE = "5m"
_BEFORE_ALL = -1


@dataclass(slots=True)
class _Month:
    """How far a month was read: everything up to `position`, of the shard whose history has this id."""

    history: str
    position: int = _BEFORE_ALL


@dataclass(frozen=True, slots=True)
class _Shard:
    """The numbers of a month's only shard, from its primary copy."""

    history: str
    highest: int
    checkpoint: int


@dataclass(slots=True)
class _Snapshot:
    """A month being read: the point in time, and the last number that was given.

    Numbers are read in windows of `width` up to `highest`, the highest number when the pass began: a query for all that
    is above a number would go through all of it for each page. Beyond `highest` there is no more than came since.
    """

    month: str
    shard: _Shard
    after: int
    width: int = _PAGE
    point: str = ""

    def bounds(self) -> dict[str, int]:
        """The range of the next page."""
        up_to = self.after + self.width
        return {"gt": self.after} | ({"lte": up_to} if up_to < self.shard.highest else {})

    def advance(self, numbers: Sequence[int]) -> bool:
        """Go on behind the page of these numbers; whether it was the last."""
        bounds = self.bounds()
        if len(numbers) == _PAGE:
            # The window may have held more.
            self.after, self.width = numbers[-1], max(_PAGE, self.width // 2)
            return False
        # Where much was overwritten, few numbers of a window are left.
        self.after, self.width = bounds.get("lte", self.shard.highest), self.width * 2
        return "lte" not in bounds


@dataclass(slots=True)
class _Pass:
    """What is still to be read of a pass, the next one last, and whether a MOVED marker was met; after a `final` one
    the feed has caught up even so. `ahead` is the next page, where it is asked for already."""

    snapshots: list[_Snapshot]
    met_moved: bool = False
    final: bool = False
    ahead: Future[list[Mapping[str, Any]]] | None = None


@dataclass(slots=True)
class ElasticsearchChanges:
    """The feed; the contract is `shared.store.ChangeFeed`'s."""

    connection: Connection
    indices: ElasticsearchIndices
    encoder_id: str
    terms: bool
    shown: bool
    _months: dict[str, _Month] = field(default_factory=dict)
    _pass: _Pass | None = None
    _again: bool = False

    def read(self) -> Changes:
        if self._pass is None:
            shards = self._shards()
            if any(name not in shards or shards[name].history != one.history for name, one in self._months.items()):
                self._months, self._again = {}, False
                return Changes((), caught_up=False, lost=True)
            self._pass = self._begin(shards)
        try:
            changes = self._step(self._pass)
        except RefusalError as error:
            if not error.missing:
                raise
            # The month was dropped, which the next look at the shards shows, or the point in time has run out.
            self._pass = None
            return Changes((), caught_up=False)
        if self._pass.snapshots:
            return Changes(changes, caught_up=False)
        self._again, self._pass = self._pass.met_moved and not self._pass.final, None
        return Changes(changes, caught_up=not self._again)

    def _begin(self, shards: Mapping[str, _Shard]) -> _Pass:
        snapshots = []
        for name, shard in sorted(shards.items(), reverse=True):
            month = self._months.setdefault(name, _Month(shard.history))
            # Where they are equal, nothing was above the checkpoint and nothing is.
            if shard.highest != month.position:
                snapshots.append(_Snapshot(name, shard, after=month.position))
        return _Pass(snapshots, final=self._again)

    def _step(self, of_pass: _Pass) -> list[Change]:
        """The next page of the pass."""
        if not of_pass.snapshots:
            return []
        snapshot = of_pass.snapshots[-1]
        # Taken away first: what failed is asked for again.
        ahead, of_pass.ahead = of_pass.ahead, None
        hits = self._page(snapshot) if ahead is None else ahead.result()
        month = self._months[snapshot.month]
        finished = snapshot.advance([hit["sort"][0] for hit in hits])
        month.position = max(month.position, min(snapshot.after, snapshot.shard.checkpoint))
        if finished:
            of_pass.snapshots.pop()
            self._close(snapshot)
        else:
            # Elasticsearch reads the next page while the follower takes this one in.
            of_pass.ahead = self._page_ahead(snapshot)
        changes = list(self._changes(hits))
        of_pass.met_moved |= len(changes) < len(hits)
        return changes

    def _page_ahead(self, snapshot: _Snapshot) -> Future[list[Mapping[str, Any]]]:
        """What `_page` will give, in a thread that does not hold up the end of the process."""
        page: Future[list[Mapping[str, Any]]] = Future()

        def read() -> None:
            try:
                page.set_result(self._page(snapshot))
            except BaseException as error:  # noqa: BLE001 (whatever it is, who takes the page in meets it)
                page.set_exception(error)

        Thread(target=read, name="changes", daemon=True).start()
        return page

    def _page(self, snapshot: _Snapshot) -> list[Mapping[str, Any]]:
        if not snapshot.point:
            self.indices.refresh([snapshot.month])
            opened = self.connection.ask(
                lambda client: client.open_point_in_time(index=index_of(snapshot.month), keep_alive=_KEEP_ALIVE)
            )
            snapshot.point = opened["id"]
        fields = ["change"]
        if self.terms:
            fields.append("terms")
        answer = self.connection.ask(
            lambda client: client.search(
                pit={"id": snapshot.point, "keep_alive": _KEEP_ALIVE},
                query={"range": {"_seq_no": snapshot.bounds()}},
                sort=[{"_seq_no": "asc"}],
                size=_PAGE,
                source=False,
                stored_fields="_none_",
                docvalue_fields=[{"field": name} for name in fields],
                track_total_hits=False,
                filter_path=["error", "pit_id", "timed_out", "_shards.failed", "hits.hits.fields", "hits.hits.sort"],
            )
        )
        if answer["_shards"]["failed"] or answer["timed_out"]:
            raise StoreUnavailableError(f"Elasticsearch could not read all changes of {snapshot.month}")
        snapshot.point = answer["pit_id"]
        hits: list[Mapping[str, Any]] = answer.get("hits", {}).get("hits", [])
        return hits

    def _changes(self, hits: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
        """The hits as changes, without MOVED markers."""
        key, nothing = code_key(self.encoder_id), ()
        for hit in hits:
            found = hit["fields"]
            change = read_change(found["change"][0], key, found.get("terms", nothing), shown=self.shown)
            if change is not None:
                yield change

    def _close(self, snapshot: _Snapshot) -> None:
        with suppress(StoreUnavailableError):
            # It also ends by itself.
            self.connection.ask(lambda client: client.options(ignore_status=404).close_point_in_time(id=snapshot.point))

    def _shards(self) -> dict[str, _Shard]:
        """The shard of each month; StoreUnavailableError where one has no primary copy."""
        # Asked first: of a month that comes to be now nothing was acknowledged before.
        months = self.indices.live()
        if not months:
            return {}
        answer = self.connection.ask(
            lambda client: client.indices.stats(
                index=ALIAS,
                metric="docs",
                level="shards",
                filter_path=[
                    "error",
                    "indices.*.shards.*.routing.primary",
                    "indices.*.shards.*.seq_no",
                    "indices.*.shards.*.commit.user_data.history_uuid",
                ],
            )
        )
        found = {}
        for index, described in answer.get("indices", {}).items():
            copies = [copy for copies in described["shards"].values() for copy in copies]
            for copy in copies:
                if copy["routing"]["primary"] and "seq_no" in copy and "commit" in copy:
                    numbers = copy["seq_no"]
                    history = copy["commit"]["user_data"]["history_uuid"]
                    month = str(month_of_index(index))
                    found[month] = _Shard(history, numbers["max_seq_no"], numbers["global_checkpoint"])
        away = [month for month in months if month not in found]
        if away:
            raise StoreUnavailableError(f"Elasticsearch can't read {', '.join(away)} now")
        return {month: found[month] for month in months}

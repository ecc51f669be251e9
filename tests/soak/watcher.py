"""Looks at what the searcher shows, all the time, from memory and from the store; notes what breaks a promise."""

import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

from tests.programs import get_json

_ALL = 1000
_PAUSE_SECONDS = 0.2
_STRATEGIES = ("auto", "flat")


class Watcher:
    """Asks for all images again and again; every complete reply must hold each steady image once, and no older version
    than the reply before it by the same strategy.

    `steady` are images that are updated and never deleted. An answer that says that it is not complete, or none at all,
    breaks no promise.
    """

    def __init__(self, base: Callable[[], str], steady: Sequence[str], code: str) -> None:
        """`base` gives the searcher's URL; `code` is any code of the index, as hex."""
        self._base = base
        self._steady = frozenset(steady)
        self._code = code
        self._seen: dict[str, dict[str, int]] = defaultdict(dict)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.replies: Counter[str] = Counter()
        self.broken: list[str] = []

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join(60)

    def _watch(self) -> None:
        for strategy in cycle(_STRATEGIES):
            if self._stopped.wait(_PAUSE_SECONDS):
                return
            query = {"seeds": [{"code": self._code}], "k": _ALL, "strategy": strategy}
            try:
                reply = get_json(f"{self._base()}/v1/search", query)
            except urllib.error.HTTPError as error:
                error.close()
                self.replies[f"status {error.code}"] += 1
            except (OSError, ValueError):
                self.replies["no answer"] += 1
            else:
                self.replies["complete" if reply["complete"] else "incomplete"] += 1
                self._check(reply["hits"], self._seen[strategy], complete=reply["complete"])

    def _check(self, hits: Sequence[Mapping[str, Any]], seen: dict[str, int], *, complete: bool) -> None:
        counts = Counter(hit["image_id"] for hit in hits)
        # From memory alone, while the store is away, hits come without attributes; then they are not complete.
        versions = {hit["image_id"]: int(hit["attributes"]["number"]) for hit in hits if hit["attributes"] or complete}
        for image_id, count in counts.items():
            if count > 1:
                self._note(f"{image_id} is there {count} times")
        for image_id in self._steady - set(counts) if complete else ():
            self._note(f"{image_id} is missing from a complete reply")
        for image_id, version in versions.items():
            if version < seen.get(image_id, 0):
                self._note(f"{image_id} went back from version {seen[image_id]} to {version}")
            seen[image_id] = max(version, seen.get(image_id, 0))

    def _note(self, what: str) -> None:
        self.broken.append(f"{time.strftime('%H:%M:%S')} {what}")

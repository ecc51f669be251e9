"""Watches as the searcher publishes them and the indexer compares with: codes, a radius, filter terms.

Names, notes and states of watches are the workbench's. What is published is the list of all active ones, whole, so that
no order of changes can leave a worker with half of them.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import ConfigurationError, QueryInvalidError

# An image is compared with 10,000 codes of 256 bits in some 12 microseconds of one core, about a hundredth of what
# decoding it takes; and the published list has 15 MB at most, which fits one document of Elasticsearch.
WATCHES_MAX = 10_000
# As many positive pictures as a person looks through; more teach the radius little.
WATCH_CODES_MAX = 32

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Watch:
    """What an image has to be like: its code of `encoder_id` lies within `radius` bits of one of `codes`, and each
    inner list of `terms` (as of `shared.store.Restriction`) has one of its attribute terms.

    `revision` rises with each change of this watch. QueryInvalidError where the parts don't fit together.
    """

    watch_id: str
    revision: int
    encoder_id: str
    codes: Sequence[bytes]
    radius: int
    terms: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        """Refuse what no image could be compared with."""
        if not 1 <= len(self.codes) <= WATCH_CODES_MAX:
            raise QueryInvalidError(f"a watch has 1 to {WATCH_CODES_MAX} codes, not {len(self.codes)}")
        if len({len(code) for code in self.codes}) > 1 or not self.codes[0]:
            raise QueryInvalidError("the codes of a watch have one length")
        if not 0 <= self.radius <= len(self.codes[0]) * 8:
            raise QueryInvalidError(f"the radius of a watch is 0 to {len(self.codes[0]) * 8} bits, not {self.radius}")

    def lets_through(self, terms: Iterable[str]) -> bool:
        """Whether an image with these attribute terms passes the watch's filters."""
        held = set(terms)
        return all(held.intersection(alternatives) for alternatives in self.terms)


@dataclass(frozen=True, slots=True)
class WatchList:
    """All active watches at a time; of two lists the one of the higher revision (from 1) is the later one.

    QueryInvalidError where there are more than WATCHES_MAX.
    """

    revision: int
    watches: Sequence[Watch]

    def __post_init__(self) -> None:
        """Refuse what workers could not keep up with."""
        if len(self.watches) > WATCHES_MAX:
            raise QueryInvalidError(f"at most {WATCHES_MAX} watches can be active, not {len(self.watches)}")


NO_WATCHES = WatchList(0, ())


def to_bytes(watches: WatchList) -> bytes:
    """The list as compressed JSON."""
    told = {
        "format": _FORMAT,
        "revision": watches.revision,
        "watches": [
            {
                "id": one.watch_id,
                "revision": one.revision,
                "encoder": one.encoder_id,
                "codes": [base64.b64encode(code).decode() for code in one.codes],
                "radius": one.radius,
                "terms": [list(alternatives) for alternatives in one.terms],
            }
            for one in watches.watches
        ],
    }
    # Codes are noise to any level; what it saves is base64.
    return zlib.compress(json.dumps(told, separators=(",", ":")).encode(), 1)


def from_bytes(packed: bytes) -> WatchList:
    """The list of such bytes; ConfigurationError where they are damaged or of another program's format."""
    try:
        told: Mapping[str, Any] = json.loads(zlib.decompress(packed))
        if told["format"] != _FORMAT:
            raise ConfigurationError(
                f"the store's list of watches has format {told['format']}, and this program reads {_FORMAT}"
            )
        return WatchList(told["revision"], [_watch(one) for one in told["watches"]])
    except (zlib.error, ValueError, KeyError, TypeError, binascii.Error, QueryInvalidError) as error:
        raise ConfigurationError(f"the store's list of watches is damaged: {error}") from error


def _watch(told: Mapping[str, Any]) -> Watch:
    return Watch(
        told["id"],
        told["revision"],
        told["encoder"],
        [base64.b64decode(code, validate=True) for code in told["codes"]],
        told["radius"],
        told["terms"],
    )

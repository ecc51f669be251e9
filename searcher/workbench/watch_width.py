"""How wide a watch may be: an alert for each of very many images that are there already would help nobody.

The server and the command ask in their own ways how many there are; the rule is here.
"""

from collections.abc import Iterator, Sized

from searcher.resident.hamming_sum import HammingSum
from searcher.strategies import Query
from searcher.workbench.watch_records import KeptWatch, NewWatch, terms_of
from shared.errors import QueryInvalidError
from shared.store import NEIGHBOURS_MAX, Restriction


def width_queries(watch: NewWatch | KeptWatch, visible_after_ms: int) -> Iterator[Query]:
    """What to ask, of each of the watch's codes; give each answer to `check_width`."""
    restriction = Restriction(visible_after_ms, terms_of(watch.filter))
    for code in watch.codes:
        yield Query(watch.encoder_id, HammingSum.plain(code), NEIGHBOURS_MAX, watch.radius, restriction)


def check_width(watch: NewWatch | KeptWatch, found: Sized) -> None:
    """QueryInvalidError where a query found too many images."""
    if len(found) >= NEIGHBOURS_MAX:
        raise QueryInvalidError(
            f"{NEIGHBOURS_MAX:,} visible images or more lie within {watch.radius} bits of what is watched for, and "
            "each would be an alert: take a smaller radius, or filters"
        )

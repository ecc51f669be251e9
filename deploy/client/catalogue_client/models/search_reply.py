from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.strategy_name import StrategyName, check_strategy_name
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.hit import Hit
    from ..models.search_reply_took_ms import SearchReplyTookMs
    from ..models.seed_code import SeedCode


T = TypeVar("T", bound="SearchReply")


@_attrs_define
class SearchReply:
    """Hits by distance, then image id, with what they are worth. `reason` is there only when `complete` is false."""

    encoder: str
    bits: int
    seeds: list[SeedCode]
    hits: list[Hit]
    strategy: StrategyName
    """ How a query is answered; `auto` chooses. """
    exact: bool
    """ Whether comparing every code gives the same hits. """
    exact_up_to: int | None
    """ Every image at most so far away was considered, whatever k cut off. """
    candidates: int
    """ Codes that were compared. """
    as_of: str
    """ Whatever the store had acknowledged before this is included. """
    complete: bool
    took_ms: SearchReplyTookMs
    """ By stage: seed, decode, embed, nearest, total. """
    reason: None | str | Unset = UNSET
    cursor: None | str | Unset = UNSET
    """ Asks for the hits behind these; null at the end. """

    def to_dict(self) -> dict[str, Any]:
        encoder = self.encoder

        bits = self.bits

        seeds = []
        for seeds_item_data in self.seeds:
            seeds_item = seeds_item_data.to_dict()
            seeds.append(seeds_item)

        hits = []
        for hits_item_data in self.hits:
            hits_item = hits_item_data.to_dict()
            hits.append(hits_item)

        strategy: str = self.strategy

        exact = self.exact

        exact_up_to: int | None
        exact_up_to = self.exact_up_to

        candidates = self.candidates

        as_of = self.as_of

        complete = self.complete

        took_ms = self.took_ms.to_dict()

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason

        cursor: None | str | Unset
        if isinstance(self.cursor, Unset):
            cursor = UNSET
        else:
            cursor = self.cursor

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "encoder": encoder,
                "bits": bits,
                "seeds": seeds,
                "hits": hits,
                "strategy": strategy,
                "exact": exact,
                "exact_up_to": exact_up_to,
                "candidates": candidates,
                "as_of": as_of,
                "complete": complete,
                "took_ms": took_ms,
            }
        )
        if reason is not UNSET:
            field_dict["reason"] = reason
        if cursor is not UNSET:
            field_dict["cursor"] = cursor

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.hit import Hit  # noqa: PLC0415
        from ..models.search_reply_took_ms import SearchReplyTookMs  # noqa: PLC0415
        from ..models.seed_code import SeedCode  # noqa: PLC0415

        d = dict(src_dict)
        encoder = d.pop("encoder")

        bits = d.pop("bits")

        seeds = []
        _seeds = d.pop("seeds")
        for seeds_item_data in _seeds:
            seeds_item = SeedCode.from_dict(seeds_item_data)

            seeds.append(seeds_item)

        hits = []
        _hits = d.pop("hits")
        for hits_item_data in _hits:
            hits_item = Hit.from_dict(hits_item_data)

            hits.append(hits_item)

        strategy = check_strategy_name(d.pop("strategy"))

        exact = d.pop("exact")

        def _parse_exact_up_to(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        exact_up_to = _parse_exact_up_to(d.pop("exact_up_to"))

        candidates = d.pop("candidates")

        as_of = d.pop("as_of")

        complete = d.pop("complete")

        took_ms = SearchReplyTookMs.from_dict(d.pop("took_ms"))

        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))

        def _parse_cursor(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        cursor = _parse_cursor(d.pop("cursor", UNSET))

        search_reply = cls(
            encoder=encoder,
            bits=bits,
            seeds=seeds,
            hits=hits,
            strategy=strategy,
            exact=exact,
            exact_up_to=exact_up_to,
            candidates=candidates,
            as_of=as_of,
            complete=complete,
            took_ms=took_ms,
            reason=reason,
            cursor=cursor,
        )

        return search_reply

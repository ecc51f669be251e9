from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.judged_image import JudgedImage
    from ..models.search_request import SearchRequest


T = TypeVar("T", bound="JudgeRequest")


@_attrs_define
class JudgeRequest:
    """Verdicts on images that one search, or a sample of the case, has shown.

    In `search`, pictures are given by the code that stood for them; `sample` is the sample's id.

    """

    judgements: list[JudgedImage]
    search: None | SearchRequest | Unset = UNSET
    sample: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        from ..models.search_request import SearchRequest  # noqa: PLC0415

        judgements = []
        for judgements_item_data in self.judgements:
            judgements_item = judgements_item_data.to_dict()
            judgements.append(judgements_item)

        search: dict[str, Any] | None | Unset
        if isinstance(self.search, Unset):
            search = UNSET
        elif isinstance(self.search, SearchRequest):
            search = self.search.to_dict()
        else:
            search = self.search

        sample: None | str | Unset
        if isinstance(self.sample, Unset):
            sample = UNSET
        else:
            sample = self.sample

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "judgements": judgements,
            }
        )
        if search is not UNSET:
            field_dict["search"] = search
        if sample is not UNSET:
            field_dict["sample"] = sample

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.judged_image import JudgedImage  # noqa: PLC0415
        from ..models.search_request import SearchRequest  # noqa: PLC0415

        d = dict(src_dict)
        judgements = []
        _judgements = d.pop("judgements")
        for judgements_item_data in _judgements:
            judgements_item = JudgedImage.from_dict(judgements_item_data)

            judgements.append(judgements_item)

        def _parse_search(data: object) -> None | SearchRequest | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                search_type_0 = SearchRequest.from_dict(data)

                return search_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | SearchRequest | Unset, data)

        search = _parse_search(d.pop("search", UNSET))

        def _parse_sample(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        sample = _parse_sample(d.pop("sample", UNSET))

        judge_request = cls(
            judgements=judgements,
            search=search,
            sample=sample,
        )

        return judge_request

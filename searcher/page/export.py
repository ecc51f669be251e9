"""Ticked images as a file: CSV that no spreadsheet takes for formulas, or JSON."""

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from searcher.spreadsheet import Cell, csv_text
from shared.document import Scalar

_COLUMNS = ("image_id", "item_id", "distance", "similarity", "event_time", "image_url")


class ExportedImage(BaseModel):
    """A ticked image, as the page's form carries it; distance and similarity where it was a hit."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    image_id: str
    item_id: str
    event_time: str
    image_url: str | None
    attributes: dict[str, Scalar | list[Scalar]]
    distance: Annotated[int, Field(ge=0)] | None = None
    similarity: float | None = None


_IMAGE = TypeAdapter(ExportedImage)


def read_ticked(texts: Sequence[str]) -> list[ExportedImage]:
    """Read ticked images from the JSON that their checkboxes hold; pydantic's ValidationError where one is wrong."""
    return [_IMAGE.validate_json(text) for text in texts]


def to_csv(images: Sequence[ExportedImage]) -> str:
    """A row an image, a column an attribute."""
    names = sorted({name for image in images for name in image.attributes})
    # An attribute may be called like a column of ours; its prefix tells them apart.
    columns = [*_COLUMNS, *(f"attribute.{name}" for name in names)]
    return csv_text(columns, [_row(image, names) for image in images])


def to_json(images: Sequence[ExportedImage]) -> str:
    """A list of objects, as the search gave them."""
    return json.dumps([image.model_dump() for image in images], ensure_ascii=False, indent=2) + "\n"


def _row(image: ExportedImage, names: Sequence[str]) -> list[Cell]:
    return [*(getattr(image, column) for column in _COLUMNS), *(image.attributes.get(name) for name in names)]

"""Ticked images as a file: CSV that no spreadsheet takes for formulas, or JSON."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from shared.document import Scalar

_COLUMNS = ("image_id", "item_id", "distance", "similarity", "event_time", "image_url")
# A cell that begins with one of these is a formula to a spreadsheet (or becomes one when the cell is trimmed).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


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
    """Comma-separated, one row an image, one column an attribute; lists are joined by "; "."""
    names = sorted({name for image in images for name in image.attributes})
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    # An attribute may be called like a column of ours; its prefix tells them apart.
    writer.writerow([*_COLUMNS, *(_safe(f"attribute.{name}") for name in names)])
    for image in images:
        own = [getattr(image, column) for column in _COLUMNS]
        attributes = [image.attributes.get(name) for name in names]
        writer.writerow([_cell(value) for value in [*own, *attributes]])
    return target.getvalue()


def to_json(images: Sequence[ExportedImage]) -> str:
    """A list of objects, as the search gave them."""
    return json.dumps([image.model_dump() for image in images], ensure_ascii=False, indent=2) + "\n"


def _cell(value: Scalar | list[Scalar] | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list():
            return _safe("; ".join(str(part) for part in value))
    return _safe(value)


def _safe(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text

"""CSV that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Sequence

from shared.document import Scalar

# A cell that begins with one of these is a formula to a spreadsheet (or becomes one when the cell is trimmed).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Cell = Scalar | Sequence[Scalar] | None


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Comma-separated, with a heading; lists are joined by "; "."""
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow([_safe(column) for column in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return target.getvalue()


def _cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return _safe(value)
    return _safe("; ".join(str(part) for part in value))


def _safe(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text

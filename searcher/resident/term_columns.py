"""The attribute terms of declared fields beside the codes: one number a row and field."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from searcher.resident.memory import Column
from searcher.resident.row_table import Rows

# What Python's dictionaries and sets take, roughly, for one distinct set of terms of a field.
_SET_BYTES = 400


class TermColumns:
    """For each field and row a number that stands for the row's set of terms of that field; 0 where it has none.

    An attribute with several values is one set, so it costs a row no more than an attribute with one. A term belongs to
    the field that stands before its first "=".
    """

    def __init__(self, fields: Sequence[str], capacity: int) -> None:
        self._fields = {name: _Field(Column(capacity, np.int32)) for name in dict.fromkeys(fields)}

    @property
    def bytes_per_row(self) -> int:
        """Bytes of the columns for one row; the distinct sets come on top."""
        return 4 * len(self._fields)

    @property
    def nbytes(self) -> int:
        """About the bytes of the distinct sets."""
        return _SET_BYTES * sum(len(field.numbers) for field in self._fields.values())

    def has(self, term: str) -> bool:
        """Whether the term belongs to one of the fields."""
        return _name_of(term) in self._fields

    def write(self, rows: Rows, terms: Sequence[Sequence[str]]) -> None:
        """Set the terms of each of `rows`; those of other fields are left out."""
        for name, field in self._fields.items():
            numbers = [field.number_of([term for term in of_row if _name_of(term) == name]) for of_row in terms]
            field.column.array[rows] = numbers

    def move(self, rows: Rows, to: Rows) -> None:
        """Copy what stands at `rows` to the rows `to`."""
        for field in self._fields.values():
            field.column.array[to] = field.column.array[rows]

    def release(self, count: int) -> None:
        """Give memory back that `count` rows do not need."""
        for field in self._fields.values():
            field.column.release(count)

    def any_of(self, terms: Sequence[str]) -> "TermFilter":
        """A filter for rows with one of these terms (one or more, all of the fields) at least; valid until `write`."""
        passing = []
        for name in dict.fromkeys(map(_name_of, terms)):
            field = self._fields[name]
            passes = np.zeros(len(field.numbers) + 1, np.bool_)
            passes[[number for term in terms for number in field.having.get(term, ())]] = True
            passing.append((field.column.array, passes))
        return TermFilter(passing)


class TermFilter:
    """Which rows have at least one of some terms."""

    def __init__(self, passing: Sequence[tuple[NDArray[np.int32], NDArray[np.bool_]]]) -> None:
        self._passing = passing

    def mask(self, which: slice | Rows) -> NDArray[np.bool_]:
        """One boolean for each of these rows."""
        passes: NDArray[np.bool_] = np.logical_or.reduce([by[column[which]] for column, by in self._passing])
        return passes


class _Field:
    """A column, the number of each distinct set of terms (from 1), and the numbers of the sets that have a term."""

    def __init__(self, column: Column[np.int32]) -> None:
        self.column = column
        self.numbers: dict[tuple[str, ...], int] = {}
        self.having: dict[str, list[int]] = {}

    def number_of(self, terms: list[str]) -> int:
        if not terms:
            return 0
        key = tuple(sorted(set(terms)))
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.numbers) + 1
            for term in key:
                self.having.setdefault(term, []).append(number)
        return number


def _name_of(term: str) -> str:
    return term.partition("=")[0]

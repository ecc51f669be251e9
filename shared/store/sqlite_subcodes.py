"""The index of subcodes in the SQLite store: which documents have which of the keys of `shared.hash_code.subcode_keys`.

A code of 256 bits has sixteen entries, and subcodes come in no order: in one tree each entry would be written to a page
of its own, and a store of 100,000 images would write a tenth as many a second. Documents are numbered in the order of
writing, so the tree begins with the number's run: what is written now goes to the few pages of the newest run, and a
question looks into every run, which it can afford.
"""

import json
from collections.abc import Iterable, Sequence

from shared.hash_code import subcode_keys
from shared.store.sqlite import Connection

# Longer runs cost writers, shorter ones questions: each looks for each of its keys in each run.
_RUN_DOCUMENTS = 16_384
_SPAN = "SELECT (SELECT min(number) FROM documents), (SELECT max(number) FROM documents)"


def add_subcodes(connection: Connection, encoder: int, document: int, code: bytes) -> None:
    """Enter the document's code of this encoder."""
    connection.executemany("INSERT INTO subcodes VALUES (?, ?, ?, ?)", _entries(encoder, document, code))


def remove_subcodes(connection: Connection, encoder: int, document: int, code: bytes) -> None:
    """Remove what was entered of the document's code."""
    connection.executemany(
        "DELETE FROM subcodes WHERE encoder = ? AND run = ? AND key = ? AND document = ?",
        _entries(encoder, document, code),
    )


def having_subcodes(connection: Connection, encoder: int, keys: Sequence[int]) -> tuple[str, list[int | str]]:
    """A question for the documents that have one of `keys` by this encoder, and its values."""
    first, last = connection.execute(_SPAN).fetchone()
    runs = [] if first is None else list(range(first // _RUN_DOCUMENTS, last // _RUN_DOCUMENTS + 1))
    question = (
        "SELECT document FROM subcodes WHERE subcodes.encoder = ? AND run IN (SELECT value FROM json_each(?)) "
        "AND key IN (SELECT value FROM json_each(?))"
    )
    return question, [encoder, json.dumps(runs), json.dumps(list(keys))]


def _entries(encoder: int, document: int, code: bytes) -> Iterable[tuple[int, int, int, int]]:
    return ((encoder, document // _RUN_DOCUMENTS, key, document) for key in subcode_keys(code).tolist())

"""A document as rows of the SQLite tables, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.document import Document, Kind, attribute_terms, attribute_words
from shared.errors import ConfigurationError, RejectedError, RejectionReason
from shared.store import WriteOutcome
from shared.store.sqlite import Connection
from shared.store.sqlite_subcodes import add_subcodes, remove_subcodes

# Of the document's number, at the head of each entry of the table of codes.
NUMBER_BYTES = 8
COLUMNS = (
    "number, image_id, kind, version, version_explicit, event_time_ms, indexed_at_ms, item_id, image_url, attributes, "
    "content_sha256"
)
_INSERT = """
INSERT INTO documents (image_id, kind, version, version_explicit, event_time_ms, indexed_at_ms, item_id, image_url,
                       attributes, content_sha256, month)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING number
"""


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document as rows, made before the transaction begins."""

    row: tuple[Any, ...]
    event_time_ms: int
    codes: Mapping[str, bytes]
    terms: Sequence[str]
    words: Sequence[str]
    thumbnail: bytes | None


def prepare(document: Document, month: str) -> PreparedDocument | RejectedError:
    """The document's rows for `month`; RejectedError where it can't be written (no number, half a character)."""
    live = document if document.live else Document("", document.kind, 0, False, 0)
    try:
        terms, words = attribute_terms(live.attributes), attribute_words(live.attributes)
        attributes = json.dumps(dict(live.attributes), ensure_ascii=False, allow_nan=False)
        "".join([document.image_id, live.item_id, live.image_url or "", attributes]).encode()
    except ValueError as error:
        return RejectedError(RejectionReason.DOCUMENT_REFUSED, f"not writable as JSON: {error}")
    row = (
        document.image_id,
        document.kind.value,
        document.version,
        document.version_explicit,
        document.event_time_ms,
        live.indexed_at_ms,
        live.item_id,
        live.image_url,
        attributes,
        live.content_sha256,
        month,
    )
    return PreparedDocument(row, document.event_time_ms, live.codes, terms, words, live.thumbnail)


def write_rows(connection: Connection, prepared: PreparedDocument) -> WriteOutcome:
    """Write the document, under a new number, unless an equal or higher version is there.

    One that adds codes to an image of its version replaces it, in the month of that.
    """
    image_id, _, version, *_, month = prepared.row
    held = connection.execute(
        "SELECT number, version, kind, month FROM documents WHERE image_id = ?", (image_id,)
    ).fetchone()
    if held is not None:
        number, held_version, kind, held_month = held
        if held_version > version:
            return WriteOutcome.SUPERSEDED
        if held_version == version:
            # The rule of `Document.adds_codes_to`; a marker has no codes.
            if kind != Kind.IMAGE or not prepared.codes.keys() > codes_of(connection, number).keys():
                return WriteOutcome.REPEATED
            month = held_month
        remove_document(connection, number)
    number = connection.execute(_INSERT, (*prepared.row[:-1], month)).fetchone()[0]
    connection.executemany("INSERT INTO terms VALUES (?, ?)", ((term, number) for term in prepared.terms))
    connection.executemany("INSERT INTO words VALUES (?, ?)", ((word, number) for word in prepared.words))
    for encoder_id, code in prepared.codes.items():
        entry = number.to_bytes(NUMBER_BYTES, "big") + code
        encoder = _encoder_number(connection, encoder_id, len(code) * 8)
        connection.execute("INSERT INTO codes VALUES (?, ?, ?, ?)", (encoder, number, prepared.event_time_ms, entry))
        add_subcodes(connection, encoder, number, code)
    if prepared.thumbnail is not None:
        connection.execute("INSERT INTO thumbnails VALUES (?, ?)", (number, prepared.thumbnail))
    return WriteOutcome.WRITTEN


def remove_document(connection: Connection, number: int) -> None:
    """Remove a document with all that is kept beside it."""
    connection.execute("DELETE FROM documents WHERE number = ?", (number,))
    for table in ("terms", "words", "thumbnails"):
        connection.execute(f"DELETE FROM {table} WHERE document = ?", (number,))
    codes = connection.execute(
        "DELETE FROM codes WHERE encoder IN (SELECT number FROM encoders) AND document = ? RETURNING encoder, entry",
        (number,),
    ).fetchall()
    for encoder, entry in codes:
        remove_subcodes(connection, encoder, number, entry[NUMBER_BYTES:])


def _encoder_number(connection: Connection, encoder_id: str, bits: int) -> int:
    connection.execute("INSERT OR IGNORE INTO encoders (encoder_id, bits) VALUES (?, ?)", (encoder_id, bits))
    number, known_bits = connection.execute(
        "SELECT number, bits FROM encoders WHERE encoder_id = ?", (encoder_id,)
    ).fetchone()
    if known_bits != bits:
        raise ConfigurationError(f"codes of {encoder_id} have {known_bits} bits in this store, not {bits}")
    return int(number)


def codes_of(connection: Connection, number: int) -> dict[str, bytes]:
    """The document's codes by encoder id."""
    # The order of a CROSS JOIN is kept: few encoders first, then one look into the codes for each.
    rows = connection.execute(
        "SELECT encoder_id, entry FROM encoders CROSS JOIN codes ON encoder = encoders.number AND document = ?",
        (number,),
    )
    return {encoder_id: entry[NUMBER_BYTES:] for encoder_id, entry in rows}


def document_of(row: Sequence[Any], codes: Mapping[str, bytes]) -> Document:
    """The document of a row of COLUMNS."""
    _, image_id, kind, version, explicit, event_time_ms, indexed_at_ms, item_id, image_url, attributes, sha256 = row
    return Document(
        image_id=image_id,
        kind=Kind(kind),
        version=version,
        version_explicit=bool(explicit),
        event_time_ms=event_time_ms,
        indexed_at_ms=indexed_at_ms,
        item_id=item_id,
        image_url=image_url,
        attributes=json.loads(attributes),
        content_sha256=sha256,
        codes=codes,
    )

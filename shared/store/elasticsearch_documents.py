"""How an image's document lies in Elasticsearch: names of indices, mapping, and source to document and back."""

import base64
import hashlib
import json
import struct
from binascii import a2b_base64
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from shared.document import Document, Kind, attribute_terms, attribute_words, pack_shown
from shared.hash_code import subcode_keys
from shared.rolling_window import INDEX_PREFIX, is_month
from shared.store import Change

ALIAS = "catalogue"
ENCODERS_INDEX = "catalogue-encoders"
WATCHES_INDEX = "catalogue-watches"
INDEX_PATTERN = "catalogue-*"
# Raised when the mapping changes so that older programs can't read or write it.
SCHEMA = 3
# Made for searches and followers alone: no document is read from these.
DERIVED_FIELDS = ("terms", "words", "subcodes", "graph", "change")
# What a hit needs not: the thumbnail is most of a document's bytes.
HEAVY_FIELDS = ("thumbnail", "codes", *DERIVED_FIELDS)
# More links make a better graph and a slower one to write; these are Lucene's defaults, named so that they stay.
_GRAPH = {"type": "hnsw", "m": 16, "ef_construction": 100}
# At the head of what a follower reads: whether it is a MOVED marker, version, event time in ms, bytes of the id, codes.
_HEAD = struct.Struct(">?qqHB")
# Before each code: whose it is, and its bytes.
_CODE_HEAD = struct.Struct(">8sH")


def index_of(month: str) -> str:
    """The index of a month."""
    return INDEX_PREFIX + month


def month_of_index(index: str) -> str | None:
    """The month of an index, None where the name is not a monthly index's."""
    month = index.removeprefix(INDEX_PREFIX)
    return month if month != index and is_month(month) else None


def code_name(encoder_id: str) -> str:
    """The encoder's id as the name of one field; a dot would make it a path."""
    return encoder_id.replace("%", "%25").replace(".", "%2E")


def code_field(encoder_id: str) -> str:
    """The field that holds the codes of this encoder as vectors, compared one by one."""
    return f"codes.{code_name(encoder_id)}"


def graph_field(encoder_id: str) -> str:
    """The field that holds them as vectors in a graph, where the month keeps one."""
    return f"graph.{code_name(encoder_id)}"


def subcodes_field(encoder_id: str) -> str:
    """The field that holds their subcode keys, as `subcode_term` writes them."""
    return f"subcodes.{code_name(encoder_id)}"


def subcode_term(key: int) -> str:
    """A subcode key as a term."""
    return f"{key:x}"


def month_index(codes: Mapping[str, int], replicas: str, *, hnsw: bool = False) -> dict[str, Any]:
    """The body that makes a monthly index; `codes` maps encoder ids to bits."""
    return {
        # Codes stay in the source as they came, so that a look-up by id reads them with the rest.
        "settings": {"mapping.exclude_source_vectors": False} | _settings(replicas),
        "mappings": _mappings(
            {
                "image_id": {"type": "keyword"},
                "kind": {"type": "keyword"},
                "version": {"type": "long", "index": False},
                "version_explicit": {"type": "boolean", "index": False, "doc_values": False},
                "event_time": {"type": "date", "format": "epoch_millis"},
                "indexed_at": {"type": "date", "format": "epoch_millis"},
                "item_id": {"type": "keyword"},
                "image_url": {"type": "keyword", "index": False, "doc_values": False},
                "content_sha256": {"type": "keyword", "index": False, "doc_values": False},
                "attributes": {"type": "object", "enabled": False},
                "terms": {"type": "keyword"},
                "words": {"type": "keyword", "doc_values": False},
                "thumbnail": {"type": "binary"},
                "change": {"type": "binary", "doc_values": True},
            }
            | codes_properties(codes, hnsw=hnsw)
        ),
    }


def codes_properties(codes: Mapping[str, int], *, hnsw: bool) -> dict[str, Any]:
    """The fields of each encoder's codes: to compare all, for subcodes, and with `hnsw` the graph."""
    kinds: dict[str, Callable[[int], dict[str, Any]]] = {
        "codes": lambda bits: _vector(bits, {"type": "flat"}),
        "subcodes": lambda bits: {"type": "keyword", "doc_values": False},
        "graph": lambda bits: _vector(bits, _GRAPH),
    }
    if not hnsw:
        del kinds["graph"]
    return {
        kind: {"type": "object", "properties": {code_name(name): field(bits) for name, bits in codes.items()}}
        for kind, field in kinds.items()
    }


def _vector(bits: int, index_options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "dense_vector",
        "element_type": "bit",
        "dims": bits,
        "similarity": "l2_norm",
        "index_options": index_options,
    }


def encoders_index(replicas: str) -> dict[str, Any]:
    """The body that makes the index of encoders."""
    return {
        "settings": _settings(replicas),
        "mappings": _mappings(
            {
                "encoder_id": {"type": "keyword"},
                "bits": {"type": "integer"},
                "parts": {"type": "integer"},
                "blob": {"type": "binary"},
            }
        ),
    }


def watches_index(replicas: str) -> dict[str, Any]:
    """The body that makes the index of the published watches: one document, whose version is the list's revision."""
    return {"settings": _settings(replicas), "mappings": _mappings({"list": {"type": "binary"}})}


def _settings(replicas: str) -> dict[str, Any]:
    spread = {"auto_expand_replicas": replicas} if "-" in replicas else {"number_of_replicas": int(replicas)}
    # A worker that is busy writes once a second, so it has no more refreshes for this than with Elasticsearch's second.
    return {"number_of_shards": 1, "refresh_interval": "500ms"} | spread


def _mappings(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"dynamic": "strict", "_meta": {"schema": SCHEMA}, "properties": properties}


def to_source(document: Document, graphs: Collection[str]) -> bytes:
    """The document as JSON; ValueError where it can't be written as such (no number, half a character).

    `graphs` are the field names of the encoders that the month keeps a graph of.
    """
    source: dict[str, Any] = {
        "image_id": document.image_id,
        "kind": document.kind.value,
        "version": document.version,
        "version_explicit": document.version_explicit,
        "event_time": document.event_time_ms,
        "change": base64.b64encode(_change(document)).decode(),
    }
    if document.live:
        codes = {code_name(name): base64.b64encode(code).decode() for name, code in document.codes.items()}
        source |= {
            "indexed_at": document.indexed_at_ms,
            "item_id": document.item_id,
            "image_url": document.image_url,
            "content_sha256": document.content_sha256,
            "attributes": dict(document.attributes),
            "terms": attribute_terms(document.attributes),
            "words": attribute_words(document.attributes),
            "codes": codes,
            "subcodes": {
                code_name(name): [subcode_term(key) for key in subcode_keys(code).tolist()]
                for name, code in document.codes.items()
            },
        }
        if graph := {name: code for name, code in codes.items() if name in graphs}:
            source["graph"] = graph
        if document.thumbnail is not None:
            source["thumbnail"] = base64.b64encode(document.thumbnail).decode()
    return json.dumps(source, ensure_ascii=False, allow_nan=False).encode()


def _change(document: Document) -> bytes:
    """All that a follower needs of a document in one value: each more would take as long again to read."""
    image_id, moved = document.image_id.encode(), document.kind is Kind.MOVED
    head = _HEAD.pack(moved, document.version, document.event_time_ms, len(image_id), len(document.codes))
    codes = [_CODE_HEAD.pack(code_key(name), len(code)) + code for name, code in document.codes.items()]
    return b"".join([head, image_id, *codes, pack_shown(document) if document.live else b""])


def code_key(encoder_id: str) -> bytes:
    """What stands for an encoder before its codes in the field `change`."""
    return hashlib.blake2b(encoder_id.encode(), digest_size=8).digest()


def read_change(encoded: str, key: bytes, terms: Sequence[str], *, shown: bool) -> Change | None:
    """The text of the field `change` as a change with the code of `key` and these terms; None of a MOVED marker."""
    raw = a2b_base64(encoded)
    moved, version, event_time_ms, id_bytes, codes = _HEAD.unpack_from(raw)
    if moved:
        return None
    at, code = _HEAD.size + id_bytes, None
    image_id = raw[_HEAD.size : at].decode()
    for _ in range(codes):
        whose, code_bytes = _CODE_HEAD.unpack_from(raw, at)
        at += _CODE_HEAD.size + code_bytes
        if whose == key:
            code = raw[at - code_bytes : at]
    return Change(image_id, version, event_time_ms, code, terms, raw[at:] if shown and code is not None else None)


def from_source(source: Mapping[str, Any]) -> Document:
    """The document of a source, with whatever codes the source was given with, without thumbnail."""
    codes: Mapping[str, str] = source.get("codes", {})
    return Document(
        image_id=source["image_id"],
        kind=Kind(source["kind"]),
        version=source["version"],
        version_explicit=source["version_explicit"],
        event_time_ms=source["event_time"],
        indexed_at_ms=source.get("indexed_at", 0),
        item_id=source.get("item_id", ""),
        image_url=source.get("image_url"),
        attributes=source.get("attributes", {}),
        content_sha256=source.get("content_sha256", ""),
        codes={name.replace("%2E", ".").replace("%25", "%"): base64.b64decode(code) for name, code in codes.items()},
    )

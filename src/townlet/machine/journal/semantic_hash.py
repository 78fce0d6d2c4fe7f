"""The semantic hash: what two equal runs agree on, chained over the records of a journal.

s₀ = 0…0,  sₙ = SHA-256(canonical JSON of [sₙ₋₁, kind, body]) for each record of a semantic kind; `body` holds its
semantic fields under the names of version 1. Times, paths and process ids are left out, and so is a field that was
added later and holds its default: runs of two versions that did the same have the same hash.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from townlet.canonical import digest_of
from townlet.dto.codec import Record, unstructure
from townlet.dto.evolution import disk_name, earlier_name, is_unused_addition
from townlet.dto.fields import is_semantic
from townlet.dto.journal import SEMANTIC_KINDS, JournalRecord, VisitFinished
from townlet.machine.catalogue import StrategyCatalogue

__all__ = ["next_semantic_hash", "semantic_form", "semantic_part"]


def next_semantic_hash(previous: str, record: JournalRecord, catalogue: StrategyCatalogue) -> str:
    """Return the semantic hash after one more record; `previous` where its kind is not semantic."""
    if record.kind not in SEMANTIC_KINDS:
        return previous
    body = semantic_form(record)
    if isinstance(record, VisitFinished):
        body["result"] = semantic_part(record.result, catalogue.entry(record.strategy).result)
    return digest_of([previous, record.kind, body])


def semantic_part(plain: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """Return the semantic fields of a stored record of `cls`, under the names of version 1."""
    part: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        name = next((n for n in (disk_name(attribute), earlier_name(attribute)) if n in plain), None)
        if name is not None and is_semantic(attribute) and not is_unused_addition(attribute, plain[name]):
            part[earlier_name(attribute)] = plain[name]
    return part


def semantic_form(value: Any) -> Any:
    """Return plain data of a record and of the records within it: semantic fields, without unused additions."""
    if isinstance(value, Record):
        cls: Any = type(value)
        attributes = [(a, getattr(value, a.name)) for a in attrs.fields(cls) if is_semantic(a)]
        return {earlier_name(a): semantic_form(item) for a, item in attributes if not is_unused_addition(a, item)}
    if isinstance(value, tuple):
        return [semantic_form(item) for item in value]
    return unstructure(value)

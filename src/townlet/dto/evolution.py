"""How a stored record changes between versions: declared beside the field, and nowhere else.

The codec reads a field under its earlier name, the journal takes the version of a kind from its fields, and the
semantic hash covers the earliest name and no addition at its default, so that equal runs of two versions hash alike.
"""

from typing import Any, get_args

import attrs

from townlet.dto.fields import SEMANTIC, SINCE, WAS

__all__ = ["disk_name", "earlier_name", "evolved", "is_unused_addition", "schema_version", "stored_as"]

_ON_DISK = "on_disk"


def evolved(*, since: int, was: str = "", default: Any = attrs.NOTHING, semantic: bool = True) -> Any:
    """Return a field that version `since` of its record renamed from `was`, or added with `default`.

    Versions count from 1. TypeError where neither is stated: files of earlier versions could not be read.
    """
    if not was and default is attrs.NOTHING:
        raise TypeError("expected `was` or `default`: files of earlier versions hold neither this name nor a value")
    return attrs.field(default=default, metadata={SINCE: since, WAS: was, SEMANTIC: semantic})


def stored_as(name: str) -> Any:
    """Return a field that every version stores under `name`, because a file's other readers know that word."""
    return attrs.field(metadata={_ON_DISK: name})


def disk_name(attribute: "attrs.Attribute[Any]") -> str:
    """Return the key a field is written under: its name, or that of `stored_as`, without a trailing underscore."""
    return str(attribute.metadata.get(_ON_DISK, attribute.name.rstrip("_")))


def earlier_name(attribute: "attrs.Attribute[Any]") -> str:
    """Return the key that version 1 wrote a field under; of a field that was never renamed its present one."""
    return attribute.metadata.get(WAS) or disk_name(attribute)


def is_unused_addition(attribute: "attrs.Attribute[Any]", value: Any) -> bool:
    """Tell whether a field was added after version 1 and holds its default, as if it did not exist.

    In plain data an empty tuple is an empty list.
    """
    metadata = attribute.metadata
    item = tuple(value) if isinstance(value, list) else value
    return metadata.get(SINCE, 1) > 1 and not metadata[WAS] and bool(item == attribute.default)


def schema_version(cls: type) -> int:
    """Return the version of a record: the latest at which it, or a record within it, gained or renamed a field."""
    versions = [1]
    for attribute in attrs.fields(cls):
        versions.append(attribute.metadata.get(SINCE, 1))
        versions += [schema_version(kind) for kind in _kinds(attribute.type) if attrs.has(kind)]
    return max(versions)


def _kinds(annotation: Any) -> list[type]:
    """Return the classes an annotation names, as ``tuple[GuardReport, ...]`` names GuardReport."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [kind for argument in get_args(annotation) for kind in _kinds(argument)]

"""Conditions of edges as records: guards by name, and all, any and not of such."""

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import frozen

from townlet.dto.codec import Record, converter

__all__ = ["AllOf", "AnyOf", "Condition", "NotOf", "When"]


@frozen(kw_only=True)
class AllOf(Record):
    """A condition that holds where all parts hold."""

    all: tuple["When", ...]
    """Parts."""


@frozen(kw_only=True)
class AnyOf(Record):
    """A condition that holds where at least one part holds."""

    any: tuple["When", ...]
    """Parts."""


@frozen(kw_only=True)
class NotOf(Record):
    """A condition that holds where its part does not."""

    not_: "When"
    """Part."""


Condition = AllOf | AnyOf | NotOf
When = str | AllOf | AnyOf | NotOf
attrs.resolve_types(AllOf)
attrs.resolve_types(AnyOf)
attrs.resolve_types(NotOf)


def _structure_when(value: Any, _: Any) -> When:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        kinds: dict[str, type[AllOf | AnyOf | NotOf]] = {"all": AllOf, "any": AnyOf, "not": NotOf}
        kind = kinds.get(next(iter(value)))
        if kind is not None:
            return converter.structure(value, kind)
    raise ValueError(f"expected a guard's name, {{all: […]}}, {{any: […]}} or {{not: x}}; found {value!r}")


converter.register_structure_hook_func(lambda kind: kind == When, _structure_when)
converter.register_unstructure_hook_func(
    lambda kind: kind == When, lambda value: value if isinstance(value, str) else converter.unstructure(value)
)

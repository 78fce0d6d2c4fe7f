"""JSON Schema of a schedule for editors, generated from the records that a schedule is read into."""

import json
from collections.abc import Mapping
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin

import attrs

from townlet.dto.codec import converter
from townlet.dto.fields import field_docs
from townlet.dto.guards import GUARD_KINDS, GuardSpec, When
from townlet.dto.quantities import Bytes, Duration, Percent
from townlet.dto.schedule import ScheduleSpec, StateSpec
from townlet.dto.strategies import StrategySpec

__all__ = ["schedule_schema", "schedule_schema_text"]

_SCALARS: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
    Any: {},
    Duration: {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|min|h|d)$"},
    Bytes: {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB)$"},
    Percent: {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*%$"},
}


def schedule_schema(strategies: Mapping[str, type[StrategySpec]]) -> dict[str, Any]:
    """Return the schema (draft 07) of a schedule whose states may run these strategies.

    It describes keys and types, with the docstring under each field; names and references are checked by the loader.
    """
    writer = _Writer()
    writer.define(ScheduleSpec)
    writer.add_options(strategies)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Townlet schedule",
        **writer.definitions.pop("ScheduleSpec"),
        "definitions": dict(sorted(writer.definitions.items())),
    }


def schedule_schema_text(strategies: Mapping[str, type[StrategySpec]]) -> str:
    """Return the schema as the file that is kept in ``docs/reference``."""
    return json.dumps(schedule_schema(strategies), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


class _Writer:
    """Collects one schema definition per record."""

    def __init__(self) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}

    def define(self, cls: type) -> dict[str, Any]:
        """Define a record once and return the reference to it."""
        if cls.__name__ not in self.definitions:
            self.definitions[cls.__name__] = {}  # an entry first: records may contain themselves
            docs, properties, required = field_docs(cls), {}, []
            for attribute in attrs.fields(cls):
                name = attribute.name.rstrip("_")
                properties[name] = {**self.field_schema(attribute), "description": docs[attribute.name]}
                if attribute.default is attrs.NOTHING:
                    required.append(name)
            self.definitions[cls.__name__] = {
                "description": (cls.__doc__ or "").strip().partition("\n")[0],
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
                **({"required": required} if required else {}),
            }
        return {"$ref": f"#/definitions/{cls.__name__}"}

    def field_schema(self, attribute: "attrs.Attribute[Any]") -> dict[str, Any]:
        schema = self.type_schema(attribute.type)
        if "$ref" in schema:  # draft 07 ignores what stands beside a reference
            schema = {"allOf": [schema]}
        default = attribute.default
        if default is attrs.NOTHING or default is None or isinstance(default, cast("type", attrs.Factory)):
            return schema
        return {**schema, "default": converter.unstructure(default, unstructure_as=attribute.type)}

    def type_schema(self, kind: Any) -> dict[str, Any]:
        """Return the schema of a field's type."""
        origin, arguments = get_origin(kind), get_args(kind)
        if kind in _SCALARS:
            return dict(_SCALARS[kind])
        if origin is None or kind == When:
            return {When: self.define_condition, GuardSpec: self.define_guard}.get(kind, partial(self.define, kind))()
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, UnionType):
            return {"anyOf": [self.type_schema(part) for part in arguments]}
        if origin is Mapping:
            return {"type": "object", "additionalProperties": self.type_schema(arguments[1])}
        fixed = arguments[-1] is not Ellipsis
        schema = {"type": "array", "items": self.type_schema(arguments[0])}
        return schema | ({"minItems": len(arguments), "maxItems": len(arguments)} if fixed else {})

    def define_guard(self) -> dict[str, Any]:
        """Define a guard as one of its kinds, each with exactly one of the keys that select it."""
        self.definitions[GuardSpec.__name__] = {
            "description": "A guard: a condition on a metric, or on the visits to a state.",
            "anyOf": [self.define(kind) for kind in GUARD_KINDS],
        }
        for kind in GUARD_KINDS:
            self.definitions[kind.__name__]["oneOf"] = [{"required": [str(tag)]} for tag in kind.TAGS]
        return {"$ref": f"#/definitions/{GuardSpec.__name__}"}

    def define_condition(self) -> dict[str, Any]:
        """Define the recursive condition by hand: its keys are not fields of one record."""
        reference = {"$ref": "#/definitions/When"}
        several = {"type": "array", "items": reference, "minItems": 1}
        self.definitions["When"] = {
            "description": "A guard's name, or all, any, not of such.",
            "anyOf": [
                {"type": "string"},
                *(
                    {"type": "object", "properties": {word: parts}, "required": [word], "additionalProperties": False}
                    for word, parts in (("all", several), ("any", several), ("not", reference))
                ),
            ],
        }
        return reference

    def add_options(self, strategies: Mapping[str, type[StrategySpec]]) -> None:
        """Add the options of each strategy to the states that run it."""
        state = self.definitions[StateSpec.__name__]
        state["properties"]["strategy"]["enum"] = list(strategies)
        state["allOf"] = [
            {
                "if": {"properties": {"strategy": {"const": name}}},
                "then": {"properties": {"with": self.define(spec)}},
            }
            for name, spec in strategies.items()
        ]

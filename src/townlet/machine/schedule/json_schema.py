"""JSON Schema of a schedule for editors, generated from the records that a schedule is read into."""

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin

import attrs

from townlet.dto.codec import converter
from townlet.dto.conditions import When
from townlet.dto.constraints import constraints_of, presence_schema
from townlet.dto.fields import field_docs
from townlet.dto.guards import GUARD_KINDS, GuardSpec
from townlet.dto.quantities import Bytes, Duration, Percent
from townlet.dto.schedule import BudgetSpec, EvidenceSpec, PolicySpec, ScheduleSpec, StateSpec
from townlet.dto.strategies import StrategySpec
from townlet.estimate import MIN_PAIRS
from townlet.machine.schedule.check_sections import NAME, RESERVED

__all__ = ["INEXPRESSIBLE", "schedule_schema", "schedule_schema_text"]

_NUMBER = r"[0-9]{1,15}(\.[0-9]{1,40})?"
_SCALARS: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": ["integer", "string"], "pattern": r"^[0-9]{1,3}(_[0-9]{3})+$"},  # 20_000_000
    float: {"type": "number"},
    NoneType: {"type": "null"},
    Any: {},
    Duration: {"type": "string", "pattern": rf"^{_NUMBER}\s*(ms|s|min|h|d)$"},
    Bytes: {"type": "string", "pattern": rf"^{_NUMBER}\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB)$"},
    Percent: {"type": "string", "pattern": rf"^{_NUMBER}\s*%$"},
}
INEXPRESSIBLE = (
    "a reference to a state, a guard, a baseline, evidence, weights, a metric, a teacher, a scenario or an environment "
    "that does not exist",
    "a whole number written with a decimal point, such as 48.0 (to JSON Schema it is whole)",
    "numbers in a list that do not grow, unless two are equal",
    "a guard that can never pass or never fail, an option without effect, a budget that does not last",
    "a state that cannot be reached, cannot be left or goes round for ever; an edge without `when` before the last",
    "a promotion without evidence",
    "a file that is missing or has another digest",
)
"""What `check` refuses and draft 07 cannot say."""


def schedule_schema(strategies: Mapping[str, type[StrategySpec]]) -> dict[str, Any]:
    """Return the schema (draft 07) of a schedule whose states may run these strategies.

    It describes keys, types and bounds, from the same declarations that the loader checks by, with the docstring under
    each field. `INEXPRESSIBLE` lists what only the loader finds.
    """
    writer = _Writer()
    writer.define(ScheduleSpec)
    writer.add_options(strategies)
    writer.add_names()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Townlet schedule",
        **writer.definitions.pop("ScheduleSpec"),
        "definitions": dict(sorted(writer.definitions.items())),
    }


def schedule_schema_text(strategies: Mapping[str, type[StrategySpec]]) -> str:
    """Return the schema as the file that is kept in ``docs/reference``."""
    return json.dumps(schedule_schema(strategies), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _without_none(kind: Any) -> Any:
    """Return a field's type without None."""
    parts = [part for part in get_args(kind) if part is not NoneType]
    return parts[0] if get_origin(kind) in (Union, UnionType) and len(parts) == 1 else kind


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
                **presence_schema(cls),
            }
        return {"$ref": f"#/definitions/{cls.__name__}"}

    def field_schema(self, attribute: "attrs.Attribute[Any]") -> dict[str, Any]:
        schema = self.type_schema(attribute.type)
        parts = [dict(each.schema(_without_none(attribute.type))) for each in constraints_of(attribute.validator)]
        if "$ref" in schema or parts:  # draft 07 ignores what stands beside a reference
            schema = {"allOf": [schema, *parts]}
        default = attribute.default
        if default is attrs.NOTHING or default is None or isinstance(default, cast("type", attrs.Factory)):
            return schema
        return {**schema, "default": converter.unstructure(default, unstructure_as=attribute.type)}

    def type_schema(self, kind: Any) -> dict[str, Any]:
        """Return the schema of a field's type."""
        origin, arguments = get_origin(kind), get_args(kind)
        is_enum = isinstance(kind, type) and issubclass(kind, StrEnum)
        if kind in _SCALARS:
            return dict(_SCALARS[kind])
        if is_enum or origin is Literal:
            return {"enum": [member.value for member in kind] if is_enum else list(arguments)}
        if origin is None or kind == When:
            return {When: self.define_condition, GuardSpec: self.define_guard}.get(kind, partial(self.define, kind))()
        if origin in (Union, UnionType):
            return {"anyOf": [self.type_schema(part) for part in arguments]}
        if origin is Mapping:
            return {"type": "object", "additionalProperties": self.type_schema(arguments[1])}
        fixed = arguments[-1] is not Ellipsis
        schema = {"type": "array", "items": self.type_schema(arguments[0])}
        return schema | ({"minItems": len(arguments), "maxItems": len(arguments)} if fixed else {})

    def add_names(self) -> None:
        """Add what the names of sections may be, and that amounts of a budget and first looks are large enough."""
        properties = self.definitions[ScheduleSpec.__name__]["properties"]
        for section in ("states", "guards", "evidence", "baselines", "policies"):
            names: dict[str, Any] = {"pattern": f"^{NAME}$"}
            reserved = sorted(RESERVED.get(section, ()))
            properties[section]["propertyNames"] = names | ({"not": {"enum": reserved}} if reserved else {})
        budget = self.definitions[BudgetSpec.__name__]["properties"]
        for amount in ("wall_clock", "disk"):
            budget[amount]["pattern"] = "^[^A-Za-z]*[1-9]"
        episodes = self.definitions[EvidenceSpec.__name__]["properties"]["episodes"]
        episodes["allOf"].append({"items": {"minimum": MIN_PAIRS}})
        self.definitions[PolicySpec.__name__]["properties"]["sha256"]["pattern"] = "^[0-9a-f]{64}$"

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

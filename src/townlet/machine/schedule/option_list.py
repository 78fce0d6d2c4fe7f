"""List the options of a strategy with type, default, bounds and meaning, from the schema that editors check with."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.strategies import StrategySpec
from townlet.machine.schedule.json_schema import schedule_schema

__all__ = ["StrategyOption", "record_options", "strategy_options"]

_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "none"}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_UNITS = {"%": "percentage", "d)": "duration", "GB)": "size"}


@frozen(kw_only=True)
class StrategyOption(Record):
    """One key of a `with:` block."""

    name: str
    """The key; `ramps[].actor` is the key `actor` of each item of `ramps`."""
    type: str
    """What its value is, in words."""
    default: str | None
    """Its value where it is left out, as a schedule writes it; none where it must be given."""
    bounds: str
    """Bounds of its value; empty where there are none."""
    meaning: str
    """What it does, and its unit."""


def strategy_options(spec: type[StrategySpec]) -> tuple[StrategyOption, ...]:
    """Return the options that a `with:` block of this class takes, those of records within it as well."""
    definitions = schedule_schema({"strategy": spec})["definitions"]
    return tuple(_options(spec.__name__, "", definitions))


def record_options(record: str, definitions: Mapping[str, Any]) -> tuple[StrategyOption, ...]:
    """Return the keys of one record of the schedule's JSON Schema, without those of records within it."""
    required = definitions[record].get("required", ())
    return tuple(
        StrategyOption(
            name=name,
            type=_type(schema),
            default=None if name in required else _default(schema, _record_in(schema)),
            bounds=", ".join(_bounds(schema)),
            meaning=" ".join(schema["description"].split()),
        )
        for name, schema in definitions[record]["properties"].items()
    )


def _options(record: str, prefix: str, definitions: Mapping[str, Any]) -> Iterator[StrategyOption]:
    for option in record_options(record, definitions):
        yield attrs.evolve(option, name=f"{prefix}{option.name}")
        schema = definitions[record]["properties"][option.name]
        if inner := _record_in(schema):
            is_list = _unbounded(schema).get("type") == "array"
            yield from _options(inner, f"{prefix}{option.name}{'[]' if is_list else ''}.", definitions)


def _default(schema: Mapping[str, Any], inner: str) -> str:
    """Return a default as a schedule writes it; that of a record is the defaults of its own options."""
    default = schema.get("default")
    if default is None:
        return "none"
    return "as below" if inner else json.dumps(default, ensure_ascii=False).strip('"')


def _record_in(schema: Mapping[str, Any]) -> str:
    """Return the record that a value is, or that its items are; empty where it is none."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    parts = [*schema.get("allOf", ()), *schema.get("anyOf", ())]
    parts += [schema["items"]] if isinstance(schema.get("items"), Mapping) else []
    return next((name for part in parts if (name := _record_in(part))), "")


def _unbounded(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a schema that names the type; bounds stand in further parts of `allOf`."""
    parts = schema.get("allOf", ())
    return _unbounded(parts[0]) if parts else schema


def _type(schema: Mapping[str, Any]) -> str:
    """Return a schema's type in words."""
    schema = _unbounded(schema)
    kind = schema.get("type", "any value")
    kind = kind[0] if isinstance(kind, list) else kind  # a whole number may be written as a text, 20_000_000
    if "enum" in schema:
        words = " or ".join(str(word) for word in schema["enum"])
    elif "$ref" in schema:
        words = "block"
    elif "anyOf" in schema:
        words = " or ".join(dict.fromkeys(_type(part) for part in schema["anyOf"]))
    elif kind == "array":
        words = f"list of {'blocks' if _record_in(schema['items']) else _plural(_type(schema['items']))}"
    elif kind == "object":
        inner = _type(schema.get("additionalProperties", {}))
        words = f"mapping from name to {f'({inner})' if ' to ' in inner or ' or ' in inner else inner}"
    elif "pattern" in schema and kind == "string":
        pattern = schema["pattern"].rstrip("$")
        words = next((word for end, word in _UNITS.items() if pattern.endswith(end)), "text")
    else:
        words = _TYPES.get(kind, str(kind))
    return words


def _plural(words: str) -> str:
    return words if words.startswith("list") or words.endswith("s") or " or " in words else f"{words}s"


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the bounds of a value, or of the items of a list."""
    yield from (f"{sign} {schema[word]:g}" for word, sign in _BOUNDS.items() if word in schema)
    for part in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from _bounds(part)
    if "minItems" in schema and schema["minItems"] != schema.get("maxItems"):
        yield f"at least {schema['minItems']} items"
    if isinstance(schema.get("items"), Mapping):
        yield from (f"each {bound}" for bound in _bounds(schema["items"]))

"""The JSON Schema for editors; run this file to write it anew."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from catalogue import catalogue
from ruamel.yaml import YAML

from townlet.machine.schedule.json_schema import schedule_schema, schedule_schema_text

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs" / "reference" / "schedule.schema.json"
SPECS = {name: entry.spec for name, entry in catalogue().entries.items()}
SCHEDULES = sorted((ROOT / "schedules").glob("*.yaml"))
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "") -> list[str]:
    """Return where a value breaks a schema, for the words of draft 07 that ours uses."""
    if "$ref" in schema:
        return problems(value, root["definitions"][schema["$ref"].removeprefix("#/definitions/")], root, where)
    if "type" in schema:
        kind = TYPES[schema["type"]]
        if not isinstance(value, kind) or (isinstance(value, bool) and schema["type"] != "boolean"):
            return [f"{where}: no {schema['type']}"]
    found = [f"{where}: {value} not allowed"] * ("enum" in schema and value not in schema["enum"])
    found += [f"{where}: not {value}"] * ("const" in schema and value != schema["const"])
    found += [f"{where}: {value} does not match"] * ("pattern" in schema and not re.search(schema["pattern"], value))
    if "anyOf" in schema and all(problems(value, part, root, where) for part in schema["anyOf"]):
        found.append(f"{where}: none of anyOf")
    if "oneOf" in schema and 1 != sum(not problems(value, part, root, where) for part in schema["oneOf"]):
        found.append(f"{where}: not exactly one of oneOf")
    for part in schema.get("allOf", ()):
        if not problems(value, part.get("if", {}), root, where):
            found += problems(value, part.get("then", part), root, where)
    return found + inner_problems(value, schema, root, where)


def inner_problems(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str) -> list[str]:
    """Return where the entries of a mapping or a list break its schema."""
    found: list[str] = []
    if isinstance(value, dict):
        found += [f"{where}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            path = f"{where}.{name}"
            found += [f"{path}: unknown"] if known is False else problems(inner, known, root, path)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{where}: {len(value)} items")
        for index, inner in enumerate(value):
            found += problems(inner, schema.get("items", {}), root, f"{where}[{index}]")
    return found


def plain(path: Path) -> Any:
    """Return a schedule's plain data."""
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


def test_the_schema_that_is_kept_is_the_one_the_records_give() -> None:
    """docs/reference/schedule.schema.json is generated; where this fails, run this file."""
    assert KEPT.read_text("utf-8") == schedule_schema_text(SPECS)


@pytest.mark.parametrize("path", [Path(__file__).parent / "data" / "small_town.yaml", *SCHEDULES], ids=lambda p: p.name)
def test_sound_schedules_fit_the_schema(path: Path) -> None:
    """Editors find nothing wrong with what the loader accepts."""
    schema = schedule_schema(SPECS)
    assert [] == problems(plain(path), schema, schema)


def test_the_schema_finds_what_an_editor_should_underline() -> None:
    """Unknown keys, wrong types, amounts without units and options of another strategy do not fit."""
    data = plain(Path(__file__).parent / "data" / "small_town.yaml")
    data["sead"] = 7
    data["budget"]["wall_clock"] = 7200
    data["states"]["capture"]["with"]["agent_steps"] = 5
    data["states"]["ppo"]["strategy"] = "pppo"
    data["guards"]["finite"]["at_most"] = "none"
    schema = schedule_schema(SPECS)
    assert 5 == len(problems(data, schema, schema))


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        ({"metric": "ppo.value_loss", "between": [0.1, 0.5]}, True),
        ({"metric": "ppo.value_loss", "between": [0.1]}, False),
        ({"metric": "ppo.value_loss", "at_least": 0.1, "at_most": 0.5}, False),
        ({"metric": "ppo.value_loss"}, False),
        ({"visits_to": "ppo", "below": 3}, True),
        ({"visits_to": "ppo", "below": 3, "metric": "ppo.value_loss"}, False),
    ],
)
def test_a_guard_is_of_exactly_one_kind(guard: dict[str, Any], expected: bool) -> None:
    """Each kind has its own keys; an editor underlines a guard that fits none."""
    data = plain(Path(__file__).parent / "data" / "small_town.yaml")
    data["guards"]["finite"] = guard
    schema = schedule_schema(SPECS)
    assert expected is not bool(problems(data, schema, schema))


def test_every_field_is_described() -> None:
    """The sentence under each field stands in the schema too."""
    schema = schedule_schema(SPECS)
    records = [schema, *(d for d in schema["definitions"].values() if "properties" in d)]
    assert all(field["description"] for record in records for field in record["properties"].values())


def test_the_schema_is_plain_json() -> None:
    """The text is the schema, read back."""
    assert schedule_schema(SPECS) == json.loads(schedule_schema_text(SPECS))


if __name__ == "__main__":
    KEPT.write_text(schedule_schema_text(SPECS), "utf-8")

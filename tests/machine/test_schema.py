"""The JSON Schema for editors; run this file to write it anew."""

import json
from pathlib import Path
from typing import Any

import pytest
from catalogue import catalogue
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from townlet.machine.schedule.json_schema import schedule_schema, schedule_schema_text

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs" / "reference" / "schedule.schema.json"
SPECS = {name: entry.spec for name, entry in catalogue().entries.items()}
SCHEDULES = sorted((ROOT / "schedules").glob("*.yaml"))
SCHEMA = Draft7Validator(schedule_schema(SPECS))


def plain(path: Path) -> Any:
    """Return a schedule's plain data."""
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


def test_the_schema_that_is_kept_is_the_one_the_records_give() -> None:
    """docs/reference/schedule.schema.json is generated; where this fails, run this file."""
    assert KEPT.read_text("utf-8") == schedule_schema_text(SPECS)


@pytest.mark.parametrize("path", [Path(__file__).parent / "data" / "small_town.yaml", *SCHEDULES], ids=lambda p: p.name)
def test_sound_schedules_fit_the_schema(path: Path) -> None:
    """Editors find nothing wrong with what the loader accepts."""
    assert [] == [error.message for error in SCHEMA.iter_errors(plain(path))]


def test_the_schema_finds_what_an_editor_should_underline() -> None:
    """Unknown keys, wrong types, amounts without units and options of another strategy do not fit."""
    data = plain(Path(__file__).parent / "data" / "small_town.yaml")
    data["sead"] = 7
    data["budget"]["wall_clock"] = 7200
    data["states"]["capture"]["with"]["agent_steps"] = 5
    data["states"]["ppo"]["strategy"] = "pppo"
    data["guards"]["finite"]["at_most"] = "none"
    assert 5 == len(list(SCHEMA.iter_errors(data)))


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
    assert expected is SCHEMA.is_valid(data)


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

"""Pieces of schedules on the pages have keys and values that a schedule may have."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pages import PAGES, blocks
from places import ROOT
from ruamel.yaml import YAML

from townlet.machine.schedule.json_schema import schedule_schema
from townlet.policy.training.strategies.base import catalogue

PIECES = [
    pytest.param(page, text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"), 1)
]


def schema() -> dict[str, Any]:
    """Return the schema of a schedule that may leave out any section."""
    whole = schedule_schema({name: entry.spec for name, entry in catalogue().entries.items()})
    return {key: value for key, value in whole.items() if key != "required"}


@pytest.mark.parametrize(("page", "text"), PIECES)
def test_a_piece_of_a_schedule_fits_the_schema(page: Path, text: str) -> None:
    """Each section that a page shows is one that the reader of schedules takes; it may be less than a schedule."""
    piece = YAML(typ="safe", pure=True).load(re.sub(r"[0-9a-f]+…", "a" * 64, text))  # a digest cut short
    jsonschema.Draft7Validator(schema()).validate(piece)
    assert piece, f"{page} shows an empty piece"


def test_a_key_that_no_schedule_has_is_noticed() -> None:
    """The test above can fail."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"guards": {"x": {"metric": "ppo.entropy", "at_lest": 3}}}, schema())

"""The machine drawn as a Mermaid diagram."""

from pathlib import Path

import attrs
import pytest
from catalogue import catalogue, describe

from townlet.dto.codec import structure
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.schedule.diagram import mermaid
from townlet.machine.schedule.loader import load

DATA = Path(__file__).parent / "data"


def test_the_reference_schedule_is_drawn_as_it_was() -> None:
    """Every edge is one arrow with its order, its guards and its reason."""
    plan = load(DATA / "small_town.yaml", catalogue(), describe)
    assert (DATA / "small_town.mmd").read_text("utf-8") == mermaid(plan.schedule)


def test_names_and_reasons_cannot_break_the_diagram() -> None:
    """Names that Mermaid does not take get another identifier, and its punctuation is escaped in labels."""
    schedule = structure(
        {
            "schedule": "townlet/v1",
            "name": "odd",
            "seed": 1,
            "environment": {"id": "town", "scenario": "small_town"},
            "teacher": "scripted",
            "registry": {"name": "odd"},
            "initial": "a-b",
            "states": {
                "a-b": {
                    "strategy": "capture",
                    "next": [
                        {"to": "end", "when": ["x", {"any": ["y", {"not": {"all": ["z", "w"]}}]}], "why": "1: 2; 3\n4"},
                        {"to": "done"},
                    ],
                },
                "end": {"strategy": "capture", "next": [{"to": "done"}]},
            },
        },
        ScheduleSpec,
    )
    assert (
        "stateDiagram-v2\n"
        '    state "a-b" as state_a_hb\n'
        '    state "end" as state_end\n'
        "    [*] --> state_a_hb\n"
        "    state_a_hb --> state_end: 1. x and (y or not (z and w)) — 1#58; 2#59; 3 4\n"
        "    state_a_hb --> done: 2. otherwise\n"
        "    state_end --> done\n"
        "    done --> [*]\n"
    ) == mermaid(schedule)


@pytest.mark.parametrize(
    "name", ["click", "href", "scale", "root", "Click_through", "default", "direction", "constructor", "note_it", "as"]
)
def test_a_word_of_mermaid_is_no_identifier(name: str) -> None:
    """States may be called anything; in the diagram such a one has an identifier of its own and its name as label."""
    plan = load(DATA / "small_town.yaml", catalogue(), describe)
    schedule = attrs.evolve(
        plan.schedule,
        initial=name,
        states={name: attrs.evolve(plan.schedule.states["capture"], next=plan.schedule.states["promote"].next)},
    )
    drawn = mermaid(schedule)
    assert f'    state "{name}" as state_' in drawn
    assert f" {name}\n" not in drawn
    assert f"    {name} -->" not in drawn

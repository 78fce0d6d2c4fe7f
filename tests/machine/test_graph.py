"""The machine drawn as a Mermaid diagram, and as a picture."""

import re
from pathlib import Path
from xml.etree import ElementTree

import attrs
import pytest
from catalogue import catalogue, describe

from townlet.cli import run_command
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


def test_the_picture_says_what_the_diagram_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Every state is a box, every edge an arrow and a line of text; the file needs nothing else to be drawn."""
    pytest.importorskip("markupsafe")
    assert 0 == run_command(["graph", str(DATA / "small_town.yaml"), "--format", "svg"])
    text = capsys.readouterr().out
    schedule = load(DATA / "small_town.yaml", catalogue(), describe).schedule
    lines = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    arrows = {(name, edge.to) for name, state in schedule.states.items() for edge in state.next}

    assert "svg" == ElementTree.fromstring(text).tag.rpartition("}")[2]
    assert set(schedule.states) | {"done", "hold"} <= set(lines)
    assert len(arrows) == text.count('class="edge open"')
    assert sum(len(state.next) for state in schedule.states.values()) == sum(" to " in f" {x[:6]}" for x in lines)
    assert "1. to bc if enough_data and varied_actions" in lines
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")

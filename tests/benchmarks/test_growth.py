"""The points of `growth.py` can be measured, and its tables say what they cost."""

from pathlib import Path

import pytest
from growth import AXES, SCHEDULE, Axis, costs, page

from townlet.imports import Imports
from townlet.machine.schedule.overrides import parse_overrides
from townlet.policy.training.bench_host import bench_host
from townlet.policy.training.bench_ppo import ppo_options, ppo_shapes
from townlet.policy.training.launch import ScheduleSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

HOST = bench_host()


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_each_axis_changes_one_size(axis: Axis, tmp_path: Path) -> None:
    """Schedule and override are sound, and the shapes follow; workers change none."""
    path, shapes = tmp_path / "growth.yaml", []
    path.write_text(SCHEDULE % (axis.environment, axis.teacher), encoding="utf-8")
    for value in axis.values[:2]:
        source = ScheduleSource.overriding(path, parse_overrides((axis.override.format(value),)))
        orchestrator = PolicyTrainingOrchestrator(source, imports=Imports((axis.allowed,) if axis.allowed else ()))
        plan = orchestrator.plan()
        place = plan.schedule.environment
        description = orchestrator.source.describe(place)
        shapes.append(ppo_shapes(place, description, ppo_options(plan)).model_dump())

    changed = [name for name in shapes[0] if shapes[0][name] != shapes[1][name]]
    names = {"minibatch": "minibatch_size", "width": "hidden_sizes"}
    assert ([] if axis.name == "workers" else [names.get(axis.name, axis.name)]) == changed


def test_a_table_gives_nanoseconds_and_what_the_cheapest_point_costs() -> None:
    """Parts are shares of a sample's time."""
    speed = {"samples": 1e6, "environment": 0.5, "acting": 0.25, "update": 0.25, "products": 0.5}
    slow = speed | {"samples": 5e5}
    rows = [
        {"key": {"axis": "width", "value": value}, "host": HOST.model_dump(), "peak_memory": 2**21, "processor": each}
        for value, each in ((64, slow), (16, speed))
    ]

    assert {"environment": 500.0, "acting": 250.0, "update": 250.0} == costs(rows[1], "processor")
    lines = page(rows).splitlines()
    assert str(HOST) == lines[0]
    assert "| 16 | 500 | 250 | 250 | 1,000 | 1.00 | 50% | 2 |" == lines[-2]
    assert "| 64 | 1,000 | 500 | 500 | 2,000 | 2.00 | 50% | 2 |" == lines[-1]

"""What differs between schedules is listed by its path, and nothing else."""

from copy import deepcopy
from typing import Any

from plans import SCHEDULE

from townlet.dto.codec import structure
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.replication.settings import Setting, differing_settings


def schedule(**changes: Any) -> ScheduleSpec:
    """Return the plan of the tests with other values at the top."""
    return structure(deepcopy(SCHEDULE) | changes, ScheduleSpec)


def test_only_what_differs_is_listed() -> None:
    """By its path, with the value of each schedule; names are no difference."""
    other = schedule(name="other", seed=8, environment=SCHEDULE["environment"] | {"worlds": 16}, registry={"name": "x"})

    assert (
        Setting(path="seed", values=("7", "8")),
        Setting(path="environment.worlds", values=("8", "16")),
    ) == differing_settings([schedule(), other])


def test_equal_schedules_differ_in_nothing() -> None:
    """Nor does a schedule under another name."""
    assert () == differing_settings([schedule(), schedule(name="other")])


def test_a_guard_that_only_one_has_is_listed() -> None:
    """Every one of its values is empty in the other."""
    more = schedule(guards=SCHEDULE["guards"] | {"extra": {"metric": "bc.heldout_accuracy", "at_least": 0.5}})
    rows = differing_settings([schedule(), more])

    assert {"guards.extra.metric", "guards.extra.at_least"} <= {row.path for row in rows}
    assert all(row.path.startswith("guards.extra.") and not row.values[0] for row in rows)

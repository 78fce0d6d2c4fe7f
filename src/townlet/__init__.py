"""Townlet takes a scripted policy to a learned one, safely."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from townlet.dto.policy import AnnealSummary
    from townlet.dto.schedule import ScheduleSpec
    from townlet.ports import EnvironmentProvider, Teacher

__all__ = ["__version__", "anneal"]

__version__ = "0.1.0"


def anneal(
    schedule: "ScheduleSpec | Path | str",
    *,
    environment: "EnvironmentProvider | None" = None,
    teacher: "Teacher | str | None" = None,
    home: "Path | str" = ".townlet",
    seed: int | None = None,
) -> "AnnealSummary":
    """Walk a schedule from Python, with an environment and a teacher of your own where you bring them.

    `teacher` is one of the environment's by name, or anything with `act`; it takes the place of the schedule's. Raises
    ScheduleError for a schedule with mistakes, TorchNotAvailableError where a state needs torch and there is none.
    """
    from townlet.policy.training.api import anneal as walk

    return walk(schedule, environment=environment, teacher=teacher, home=home, seed=seed)

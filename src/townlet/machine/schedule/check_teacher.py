"""Check the teacher of a schedule: the environment has it, and without one nothing asks for it."""

from collections.abc import Iterator

import attrs

from townlet.dto.codec import Problem
from townlet.dto.policy_ref import NO_TEACHER, is_reference
from townlet.dto.strategies import REFERENCE
from townlet.machine.schedule.partial import PartialSchedule, unknown_name

__all__ = ["check_teacher"]

_TEACHER = "teacher"
"""The word by which options and baselines mean the schedule's teacher."""


def check_teacher(partial: PartialSchedule) -> Iterator[Problem]:
    """Yield a teacher that the environment does not have; where the schedule has none, whatever asks for it."""
    teacher, environment = partial.teacher, partial.environment
    if teacher == NO_TEACHER:
        yield from _check_players(partial)
        yield from _check_baselines(partial)
    elif environment and teacher is not None and not is_reference(teacher) and teacher not in environment.teachers:
        yield unknown_name(_TEACHER, teacher, environment.teachers, (_TEACHER,))


def _check_players(partial: PartialSchedule) -> Iterator[Problem]:
    for name, state in partial.states.items():
        for field in attrs.fields(type(state.options)) if state.options else ():
            if REFERENCE in field.metadata and getattr(state.options, field.name) == _TEACHER:
                yield Problem(
                    ("states", name, "with", field.name),
                    f"{name!r} needs a teacher, and the schedule has none; name one (teacher: …), or clone recorded "
                    "data (strategy: bc, with: {data: …})",
                )


def _check_baselines(partial: PartialSchedule) -> Iterator[Problem]:
    for name, baseline in partial.baselines.items():
        for field in ("policy", "otherwise") if baseline else ():
            if getattr(baseline, field) == _TEACHER:
                yield Problem(
                    ("baselines", name, field),
                    f"the schedule has no teacher for baseline {name!r}; name one (teacher: …), or compare with the "
                    "champion (alias: …), a policy from outside (policy: …) or fixed limits (at_least, at_most)",
                )

"""Check that every option which a state gives has an effect."""

from collections.abc import Iterator

import attrs

from townlet.dto.codec import Problem
from townlet.dto.strategies import IGNORED, Ignored
from townlet.machine.schedule.partial import PartialSchedule

__all__ = ["check_ignored_options"]


def check_ignored_options(partial: PartialSchedule) -> Iterator[Problem]:
    """Yield the options that are written in a `with:` block and ignored because of another one."""
    for name, state in partial.states.items():
        if state.options is None:
            continue
        written = partial.data["states"][name].get("with", {})
        for field in attrs.fields(type(state.options)):
            ignored: Ignored | None = field.metadata.get(IGNORED)
            if ignored is None or field.name not in written or written[field.name] is False:
                continue  # a switch that is off asks for nothing
            value = getattr(state.options, ignored.option)
            if ignored.holds(value):
                yield Problem(
                    ("states", name, "with", field.name),
                    f"{field.name} is ignored beside {ignored.option}: {str(value).lower()}; {ignored.reason}",
                    key=True,
                )

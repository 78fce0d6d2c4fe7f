"""The record of a probe of an environment: what was found, and what to do about it."""

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.environment_report import EnvironmentReport

__all__ = ["EnvironmentProbe", "ProbeRow"]


@frozen(kw_only=True)
class ProbeRow(Record):
    """One thing that a probe looked at."""

    what: str
    """Name of the thing, such as ``rewards``."""
    found: str
    """What was found."""
    advice: str = ""
    """What to do about it; empty where there is nothing to do."""


@frozen(kw_only=True)
class EnvironmentProbe(Record):
    """What a short probe of an environment, and of a teacher in it, found."""

    environment: str
    """Id of the environment."""
    scenario: str
    """Scenario that was probed."""
    teacher: str | None
    """The teacher that played, by name; None where none was named."""
    rows: tuple[ProbeRow, ...]
    """What was found, thing by thing."""
    report: EnvironmentReport
    """Which promises of an environment it keeps."""

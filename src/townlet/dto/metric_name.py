"""Names of metrics in a schedule: ``STATE.NAME`` and ``STATE[SCENARIO].NAME``."""

import re

from attrs import frozen

from townlet.dto.codec import Checked

__all__ = ["MetricName"]

_PATTERN = re.compile(r"(?P<state>[^.\[\]]+)(\[(?P<scenario>[^\[\]]+)\])?\.(?P<name>[^.\[\]]+)")


@frozen(kw_only=True)
class MetricName(Checked):
    """The parts of a metric's name."""

    state: str
    """State whose visits give the metric."""
    scenario: str | None
    """Scenario of a suite; none without one."""
    name: str
    """Field of the result, or KPI of the environment."""

    @classmethod
    def parse(cls, text: str) -> "MetricName | None":
        """Return the parts of ``STATE.NAME`` or ``STATE[SCENARIO].NAME``; None for any other text."""
        match = _PATTERN.fullmatch(text)
        return cls(state=match["state"], scenario=match["scenario"], name=match["name"]) if match else None

    @property
    def row(self) -> str:
        """The metric's row in an evidence table: ``NAME`` or ``[SCENARIO].NAME``."""
        return f"[{self.scenario}].{self.name}" if self.scenario else self.name

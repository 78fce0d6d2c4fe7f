"""What rewards consist of: each term that an environment declares, added up decision by decision."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from townlet.errors import EnvironmentFaultError
from townlet.ports import Environment, EnvironmentDescription, EnvironmentWithTerms

__all__ = ["TermSums", "term_exposures"]


class TermSums:
    """Sums of the terms of the rewards of W worlds; there are none where the environment declares no terms."""

    def __init__(self, environment: Environment) -> None:
        """Begin with zeros."""
        self._environment, self._names = environment, environment.description.reward_terms
        self._agents = np.ones(environment.description.agents, np.float32)
        self.sums = np.zeros((len(self._names), environment.worlds))
        """[K, W], over agents and decisions."""
        if self._names and not isinstance(environment, EnvironmentWithTerms):
            raise self._fault("has no method breakdown")

    def add(self) -> None:
        """Add the terms of the last decision; EnvironmentFaultError where they are others than those declared."""
        if not self._names:
            return
        told = cast("EnvironmentWithTerms", self._environment).breakdown()
        if told.names != self._names:
            raise self._fault(f"breakdown tells {', '.join(told.names) or 'none'}")
        self.sums += told.terms @ self._agents

    def _fault(self, found: str) -> EnvironmentFaultError:
        description = self._environment.description
        return EnvironmentFaultError(
            f"environment {description.id}/{description.scenario}: {found}; expected the terms that its description "
            f"declares: {', '.join(self._names)} (docs/reference/environment.md)"
        )

    def clear(self) -> None:
        """Begin again with zeros."""
        self.sums[:] = 0


def term_exposures(description: EnvironmentDescription, decisions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what the sums of worlds [W] are divided by after so many decisions: agent-days, or agent-steps.

    They are those of all slots, dead time included, as the exposures of KPIs are.
    """
    return decisions * description.agents / (description.decisions_per_day or 1)

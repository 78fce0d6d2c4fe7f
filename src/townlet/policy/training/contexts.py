"""TrainingContext: everything that one visit may use, frozen."""

from collections.abc import Mapping
from typing import TypeVar

import attrs
from attrs import frozen

from townlet.dto.policy_ref import parse_teacher
from townlet.dto.schedule import Plan, ScheduleSpec
from townlet.dto.strategies import StrategySpec
from townlet.errors import BadInputError, HoldError
from townlet.machine.engine.visit import Visit
from townlet.policy.model.weights import Weights, read_weights
from townlet.policy.training.services import TrainingServices
from townlet.policy.training.telemetry import Telemetry
from townlet.ports import EnvironmentDescription, EnvironmentProvider, Teacher
from townlet.store.blobs import BlobStore

__all__ = ["TrainingContext"]

Spec = TypeVar("Spec", bound=StrategySpec)


@frozen(kw_only=True)
class TrainingContext:
    """What one visit may use: its spec, inputs, pinned baselines, seeds, services and telemetry."""

    visit: Visit
    """Spec, inputs, baseline_digests, seed and the engine's callbacks."""
    plan: Plan
    """The sound schedule, its seed the run's."""
    blobs: BlobStore
    """Where artefacts are read and stored by digest."""
    environments: EnvironmentProvider
    """Makes environments and teachers."""
    services: TrainingServices
    """Capture and replay."""
    telemetry: Telemetry
    """Where iterations are reported."""

    def options_as(self, cls: type[Spec]) -> Spec:
        """Return the state's `with:` block, which is of `cls`."""
        if not isinstance(self.visit.spec, cls):
            raise TypeError(f"state {self.visit.state!r}: expected {cls.__name__}, found {self.visit.spec!r}")
        return self.visit.spec

    @property
    def schedule(self) -> ScheduleSpec:
        """The schedule as written."""
        return self.plan.schedule

    @property
    def inputs(self) -> Mapping[str, str]:
        """Digests by name."""
        return self.visit.inputs

    @property
    def description(self) -> EnvironmentDescription:
        """The schedule's environment."""
        return self.environments.describe(self.schedule.environment.scenario)

    def input(self, name: str) -> str:
        """Return the digest of an input; HoldError where this run has not made it."""
        if name not in self.inputs:
            raise HoldError(f"state {self.visit.state!r} needs {name!r}, which this run has not made yet")
        return self.inputs[name]

    def weights(self, digest: str) -> Weights:
        """Return stored weights, verified; BadInputError where they do not fit the schedule's environment."""
        weights = read_weights(self.blobs.get(digest), f"weights {digest[:12]}")
        weights.check_fits(self.description, f"weights {digest[:12]}")
        return weights

    def policy(self, reference: str, scenario: str, mode: str = "greedy") -> Teacher:
        """Return the policy of a reference: ``teacher:NAME`` or a weights digest."""
        teacher = parse_teacher(reference)
        if teacher is not None:
            return self.environments.teacher(scenario, teacher)
        if mode not in ("greedy", "stochastic"):
            raise BadInputError(f"unknown mode of acting {mode!r}; expected greedy or stochastic")
        return self.weights(reference).policy("greedy" if mode == "greedy" else "stochastic")

    def for_visit(self, visit: Visit) -> "TrainingContext":
        """Return the context of another visit of the same run."""
        return attrs.evolve(self, visit=visit, telemetry=self.telemetry.for_visit(visit.state, visit.number))

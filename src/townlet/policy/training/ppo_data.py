"""Data of a visit to ppo: its own rollouts, recorded trajectories, or both."""

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, Literal

import numpy as np
from attrs import define
from numpy.typing import NDArray

from townlet.dto.guards import is_tolerance
from townlet.dto.policy import Resumable
from townlet.dto.strategies import PROBE_ROWS, PPOSpec
from townlet.errors import BadInputError
from townlet.machine.engine.visit import Visit
from townlet.policy.data.dataset import Samples, flatten
from townlet.policy.data.trajectories import Trajectories
from townlet.policy.model.forward import forward
from townlet.policy.model.initialise import fresh_weights, with_normaliser
from townlet.policy.model.weights import Probe, Weights, make_probe
from townlet.policy.ppo.iteration import PPOIteration
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.ppo.trajectory_batch import TrajectoryBatch
from townlet.policy.ppo.update_stats import UpdateStatistics
from townlet.policy.training.checkpoint import Checkpoint, unfit
from townlet.policy.training.contexts import TrainingContext
from townlet.ports import Environment, StubTeacher, Teacher, keeps_state
from townlet.rng import derive, seed_sequence

__all__ = ["PPODataSource", "acts_finitely", "demonstrations_of", "probe_of"]


@define(kw_only=True)
class PPODataSource:
    """Gives each iteration of a visit its batch."""

    rollout: Rollout | None
    """Own rollouts; None where every batch is recorded."""
    recorded: Trajectories | None
    """Recorded trajectories; None where every batch is an own rollout."""
    ticks_per_decision: int
    """Simulated ticks of one decision."""
    metrics: tuple[str, ...]
    """Names of the environment's KPIs."""
    tolerated: frozenset[str]
    """Names of the KPIs in which the schedule lets the candidate be worse than a baseline, within a tolerance."""
    last: TrajectoryBatch
    """The present batch."""
    teacher: Teacher | None
    """Teacher that acts in a share of the worlds; None where no ramp gives it any."""
    make_worlds: Callable[..., Environment]
    """Makes the worlds of the own rollouts that begin after an iteration; without one, those of the visit's start."""
    begins_anew: bool = False
    """True where each checkpoint ends all running episodes: the environment has no snapshot, or the teacher a state."""
    played: int = 0
    """Agent-steps of own rollouts so far; recorded ones were counted by the visit that recorded them."""

    @classmethod
    def for_visit(
        cls, context: TrainingContext, spec: PPOSpec, checkpoint: Checkpoint | None = None
    ) -> "PPODataSource":
        """Return the data source of a visit; BadInputError for trajectories of another environment.

        Where the environment offers no snapshot, each checkpoint ends the running episodes, in a visit that goes on as
        in one that is resumed: both go on with the same new ones.
        """
        description, recorded, rollout = context.description, None, None
        rollout_state = {} if checkpoint is None else checkpoint.part("rollout")
        max_steps = description.episode_length(spec.days, spec.max_steps)

        def make_worlds(*after: int) -> Environment:
            return context.environments.make(
                context.schedule.environment.scenario,
                worlds=context.schedule.environment.worlds,
                seed=derive(context.visit.seed, "rollout", *after),
                max_steps=max_steps,
            )

        if spec.experience != "own":
            recorded = context.services.replay.experience(context.input("experience"))
            if recorded.dataset.metadata.environment != description.signature:
                raise BadInputError(
                    f"the recorded play is of another environment than {description.id}/{description.scenario}"
                )
        if spec.experience != "recorded":
            is_anew = "environment" in rollout_state and not rollout_state["environment"].size
            after = (checkpoint.step,) if checkpoint is not None and is_anew else ()
            rollout = Rollout(make_worlds(*after), spec.num_steps, max_steps)
            if rollout_state:
                try:
                    rollout.restore(rollout_state)
                except BadInputError as error:
                    raise unfit(context.visit.state, error) from error
        last, teacher = recorded if rollout is None else rollout, _teacher(context, spec)
        assert last is not None, "one of the two is always there"
        return cls(
            rollout=rollout,
            recorded=recorded,
            ticks_per_decision=description.ticks_per_decision,
            metrics=tuple(metric.name for metric in description.metrics),
            tolerated=frozenset(guard.kpi for guard in context.schedule.guards.values() if is_tolerance(guard)),
            last=last,
            teacher=teacher,
            make_worlds=make_worlds,
            begins_anew=rollout is not None and (keeps_state(teacher) or not rollout.environment.snapshot()),
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state of the own rollouts for a checkpoint; empty where every batch is recorded."""
        return {} if self.rollout is None else self.rollout.state(ended=self.begins_anew)

    def resume_kind(self, context: TrainingContext, spec: PPOSpec) -> Resumable:
        """Return what a visit resumes with after a crash: the same bits, or nothing."""
        return "exact" if spec.checkpoint_every and context.visit.obeys_seed else "none"

    def begin_anew(self, step: int) -> None:
        """End the running episodes after a checkpoint, where the environment offers no snapshot of them."""
        if self.rollout is not None and self.begins_anew:
            self.rollout.begin(partial(self.make_worlds, step))

    @property
    def per_iteration(self) -> int:
        """Agent-steps of an own rollout, or of the recording where every batch is recorded."""
        return int((self.last if self.rollout is None else self.rollout).alive.size)

    @property
    def batch_agent_steps(self) -> int:
        """Agent-steps in this batch, own or recorded; ramps advance by this number."""
        return int(self.last.alive.size)

    @property
    def ticks(self) -> int:
        """Simulated ticks of one world in this batch."""
        return len(self.last.rewards) * self.ticks_per_decision

    @property
    def is_recorded(self) -> bool:
        """True where the present batch was recorded before the visit."""
        return self.last is self.recorded

    def next_batch(self, iteration: int, weights: Weights, teacher_share: float = 0.0) -> TrajectoryBatch:
        """Return the batch of iteration n, from 0; the teacher acts in a share of the worlds of an own rollout."""
        if self.recorded is not None and (self.rollout is None or iteration == 0):
            self.last = self.recorded
        elif self.rollout is not None:
            self.rollout.collect(weights, self.teacher, teacher_share)
            self.last, self.played = self.rollout, self.played + self.per_iteration
        return self.last

    def fresh(self, context: TrainingContext, spec: PPOSpec) -> Weights:
        """Return untrained weights, their normaliser fitted to one own rollout or to the recording."""
        rng = np.random.default_rng(seed_sequence(context.visit.seed, "fresh"))
        weights = fresh_weights(context.description, spec.hidden_sizes, rng)
        if self.rollout is None:
            return with_normaliser(weights, self.last.normalised_features(weights)[self.last.alive])
        self.rollout.collect(weights)
        return with_normaliser(weights, self.rollout.features[:-1][self.rollout.alive])

    def iteration(
        self,
        visit: Visit,
        parent: Weights,
        statistics: UpdateStatistics,
        number: int,
        agent_steps: int,
        seconds: float,
    ) -> PPOIteration:
        """Return the present iteration for listeners: the batch and `statistics` of the update from it."""
        own_or_both: Literal["own", "recorded_first"] = "own" if self.recorded is None else "recorded_first"
        return PPOIteration(
            state=visit.state,
            visit=visit.number,
            number=number,
            experience="recorded" if self.rollout is None else own_or_both,
            batch=self.last,
            is_recorded=self.is_recorded,
            kpi_sums=self.kpi_sums(),
            ticks=self.ticks,
            parent=parent,
            statistics=statistics,
            agent_steps=agent_steps,
            seconds=seconds,
        )

    def kpi_sums(self) -> dict[str, float]:
        """Return KPI sums by name: of the recording where the batch is one, else of all own episodes of the visit.

        Without those that are not finite; empty for a recording that came without sums.
        """
        totals: dict[str, float] = {}
        if self.recorded is not None and self.is_recorded:
            sums = self.recorded.sums.tolist()
            totals = dict(zip(self.metrics, sums, strict=True)) if sums else {}
        elif self.rollout is not None:
            totals = self.rollout.totals()
        return {name: total for name, total in totals.items() if isfinite(total)}

    def episode_numbers(self) -> dict[str, float]:
        """Return number, mean return and length of the policy's own episodes that ended in the last rollout.

        Beside them each KPI that has a tolerance, over the same episodes, as ``episode_NAME``.
        """
        rollout = self.rollout
        if rollout is None or self.is_recorded:
            return {}
        values = {"episode_return": rollout.returns, "episode_length": rollout.lengths}
        means = {name: float(np.mean(each)) for name, each in values.items() if each}
        kpis = {
            f"episode_{name}": float(rollout.ended_sums[i] / rollout.ended_exposures[i])
            for i, name in enumerate(self.metrics)
            if name in self.tolerated and rollout.ended_exposures[i] > 0
        }
        return {"episodes": float(len(rollout.returns))} | kpis | means

    def reward_terms(self) -> dict[str, float]:
        """Return the mean of each term of the rewards in the last own rollout, as ``reward_term_NAME``.

        Nothing for a recorded batch, and where the environment declares no terms.
        """
        means = {} if self.rollout is None or self.is_recorded else self.rollout.term_means()
        return {f"reward_term_{name}": mean for name, mean in means.items()}

    @property
    def returns(self) -> tuple[float, ...]:
        """Return of each of these episodes."""
        return () if self.rollout is None or self.is_recorded else tuple(self.rollout.returns)

    def total(self, metric: str) -> float:
        """Return a KPI's sum over own training episodes."""
        return 0.0 if self.rollout is None else self.rollout.total(metric)

    def rate(self, metric: str) -> float:
        """Return a KPI's rate over own training episodes."""
        return 0.0 if self.rollout is None else self.rollout.rate(metric)


def _teacher(context: TrainingContext, spec: PPOSpec) -> Teacher | None:
    """Return the schedule's teacher where a ramp lets it drive; BadInputError for one that never acts."""
    if all(y == 0 for ramp in spec.ramps for _, y in ramp.teacher_share):
        return None
    schedule = context.schedule
    teacher = context.environments.teacher(schedule.environment.scenario, schedule.teacher)
    if isinstance(teacher, StubTeacher):
        raise BadInputError(f"teacher_share: teacher {schedule.teacher!r} cannot drive a world: {teacher.never_acts}")
    return teacher


def demonstrations_of(context: TrainingContext, spec: PPOSpec, parent: Weights) -> Samples | None:
    """Return what the demonstration loss learns from; None where no ramp gives it weight, or nothing was captured."""
    if "dataset" not in context.inputs or all(y == 0 for ramp in spec.ramps for _, y in ramp.bc_weight):
        return None
    dataset = context.services.replay.load(context.inputs["dataset"])
    return flatten(dataset, np.arange(dataset.labels.shape[1]), parent.mean, parent.scale)


def probe_of(played: TrajectoryBatch, parent: Weights) -> Probe:
    """Return a probe of what was played, for parents that bring none."""
    rows = np.flatnonzero(played.alive)[:PROBE_ROWS]
    features = played.normalised_features(parent)
    features = features.reshape(-1, features.shape[-1])[rows]
    mask = played.action_mask.reshape(played.alive.size, played.action_mask.shape[-1])[rows]
    return make_probe(parent, features * parent.scale + parent.mean, mask)


def acts_finitely(weights: Weights, features: NDArray[np.float32]) -> bool:
    """Return True where actor and critic give finite outputs for normalised features [W, N, F]."""
    features = features.reshape(-1, features.shape[-1])
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = (forward(weights.actor, features), weights.values(features))
    return all(bool(np.isfinite(output).all()) for output in outputs)

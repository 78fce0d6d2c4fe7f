"""capture: the teacher plays and is recorded; for a rollout it is the learner that plays."""

from collections.abc import Iterator
from math import log, nan
from time import perf_counter
from typing import Any

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.codec import Problem
from townlet.dto.policy import CaptureResult
from townlet.dto.policy_ref import teacher_ref
from townlet.dto.strategies import CaptureSpec
from townlet.errors import StrategyFailedError
from townlet.machine.catalogue import FLOAT32, Cost, CostContext, Input, Product, Ranges, StrategyEntry
from townlet.policy.data.dataset import DatasetMetadata
from townlet.policy.data.trajectories import trajectory_metrics
from townlet.policy.model.initialise import fresh_weights, with_normaliser
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.training.checkpoint import VisitCheckpoints
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.services import Recording
from townlet.ports import Environment, EnvironmentDescription, Teacher
from townlet.rng import derive, seed_sequence

__all__ = ["ENTRIES", "CaptureStrategy"]

_FIRST_LOOK = 48
"""Decisions at the most that fit the normaliser of a fresh player."""


def _consumes(options: CaptureSpec) -> tuple[Input, ...]:
    return () if options.player in ("teacher", "fresh") else (Input(options.player, "player"),)


def _output(options: CaptureSpec) -> frozenset[Product]:
    return frozenset({"dataset"} if options.player == "teacher" else {"experience", "candidate"})


def _cost(options: CaptureSpec, context: CostContext) -> Cost:
    environment = context.environment
    agent_steps = options.episodes * _decisions(environment, options) * environment.agents
    # Features, label and reward; the mask; four flags of one byte.
    row = FLOAT32 * (len(environment.features) + 2) + len(environment.actions) + 4
    return Cost(agent_steps=agent_steps, disk=agent_steps * row, least_agent_steps=agent_steps)


def _ranges(options: CaptureSpec, environment: EnvironmentDescription) -> Ranges:
    """Return what is recorded at the most: nothing where the teacher never acts."""
    decisions = _decisions(environment, options)
    return {
        "episodes": (0.0, float(options.episodes)),
        "samples": (0.0, float(options.episodes * decisions * environment.agents)),
        "action_entropy": (0.0, log(len(environment.actions))),
        "ticks": (0.0, float(decisions * environment.ticks_per_decision)),
    }


def _problems(options: CaptureSpec, context: CostContext) -> Iterator[Problem]:
    """Yield more or longer episodes than the environment plays at once."""
    days = _days(context.environment, _decisions(context.environment, options))
    for option, problem in (
        ("episodes", context.environment.limit_problem(worlds=options.episodes)),
        ("days" if options.ticks is None else "ticks", context.environment.limit_problem(days=days)),
    ):
        if problem:
            yield Problem((option,), problem)


def _shrink(options: CaptureSpec) -> CaptureSpec:
    # Episodes keep their length: the critic's targets need it.
    return attrs.evolve(options, episodes=min(10, options.episodes))


ENTRIES = (
    StrategyEntry(
        name="capture",
        doc="The teacher plays and is recorded.",
        strategy=f"{__name__}:CaptureStrategy",
        spec=CaptureSpec,
        result=CaptureResult,
        consumes=_consumes,
        produces=frozenset({"dataset", "experience", "candidate"}),
        produces_with=_output,
        cost=_cost,
        ranges=_ranges,
        problems=_problems,
        shrink=_shrink,
    ),
)


@frozen
class CaptureStrategy:
    """Records whole episodes of the schedule's teacher, or of the weights that ppo goes on from."""

    name: str = "capture"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse an unknown teacher, or weights that do not fit."""
        spec = context.options_as(CaptureSpec)
        if spec.player == "teacher":
            context.environments.teacher(context.schedule.environment.scenario, context.schedule.teacher)
        elif spec.player != "fresh":
            context.weights(context.input(spec.player))

    def run(self, context: TrainingContext) -> CaptureResult:
        """Record, store the data set, and say what is in it."""
        started, spec, description = perf_counter(), context.options_as(CaptureSpec), context.description
        decisions = _decisions(description, spec)
        player, stored = _player(context, spec, decisions)
        environment = _make(context, spec, "episodes", decisions)
        per_decision = spec.episodes * description.agents
        checkpoints = VisitCheckpoints(context=context, every=0)
        checkpoints.load()

        def report(done: int) -> None:
            context.visit.check_time()
            if done % 48 == 0 or done == decisions:
                context.telemetry.emit(done, {}, of=decisions, agent_steps=done * per_decision)
                if done < decisions and context.visit.stopping():
                    checkpoints.stop("without a checkpoint; a data set is recorded in one go")

        metadata = DatasetMetadata(
            features=description.features,
            actions=description.actions,
            environment=description.signature,
            scenario=description.scenario,
            teacher=teacher_ref(context.schedule.teacher) if stored is None else stored,
            discount=description.discount,
        )
        recording = context.services.capture.record(environment, player, decisions, spec.perturbed, metadata, report)
        played = len(recording.dataset.labels)
        result = _result(recording, ticks=played * description.ticks_per_decision)
        return attrs.evolve(
            result,
            weights=stored,
            blobs=_stored(context, recording, learner=stored is not None) if played else {},
            agent_steps=played * per_decision,
            duration=perf_counter() - started,
        )


def _decisions(description: EnvironmentDescription, spec: CaptureSpec) -> int:
    if spec.ticks is None:
        return spec.days * description.decisions_per_day
    return -(-spec.ticks // description.ticks_per_decision)


def _days(description: EnvironmentDescription, decisions: int) -> int:
    """Return the shortest length of an episode, in days, that has so many decisions."""
    return max(1, -(-decisions // description.decisions_per_day))


def _make(context: TrainingContext, spec: CaptureSpec, stream: str, decisions: int) -> Environment:
    """Return worlds whose episodes are long enough."""
    days = _days(context.description, decisions)
    scenario = context.schedule.environment.scenario
    return context.environments.make(scenario, worlds=spec.episodes, seed=derive(context.visit.seed, stream), days=days)


def _player(context: TrainingContext, spec: CaptureSpec, decisions: int) -> tuple[Teacher | Weights, str | None]:
    """Return who plays, and the digest of weights that do."""
    scenario = context.schedule.environment.scenario
    if spec.player == "teacher":
        return context.environments.teacher(scenario, context.schedule.teacher), None
    if spec.player != "fresh":
        digest = context.input(spec.player)
        return context.weights(digest), digest
    rng = np.random.default_rng(seed_sequence(context.visit.seed, "fresh"))
    weights = fresh_weights(context.description, spec.hidden_sizes, rng)
    per_day = context.description.decisions_per_day
    declared = _days(context.description, decisions) * per_day
    worlds = _make(context, spec, "first look", decisions)
    first = Rollout(worlds, min(decisions, _FIRST_LOOK), decisions, declared)
    first.collect(weights)
    if not first.alive.any():
        raise StrategyFailedError(
            "the environment is empty: no agent lives in any world, so there is nothing to record"
        )
    weights = with_normaliser(weights, first.features[:-1][first.alive])
    return weights, context.blobs.put(weights.to_bytes())


def _stored(context: TrainingContext, recording: Recording, *, learner: bool) -> dict[str, str]:
    """Return the digests of what is kept: a teacher's play is a data set, a learner's also knows its probabilities."""
    if learner:
        return {"experience": context.blobs.put(recording.experience.to_bytes())}
    return {"dataset": context.blobs.put(recording.dataset.to_bytes())}


def _result(recording: Recording, *, ticks: int) -> CaptureResult:
    dataset, tallies = recording.dataset, recording.tallies
    living = dataset.labels[dataset.alive]
    counts = np.bincount(living, minlength=len(dataset.metadata.actions))
    shares = counts[counts > 0] / max(counts.sum(), 1)
    facts: dict[str, Any] = {"flags": () if len(dataset.labels) else ("stub",)}
    return CaptureResult(
        episodes=float(dataset.labels.shape[1]) if len(dataset.labels) else 0.0,
        samples=float(len(living)),
        action_entropy=max(float(-(shares * np.log(shares)).sum()), 0.0),
        perturbed_share=recording.perturbed_decisions / max(len(living), 1),
        return_per_agent_day=_rate(tallies.sums[0], tallies.exposures[0]),
        action_counts=dict(zip(dataset.metadata.actions, counts.tolist(), strict=True)),
        recorded=trajectory_metrics(recording.experience),
        ticks=ticks,
        **facts,
    )


def _rate(sums: NDArray[np.float64], exposures: NDArray[np.float64]) -> float:
    """Return a KPI over all episodes [E]: 0 without exposure, NaN where an episode has no valid number."""
    if not (np.isfinite(sums).all() and np.isfinite(exposures).all() and (exposures >= 0).all()):
        return nan
    exposure = float(exposures.sum())
    return float(sums.sum()) / exposure if exposure > 0 else 0.0

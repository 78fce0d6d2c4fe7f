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
from townlet.policy.data.dataset import label_counts, label_entropy, metadata_of
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
    # Features, labels and reward; the mask; four flags of one byte.
    row = FLOAT32 * (len(environment.features) + 1 + environment.actions.columns) + environment.actions.logits + 4
    return Cost(agent_steps=agent_steps, disk=agent_steps * row, least_agent_steps=agent_steps)


def _ranges(options: CaptureSpec, environment: EnvironmentDescription) -> Ranges:
    """Return what is recorded at the most: nothing where the teacher never acts."""
    decisions = _decisions(environment, options)
    return {
        "episodes": (0.0, float(options.episodes)),
        "samples": (0.0, float(options.episodes * decisions * environment.agents)),
        "action_entropy": (0.0, sum(log(len(head.options)) for head in environment.actions.discrete)),
        "ticks": (0.0, float(decisions * environment.ticks_per_decision)),
    }


def _problems(options: CaptureSpec, context: CostContext) -> Iterator[Problem]:
    """Yield more or longer episodes than the environment plays at once."""
    steps = _decisions(context.environment, options)
    length = "ticks" if options.ticks is not None else "days" if options.max_steps is None else "max_steps"
    for option, problem in (
        ("episodes", context.environment.limit_problem(worlds=options.episodes)),
        (length, context.environment.limit_problem(steps=steps)),
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

        teacher = teacher_ref(context.schedule.teacher) if stored is None else stored
        metadata = metadata_of(description, description.scenario, teacher)
        recording = context.services.capture.record(environment, player, decisions, spec.perturbed, metadata, report)
        played = len(recording.dataset.labels)
        result = _result(recording, description)
        return attrs.evolve(
            result,
            weights=stored,
            blobs=_stored(context, recording, learner=stored is not None) if played else {},
            agent_steps=played * per_decision,
            duration=perf_counter() - started,
        )


def _decisions(description: EnvironmentDescription, spec: CaptureSpec) -> int:
    steps = spec.max_steps if spec.ticks is None else -(-spec.ticks // description.ticks_per_decision)
    return description.episode_length(spec.days, steps)


def _make(context: TrainingContext, spec: CaptureSpec, stream: str, decisions: int) -> Environment:
    """Return worlds with episodes of at most so many decisions."""
    scenario, seed = context.schedule.environment.scenario, derive(context.visit.seed, stream)
    return context.environments.make(scenario, worlds=spec.episodes, seed=seed, max_steps=decisions)


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
    worlds = _make(context, spec, "first look", decisions)
    first = Rollout(worlds, min(decisions, _FIRST_LOOK), decisions)
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


def _result(recording: Recording, description: EnvironmentDescription) -> CaptureResult:
    dataset, tallies, objective = recording.dataset, recording.tallies, description.objective_index
    living = int(dataset.alive.sum())
    facts: dict[str, Any] = {"flags": () if len(dataset.labels) else ("stub",)}
    return CaptureResult(
        episodes=float(dataset.labels.shape[1]) if len(dataset.labels) else 0.0,
        samples=float(living),
        action_entropy=label_entropy(dataset),
        perturbed_share=recording.perturbed_decisions / max(living, 1),
        return_per_agent_day=_rate(tallies.sums[objective], tallies.exposures[objective]),
        action_counts=dict(zip(dataset.metadata.actions, label_counts(dataset).tolist(), strict=False)),
        recorded=trajectory_metrics(recording.experience),
        ticks=len(dataset.labels) * description.ticks_per_decision,
        **facts,
    )


def _rate(sums: NDArray[np.float64], exposures: NDArray[np.float64]) -> float:
    """Return a KPI over all episodes [E]: 0 without exposure, NaN where an episode has no valid number."""
    if not (np.isfinite(sums).all() and np.isfinite(exposures).all() and (exposures >= 0).all()):
        return nan
    exposure = float(exposures.sum())
    return float(sums.sum()) / exposure if exposure > 0 else 0.0

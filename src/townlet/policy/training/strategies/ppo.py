"""ppo: the clone is fine-tuned on its own experience, critic first, anchored to its parent, watched for cliffs."""

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import frozen

from townlet.dto.policy import PPOTrainingResult
from townlet.dto.strategies import PPOSpec
from townlet.machine.catalogue import StrategyEntry
from townlet.policy.model.device import device_name, training_defaults
from townlet.policy.model.forward import normalise
from townlet.policy.model.parity import parity
from townlet.policy.model.weights import Probe, Weights, make_probe
from townlet.policy.ppo.ramps import ramp_at
from townlet.policy.training.checkpoint import Checkpoint, VisitCheckpoints
from townlet.policy.training.cliff_watch import CliffWatch
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.ppo_data import PPODataSource, acts_finitely, demonstrations_of, probe_of
from townlet.policy.training.ppo_options import consumes, cost, problems, shrink
from townlet.policy.training.ppo_progress import Progress, block_rows_of, parent_of
from townlet.policy.training.strategies.base import require_device
from townlet.rng import seed_sequence

if TYPE_CHECKING:
    from townlet.policy.ppo.learner import Learner

__all__ = ["ENTRIES", "PPOStrategy"]

_LAST = 5
"""Iterations whose mean a loss is reported as."""

ENTRIES = (
    StrategyEntry(
        name="ppo",
        doc="The clone is fine-tuned on its own experience.",
        strategy=f"{__name__}:PPOStrategy",
        spec=PPOSpec,
        result=PPOTrainingResult,
        consumes=consumes,
        produces=frozenset({"candidate"}),
        cost=cost,
        problems=problems,
        shrink=shrink,
        gpu_requires_torch=True,
        device_option="device",
        start_option="start_from",
    ),
)


@frozen
class PPOStrategy:
    """Proximal policy optimisation over all agents with shared parameters; acting is numpy, updates are torch."""

    name: str = "ppo"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse without the device, or with a parent that does not fit."""
        require_device(f"state {context.visit.state!r} (strategy ppo)", context.options_as(PPOSpec).device)
        if "start" in context.inputs:
            context.weights(context.inputs["start"])

    def run(self, context: TrainingContext) -> PPOTrainingResult:
        """Train until the agent-steps are reached, the update diverges or a cliff is seen."""
        with training_defaults(context.options_as(PPOSpec).device):
            return self._run(context)

    def _run(self, context: TrainingContext) -> PPOTrainingResult:
        from townlet.policy.ppo.learner import Learner

        started, spec, description = perf_counter(), context.options_as(PPOSpec), context.description
        checkpoints = VisitCheckpoints(context=context, every=spec.checkpoint_every)
        checkpoint = checkpoints.load()
        data = PPODataSource.for_visit(context, spec, checkpoint)
        parent = _parent(context, spec, data, checkpoint)
        demonstrations = demonstrations_of(context, spec, parent)
        gamma = description.discount if spec.gamma is None else spec.gamma
        learner = Learner(parent, spec, gamma, demonstrations, block_rows_of(checkpoint) if checkpoint else None)
        watch = CliffWatch.for_visit(context, spec, parent)
        progress = (
            Progress(weights=learner.weights(), next_check=spec.watch.every if spec.watch else 0)
            if checkpoint is None
            else Progress.from_checkpoint(checkpoint, learner, data, watch)
        )
        _train(context, spec, data, learner, watch, progress, checkpoints)
        weights = watch.best.weights if progress.cliff and watch is not None and watch.best else progress.weights
        probe = parent.probe or probe_of(data.last, parent)
        metadata = {
            "device": device_name(learner.device),
            "block_rows": learner.block_rows,
            "resumable": data.resume_kind(context, spec),
        }
        return _result(context, weights, probe, progress, data, watch, metadata, perf_counter() - started)


def _train(
    context: TrainingContext,
    spec: PPOSpec,
    data: PPODataSource,
    learner: "Learner",
    watch: CliffWatch | None,
    progress: Progress,
    checkpoints: VisitCheckpoints,
) -> None:
    """Make the iterations that are left."""
    iterations = spec.iterations or -(-spec.agent_steps // data.per_iteration)
    for iteration in range(progress.iterations, iterations):
        numbers = _iterate(context, spec, data, learner, progress)
        ends = iteration == iterations - 1 or bool(progress.nonfinite)
        if not progress.nonfinite and watch is not None and (progress.agent_steps >= progress.next_check or ends):
            assert spec.watch is not None, "only a spec makes a watch"
            progress.next_check += spec.watch.every
            check = watch.check(progress.weights)
            progress.cliff = check.cliff
            numbers |= check.numbers
        context.telemetry.emit(
            iteration + 1, numbers, of=iterations, agent_steps=progress.agent_steps, returns=data.returns
        )
        if ends or progress.cliff:
            break
        make = partial(progress.to_checkpoint, learner, data, watch)
        if checkpoints.maybe_save(iteration + 1, make, only_due=data.begins_anew):
            data.begin_anew(iteration + 1)


def _iterate(
    context: TrainingContext, spec: PPOSpec, data: PPODataSource, learner: "Learner", progress: Progress
) -> dict[str, float]:
    """Play and learn once, and return what was measured."""
    started, iteration = perf_counter(), progress.iterations
    rng = np.random.default_rng(seed_sequence(context.visit.seed, "update", iteration))
    ramp = ramp_at(spec.ramps, context.visit.ramp_index, progress.agent_steps)
    rollout = data.next_batch(iteration, progress.weights, ramp.teacher_share)
    statistics = learner.update(rollout, progress.weights, ramp, rng)
    updated = learner.weights()
    seconds = perf_counter() - started
    progress.seconds += seconds
    progress.agent_steps += data.batch_agent_steps
    progress.history.append(statistics)
    policy_rows = rollout.alive & ~rollout.teacher_controlled[:, None]
    progress.rewards.append(float(rollout.rewards[policy_rows].mean(dtype=np.float64)) if policy_rows.any() else 0.0)
    numbers = attrs.asdict(statistics, filter=lambda a, _: a.name != "finite") | {"reward": progress.rewards[-1]}
    numbers |= data.reward_terms() | data.episode_numbers()
    if not statistics.finite or not acts_finitely(updated, rollout.normalised_features(updated)[-1]):
        progress.nonfinite += 1  # the weights that played this rollout stay the visit's answer
    else:
        progress.weights = updated
    context.telemetry.report(
        data.iteration(
            context.visit,
            learner.parent,
            statistics,
            number=iteration + 1,
            agent_steps=progress.agent_steps,
            seconds=seconds,
        )
    )
    return numbers


def _parent(context: TrainingContext, spec: PPOSpec, data: PPODataSource, checkpoint: Checkpoint | None) -> Weights:
    """Return the weights the visit started from; a fresh start's are in its checkpoint."""
    if "start" in context.inputs:
        return context.weights(context.inputs["start"])
    return data.fresh(context, spec) if checkpoint is None else parent_of(checkpoint)


def _result(
    context: TrainingContext,
    weights: Weights,
    probe: Probe,
    progress: Progress,
    data: PPODataSource,
    watch: CliffWatch | None,
    metadata: Mapping[str, Any],
    duration: float,
) -> PPOTrainingResult:
    difference = parity(weights.actor, normalise(probe.observations, weights.mean, weights.scale))
    weights = attrs.evolve(weights, metadata=attrs.evolve(weights.metadata, parity=difference), probe=None)
    weights = attrs.evolve(weights, probe=make_probe(weights, probe.observations, probe.action_mask))
    last = progress.history[-_LAST:]

    def mean(name: str) -> float:
        return float(np.mean([attrs.asdict(statistics)[name] for statistics in last]))

    return PPOTrainingResult(
        weights=context.blobs.put(weights.to_bytes()),
        flags=("cliff",) * progress.cliff + ("diverged",) * bool(progress.nonfinite),
        iterations=len(progress.history),
        value_loss=mean("value_loss"),
        policy_loss=mean("policy_loss"),
        entropy=mean("entropy"),
        approx_kl=mean("approx_kl"),
        clip_fraction=mean("clip_fraction"),
        explained_variance=mean("explained_variance"),
        grad_norm=mean("grad_norm"),
        anchor_kl=mean("anchor_kl"),
        approx_kl_p95=float(np.percentile([statistics.approx_kl for statistics in progress.history], 95)),
        nonfinite_updates=float(progress.nonfinite),
        empty_masks=float(sum(statistics.empty_masks for statistics in progress.history)),
        reward_per_decision=float(np.mean(progress.rewards[-_LAST:])),
        queue_intensity=data.rate("queue_intensity"),
        total_loss=mean("total_loss"),
        queue_conflicts=data.total("conflicts"),
        queue_intensity_sum=data.total("queue_intensity"),
        parity=difference,
        parent=context.inputs.get("start", ""),
        agent_steps=data.played + (watch.agent_steps if watch is not None else 0),
        agent_steps_per_second=progress.agent_steps / max(progress.seconds, 1e-9),
        duration=duration,
        **metadata,
    )

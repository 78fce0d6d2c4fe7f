"""ppo: the clone is fine-tuned on its own experience, critic first, anchored to its parent, watched for cliffs."""

from collections.abc import Iterator, Mapping
from functools import partial
from math import ceil, inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import frozen

from townlet.dto.codec import Problem
from townlet.dto.policy import PPOTrainingResult
from townlet.dto.strategies import PPOSpec, RampSpec
from townlet.machine.catalogue import FLOAT32, Cost, CostContext, Input, StrategyEntry
from townlet.policy.model.inference import normalise
from townlet.policy.model.weights import Probe, Weights, make_probe
from townlet.policy.ppo.ramps import factor_at, ramp_at
from townlet.policy.training.checkpoint import Checkpoint, VisitCheckpoints
from townlet.policy.training.cliff_watch import CliffWatch
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.ppo_data import PPODataSource, acts_finitely, demonstrations_of, probe_of
from townlet.policy.training.ppo_progress import Progress, parent_of
from townlet.policy.training.strategies.base import require_torch
from townlet.rng import seed_sequence

if TYPE_CHECKING:
    from townlet.policy.ppo.learner import Learner

__all__ = ["ENTRIES", "PPOStrategy"]

_LAST = 5
"""Iterations whose mean a loss is reported as."""
_AGENT_BYTES = 512
"""Bytes of an environment's state per agent, roughly."""


def _consumes(options: PPOSpec) -> tuple[Input, ...]:
    start = () if options.start_from == "fresh" else (Input(options.start_from, "start_from"),)
    return start if options.experience == "own" else (*start, Input("experience", "experience"))


def _cost(options: PPOSpec, context: CostContext) -> Cost:
    environment, worlds = context.environment, context.plan.schedule.environment.worlds
    per_iteration = worlds * environment.agents * options.num_steps
    iterations = options.iterations or ceil(options.agent_steps / per_iteration)
    agent_steps = least = iterations * per_iteration
    if options.experience != "own":
        least = 0  # what is recorded was counted by the visit that recorded it
    if options.watch is not None:
        least = min(least, ceil(options.watch.every / per_iteration) * per_iteration)
        evidence = context.plan.schedule.evidence[options.watch.evidence]
        checks = agent_steps // options.watch.every
        agent_steps += checks * 2 * evidence.episodes[-1] * context.episode_steps(evidence)  # the policy and its parent
    hidden = options.hidden_sizes
    hidden = hidden if options.start_from == "fresh" else context.clone_widths(hidden)
    playing = worlds * environment.agents * (_AGENT_BYTES + FLOAT32 * len(environment.features))
    saved = context.checkpoint_bytes(hidden) + 2 * context.probe_bytes + playing
    checkpoints = iterations // options.checkpoint_every if options.checkpoint_every else 0
    disk = context.network_bytes(hidden) + context.probe_bytes + checkpoints * saved
    return Cost(agent_steps=agent_steps, disk=disk, least_agent_steps=least)


def _last_beginning(options: PPOSpec, context: CostContext) -> float:
    """Return the agent-steps at which the last iteration of a visit begins; its ramps are read there last."""
    own = context.plan.schedule.environment.worlds * context.environment.agents * options.num_steps
    played = context.recordings.get("experience", {}).values()
    recorded = max((ranges.get("samples", (0.0, inf))[1] for ranges in played), default=inf)
    first, later = {"own": (own, own), "recorded": (recorded, recorded)}.get(options.experience, (recorded, own))
    iterations = options.iterations or ceil(options.agent_steps / max(later, 1))
    return 0.0 if iterations <= 1 else first + (iterations - 2) * later


def _problems(options: PPOSpec, context: CostContext) -> Iterator[Problem]:
    """Yield the ramps that end before the actor's learning rate leaves 0, and those that train nothing."""
    last = _last_beginning(options, context)
    for index, ramp in enumerate(options.ramps[: context.plan.most_visits[context.state]]):
        learns = {
            name: factor_at(points, last) > 0 or any(x <= last and y > 0 for x, y in points)
            for name, points in (("actor", ramp.actor), ("critic", ramp.critic))
        }
        if not any(learns.values()):
            yield Problem(
                ("ramps", index),
                "nothing would be trained: the learning rates of actor and critic are 0 in every iteration",
            )
        elif not learns["actor"] and any(y > 0 for _, y in ramp.actor):
            begins = max(x for x, y in ramp.actor[: next(i for i, (_, y) in enumerate(ramp.actor) if y > 0)])
            yield Problem(
                ("ramps", index, "actor"),
                f"the policy would not change: the last iteration begins at {last:,.0f} agent-steps, and up to "
                f"{begins:,.0f} the actor's learning rate is 0; train longer, or let the ramp begin earlier",
            )


def _shrink(options: PPOSpec) -> PPOSpec:
    """Return two iterations: one as a visit begins, one with every part of the loss at its full weight."""
    watch = None if options.watch is None else attrs.evolve(options.watch, every=1)
    return attrs.evolve(
        options,
        iterations=2,
        num_steps=min(16, options.num_steps),
        days=1,
        update_epochs=1,
        checkpoint_every=min(1, options.checkpoint_every),
        watch=watch,
        ramps=tuple(_shrunk_ramp(ramp) for ramp in options.ramps),
    )


def _shrunk_ramp(ramp: RampSpec) -> RampSpec:
    """Return a ramp that goes from its first values to its largest within one agent-step.

    The teacher never drives all worlds at its end: the policy's own decisions are rehearsed too.
    """
    ends = {name: max(y for _, y in points) for name, points in attrs.asdict(ramp).items()}
    ends["teacher_share"] = min(ends["teacher_share"], 0.5)
    return RampSpec(**{name: ((0.0, points[0][1]), (1.0, ends[name])) for name, points in attrs.asdict(ramp).items()})


ENTRIES = (
    StrategyEntry(
        name="ppo",
        doc="The clone is fine-tuned on its own experience.",
        strategy=f"{__name__}:PPOStrategy",
        spec=PPOSpec,
        result=PPOTrainingResult,
        consumes=_consumes,
        produces=frozenset({"candidate"}),
        cost=_cost,
        problems=_problems,
        shrink=_shrink,
        requires_torch=True,
        device_option="device",
        start_option="start_from",
    ),
)


@frozen
class PPOStrategy:
    """Proximal policy optimisation over all agents with shared parameters; acting is numpy, updates are torch."""

    name: str = "ppo"
    requires_torch: bool = True

    def prepare(self, context: TrainingContext) -> None:
        """Refuse without torch or its device, or with a parent that does not fit."""
        require_torch(f"state {context.visit.state!r} (strategy ppo)", context.options_as(PPOSpec).device)
        if "start" in context.inputs:
            context.weights(context.inputs["start"])

    def run(self, context: TrainingContext) -> PPOTrainingResult:
        """Train until the agent-steps are reached, the update diverges or a cliff is seen."""
        from townlet.policy.model.torch_network import device_name
        from townlet.policy.ppo.learner import Learner

        started, spec, description = perf_counter(), context.options_as(PPOSpec), context.description
        checkpoints = VisitCheckpoints(context=context, every=spec.checkpoint_every)
        checkpoint = checkpoints.load()
        data = PPODataSource.for_visit(context, spec, checkpoint)
        parent = _parent(context, spec, data, checkpoint)
        demonstrations = demonstrations_of(context, spec, parent)
        learner = Learner(parent, spec, description.discount if spec.gamma is None else spec.gamma, demonstrations)
        watch = CliffWatch.for_visit(context, spec, parent)
        progress = (
            Progress(weights=learner.weights(), next_check=spec.watch.every if spec.watch else 0)
            if checkpoint is None
            else Progress.from_checkpoint(checkpoint, learner, data, watch)
        )
        _train(context, spec, data, learner, watch, progress, checkpoints)
        weights = watch.best.weights if progress.cliff and watch is not None and watch.best else progress.weights
        probe = parent.probe or probe_of(data.last, parent)
        metadata = {"device": device_name(learner.device), "resumable": data.resume_kind(spec)}
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
            numbers |= {"watched": check.mean, "watched_difference": check.difference}
        context.telemetry.emit(iteration + 1, numbers, of=iterations, agent_steps=progress.agent_steps)
        if ends or progress.cliff:
            break
        checkpoints.maybe_save(iteration + 1, partial(progress.to_checkpoint, learner, data, watch))


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
    from townlet.policy.model.torch_network import parity

    difference = parity(weights.actor, normalise(probe.observations, weights.mean, weights.scale))
    weights = attrs.evolve(weights, metadata=attrs.evolve(weights.metadata, parity=difference), probe=None)
    weights = attrs.evolve(weights, probe=make_probe(weights, probe.observations, probe.action_mask))
    last = progress.history[-_LAST:]

    def mean(name: str) -> float:
        return float(np.mean([attrs.asdict(statistics)[name] for statistics in last]))

    return PPOTrainingResult(
        weights=context.blobs.put(weights.to_bytes()),
        flags=("cliff",) * progress.cliff + ("diverged",) * bool(progress.nonfinite) + ("reset",) * data.was_reset,
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

"""What ppo declares of its options: inputs, cost, ramps that are never reached, and the small ones of a rehearsal."""

from collections.abc import Iterator
from math import ceil, inf

import attrs

from townlet.dto.codec import Problem
from townlet.dto.policy_ref import NO_TEACHER
from townlet.dto.strategies import PPOSpec, RampSpec
from townlet.machine.catalogue import FLOAT32, Cost, CostContext, Input
from townlet.policy.ppo.ramps import factor_at

__all__ = ["consumes", "cost", "problems", "shrink"]

_AGENT_BYTES = 512
"""Bytes of an environment's state per agent, roughly."""


def consumes(options: PPOSpec) -> tuple[Input, ...]:
    """Return what a visit needs: the weights it starts from, and recorded play where it learns from it."""
    start = () if options.start_from == "fresh" else (Input(options.start_from, "start_from"),)
    return start if options.experience == "own" else (*start, Input("experience", "experience"))


def cost(options: PPOSpec, context: CostContext) -> Cost:
    """Return agent-steps and disk of one visit."""
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


def problems(options: PPOSpec, context: CostContext) -> Iterator[Problem]:
    """Yield more worlds or longer episodes than the environment plays, and ramps that train nothing or no actor."""
    if options.experience != "recorded":
        if problem := context.environment.limit_problem(worlds=context.plan.schedule.environment.worlds):
            yield Problem((), f"environment.worlds: {problem}")
        length = context.environment.episode_length(options.days, options.max_steps)
        if problem := context.environment.limit_problem(steps=length):
            yield Problem(("days" if options.max_steps is None else "max_steps",), problem)
    if context.plan.schedule.teacher == NO_TEACHER:
        for index, ramp in enumerate(options.ramps):
            if any(share > 0 for _, share in ramp.teacher_share):
                yield Problem(
                    ("ramps", index, "teacher_share"),
                    "the schedule has no teacher that could drive worlds; name one (teacher: …), or leave it out",
                )
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


def shrink(options: PPOSpec) -> PPOSpec:
    """Return two iterations: one as a visit begins, one with every part of the loss at its full weight."""
    watch = None if options.watch is None else attrs.evolve(options.watch, every=1)
    return attrs.evolve(
        options,
        iterations=2,
        num_steps=min(16, options.num_steps),
        days=1,
        update_epochs=min(2, options.update_epochs),  # the second pass meets a policy that has changed
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

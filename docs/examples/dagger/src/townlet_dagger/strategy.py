"""DAgger (Ross, Gordon & Bagnell 2011): the clone plays, the teacher labels, the data set grows, the clone is refitted.

One visit is one iteration i of algorithm 3.1: episodes are played by the mixture π_i = β_i π* + (1 − β_i) π̂_i with
β_i = βⁱ, every state that was seen is labelled by the teacher π*, the labelled play is added to the data set, and a
new clone π̂_{i+1} is fitted to all of it. A schedule visits the state as often as its guards ask for.
"""

from time import perf_counter

import attrs
import numpy as np
from attrs import frozen

from townlet.dto.fields import Direction, metric
from townlet.dto.policy import FineTuningResult
from townlet.dto.quantities import Percent
from townlet.dto.strategies import BCSpec, count, fraction, reference
from townlet.machine.catalogue import Cost, CostContext, Input, StrategyEntry
from townlet.policy.data.dataset import Dataset, label_dtype
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.strategies.bc import ENTRIES as BC_ENTRIES
from townlet.policy.training.strategies.bc import BCStrategy
from townlet.ports import teacher_actions
from townlet.rng import derive, mix, uniform

__all__ = ["ENTRY", "DAggerResult", "DAggerSpec", "DAggerStrategy"]

_MIXTURE = 0xDA
"""Stream of the mixture: who chooses a decision's action."""


@frozen(kw_only=True)
class DAggerSpec(BCSpec):
    """One iteration of DAgger; the options of bc say how the clone is refitted."""

    start_from: str = reference("weights", "clone")
    """Clone that plays in the run's first iteration; later ones play the candidate."""
    episodes: int = count(32)
    """Episodes (one per world) to play and label."""
    beta: Percent = fraction(Percent(0.5))
    """β: the teacher chooses the action with probability βⁱ in iteration i, else the clone."""


@frozen(kw_only=True)
class DAggerResult(FineTuningResult):
    """A clone that was refitted to the grown data set."""

    agreement: float = metric("fraction", Direction.HIGHER)
    """Share of decisions in the new episodes at which the clone before this iteration chose the teacher's action."""
    heldout_accuracy: float = metric("fraction", Direction.HIGHER)
    """Share of held-out unforced decisions at which the new clone's greedy action is the teacher's."""
    episodes: float = metric("episodes", Direction.HIGHER)
    """Episodes in the grown data set."""


@frozen
class DAggerStrategy:
    """Plays, labels, adds and refits; the refit and its checkpoints are bc's."""

    name: str = "dagger"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse without a data set to add to, or a clone that fits the environment."""
        BCStrategy().prepare(context)
        context.weights(context.input("start"))

    def run(self, context: TrainingContext) -> DAggerResult:
        """Make one iteration; a visit that was cut off plays the same episodes again and goes on with the fit."""
        started, options = perf_counter(), context.options_as(DAggerSpec)
        recorded = context.services.replay.load(context.input("dataset"))
        played, agreement = _play(context, options, decisions=len(recorded.labels))
        grown = context.blobs.put(_joined(recorded, played).to_bytes())
        visit = attrs.evolve(context.visit, inputs={**context.inputs, "dataset": grown})
        fitted = BCStrategy().run(context.for_visit(visit))
        return DAggerResult(
            weights=fitted.weights,
            parent=context.input("start"),
            blobs={"dataset": grown},
            flags=fitted.flags,
            agreement=agreement,
            heldout_accuracy=fitted.heldout_accuracy,
            episodes=float(recorded.labels.shape[1] + options.episodes),
            agent_steps=played.labels.size,
            duration=perf_counter() - started,
        )


def _play(context: TrainingContext, options: DAggerSpec, decisions: int) -> tuple[Dataset, float]:
    """Return `decisions` decisions of the mixture, labelled by the teacher, and the share at which both agreed."""
    scenario = context.schedule.environment.scenario
    teacher = context.environments.teacher(scenario, context.schedule.teacher)
    clone = context.weights(context.input("start")).policy("greedy")
    environment = context.environments.make(
        scenario,
        worlds=options.episodes,
        seed=derive(context.visit.seed, "episodes"),
        max_steps=decisions,
    )
    share = np.float32(options.beta**context.visit.number)
    rows, agreed, spec = [], [], environment.description.actions
    observed = environment.reset()
    for _ in range(decisions):
        label, own = teacher_actions(teacher, observed, spec), clone.act(observed)
        agreed.append((label == own).all(-1)[observed.alive])
        row = {
            "observations": observed.observations.copy(),
            "action_mask": observed.action_mask.copy(),
            "labels": label.astype(label_dtype(spec)),
            "alive": observed.alive.copy(),
        }
        agents = np.arange(label.shape[1], dtype=np.uint64)
        by_teacher = uniform(mix(mix(observed.keys, _MIXTURE)[:, None], agents)) < share
        step = environment.step(np.where(by_teacher[..., None], label, own))
        rows.append(row | {"rewards": step.rewards.copy(), "terminations": step.terminations.copy()})
        observed = step.observations
    metadata = context.services.replay.load(context.input("dataset")).metadata
    played = Dataset(metadata=metadata, **{name: np.stack([row[name] for row in rows]) for name in rows[0]})
    return played, float(np.concatenate(agreed).mean())


def _joined(recorded: Dataset, played: Dataset) -> Dataset:
    """Return both data sets as one, the new episodes behind the old ones on axis W."""
    both = {name: np.concatenate([old, played.tensors[name]], axis=1) for name, old in recorded.tensors.items()}
    return Dataset(metadata=recorded.metadata, **both)


def _cost(options: DAggerSpec, context: CostContext) -> Cost:
    fit = BC_ENTRIES[0].cost(options, context)
    captured = [state for state in context.plan.options.values() if hasattr(state, "days") and hasattr(state, "player")]
    days = max((state.days for state in captured), default=1)
    agent_steps = options.episodes * context.environment.episode_length(days) * context.environment.agents
    row = 4 * (len(context.environment.features) + 2) + context.environment.actions.logits + 4
    visits = context.plan.most_visits[context.state]
    before = sum(state.episodes for state in captured) * agent_steps // options.episodes
    return Cost(agent_steps=agent_steps, disk=fit.disk + (before + visits * agent_steps) * row)


ENTRY = StrategyEntry(
    name="dagger",
    doc="The clone plays, the teacher labels, and a new clone is fitted to the grown data set.",
    strategy=f"{__name__}:DAggerStrategy",
    spec=DAggerSpec,
    result=DAggerResult,
    consumes=lambda options: (Input("dataset"), Input(options.start_from, "start_from")),
    produces=frozenset({"dataset", "candidate"}),
    cost=_cost,
    shrink=lambda options: attrs.evolve(BC_ENTRIES[0].shrink(options), episodes=min(4, options.episodes)),
    gpu_requires_torch=True,
    device_option="device",
    start_option="start_from",
)

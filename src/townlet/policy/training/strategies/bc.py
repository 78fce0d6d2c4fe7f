"""bc: a network is cloned from the recorded teacher; it warm-starts both the actor and the critic of ppo."""

from collections.abc import Iterator
from math import ceil, inf
from time import perf_counter
from typing import TYPE_CHECKING

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.codec import Problem
from townlet.dto.policy import BCTrainingResult
from townlet.dto.strategies import PROBE_ROWS, BCSpec
from townlet.errors import BadInputError, StrategyFailedError
from townlet.machine.catalogue import Cost, CostContext, Input, StrategyEntry
from townlet.policy.advantages import discounted_returns, return_horizon
from townlet.policy.bc.heldout_scores import heldout_r2, worst_recall
from townlet.policy.data.dataset import Dataset, flatten, split_episodes
from townlet.policy.data.demonstrations import Demonstrations
from townlet.policy.model.device import choose_device, device_name, training_defaults
from townlet.policy.model.forward import normalise
from townlet.policy.model.initialise import fresh_layers, without_inputs
from townlet.policy.model.parity import parity
from townlet.policy.model.weights import Weights, WeightsMetadata, make_probe
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.data_sets import read_demonstrations
from townlet.policy.training.strategies.base import require_device
from townlet.rng import seed_sequence

if TYPE_CHECKING:
    from townlet.policy.bc.state import CloneResult
    from townlet.policy.training.bc_progress import CloneFits

__all__ = ["ENTRIES", "BCStrategy"]


def _cost(options: BCSpec, context: CostContext) -> Cost:
    passes = options.update_epochs + options.value_epochs
    checkpoints = passes // options.checkpoint_every if options.checkpoint_every else 0
    saved = checkpoints * context.checkpoint_bytes(options.hidden_sizes)
    return Cost(disk=context.network_bytes(options.hidden_sizes) + context.probe_bytes + saved)


def _problems(options: BCSpec, context: CostContext) -> Iterator[Problem]:
    """Yield where lives last as long as their episode and no captured one is long enough for the critic's targets."""
    gamma = context.environment.discount if options.gamma is None else options.gamma
    captured = context.recordings.get("dataset", {})
    if options.data is not None or not options.value_epochs or gamma >= 1 or not captured:
        return  # without a discount only lives that end have a return, however long the episodes are
    if context.environment.lives_end is not False:
        return  # the return of a life that ended is exact; whether any does, the recording shows
    ticks = max(ranges.get("ticks", (0.0, inf))[1] for ranges in captured.values())
    decisions, least = ticks / context.environment.ticks_per_decision, return_horizon(gamma) + 1
    if decisions < least:
        yield Problem(
            ("gamma",) if options.gamma is not None else ("value_epochs",),
            f"the critic's targets need episodes of {ceil(least)} decisions (3 ÷ (1 − {gamma:g}) and one more), and "
            f"those of {' and '.join(captured)} have {decisions:.0f}; "
            f"capture {context.environment.in_words(ceil(least))}, or set value_epochs: 0",
        )


def _shrink(options: BCSpec) -> BCSpec:
    return attrs.evolve(
        options,
        update_epochs=1,
        value_epochs=min(1, options.value_epochs),
        checkpoint_every=min(1, options.checkpoint_every),
    )


ENTRIES = (
    StrategyEntry(
        name="bc",
        doc="A network is cloned from the recorded teacher.",
        strategy=f"{__name__}:BCStrategy",
        spec=BCSpec,
        result=BCTrainingResult,
        consumes=lambda options: (Input("dataset"),) if options.data is None else (),
        produces=frozenset({"clone", "candidate"}),
        cost=_cost,
        problems=_problems,
        shrink=_shrink,
        gpu_requires_torch=True,
        device_option="device",
    ),
)


@frozen
class BCStrategy:
    """Masked, smoothed cross-entropy on the teacher's unforced actions; value head fitted to the captured returns."""

    name: str = "bc"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse without the device or without a data set."""
        spec = context.options_as(BCSpec)
        require_device(f"state {context.visit.state!r} (strategy bc)", spec.device)
        if spec.data is None:
            context.input("dataset")
        else:
            read_demonstrations(spec.data, context.environments, context.description)

    def run(self, context: TrainingContext) -> BCTrainingResult:
        """Clone, pre-fit the critic, certify and store the weights."""
        with training_defaults(context.options_as(BCSpec).device):
            return self._run(context)

    def _run(self, context: TrainingContext) -> BCTrainingResult:
        from townlet.policy.training.bc_progress import CloneFits

        started, spec = perf_counter(), context.options_as(BCSpec)
        demonstrations, digest = _demonstrations(context, spec)
        dataset = demonstrations.dataset
        rng = np.random.default_rng(seed_sequence(context.visit.seed, "bc"))
        training, heldout = split_episodes(dataset.labels.shape[1], spec.heldout, rng)
        mean, scale = dataset.normaliser()
        train, held = flatten(dataset, training, mean, scale), flatten(dataset, heldout, mean, scale)
        if not len(train.labels) or not len(held.labels):
            raise StrategyFailedError(f"data set {digest[:12]} holds no decision at which the teacher had a choice")
        inputs, actions = len(dataset.metadata.features), dataset.metadata.spec
        actor = without_inputs(
            ~demonstrations.known, fresh_layers(rng, (inputs, *spec.hidden_sizes, len(actions.outputs)), 0.01)
        )
        returns = _complete_returns(spec, dataset, training)
        fits = CloneFits.for_visit(context, spec)
        fit = fits.clone(actor, actions, train, held, rng).result(spec, len(train.labels))
        weights, value_loss = _with_critic(spec, demonstrations, training, returns, fit, (mean, scale), fits, rng)
        numbers = dataset.numbers(heldout, dataset.unforced[:, heldout])
        rows = rng.choice(len(numbers), min(PROBE_ROWS, len(numbers)), replace=False)
        probe = make_probe(weights, dataset.observed(numbers[rows]), held.action_mask[rows])
        difference = parity(weights.actor, normalise(probe.observations, mean, scale))
        metadata = attrs.evolve(weights.metadata, parity=difference, spaces=context.description.spaces)
        weights = attrs.evolve(weights, probe=probe, metadata=metadata)
        return BCTrainingResult(
            weights=context.blobs.put(weights.to_bytes()),
            flags=("early_stop",) * fit.stopped_early + ("features_missing",) * bool(demonstrations.missing),
            heldout_accuracy=fit.heldout_accuracy,
            heldout_nll=fit.heldout_nll,
            heldout_r2=heldout_r2(fit.layers, held, actions),
            train_accuracy=fit.train_accuracy,
            train_loss=fit.train_loss,
            value_loss=value_loss,
            worst_recall=worst_recall(fit.recalls, held.labels, actions),
            epochs=fit.epochs,
            samples=len(train.labels),
            dataset=digest,
            manifest="" if spec.data is None else spec.data.manifest or spec.data.minari or "",
            parity=difference,
            device=device_name(choose_device(spec.device)),
            resumable="exact" if spec.checkpoint_every else "none",
            samples_per_second=fit.samples_per_second,
            duration=perf_counter() - started,
        )


def _demonstrations(context: TrainingContext, spec: BCSpec) -> tuple[Demonstrations, str]:
    """Return what is cloned and its digest: what the run captured, or a data set from outside."""
    if spec.data is None:
        digest = context.input("dataset")
        return Demonstrations(dataset=context.services.replay.load(digest)), digest
    return read_demonstrations(spec.data, context.environments, context.description), spec.data.sha256


def _complete_returns(
    spec: BCSpec, dataset: Dataset, episodes: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the discounted returns of episodes, and where they are complete and belong to a living agent [T, E, N].

    BadInputError where the critic is to be fitted and there is none; asked for before anything is cloned.
    """
    gamma = dataset.metadata.discount if spec.gamma is None else spec.gamma
    alive, ended = dataset.alive[:, episodes], dataset.terminations[:, episodes]
    cut = alive & ~ended
    cut[:-1] &= ~alive[1:]  # who lives after the decision was not cut off by it
    returns, complete = discounted_returns(dataset.rewards[:, episodes], ended, cut, gamma=gamma)
    complete &= alive
    if spec.value_epochs and not complete.any():
        raise BadInputError(
            f"captured episodes of {len(returns)} decisions are no longer than 3 ÷ (1 − {gamma:g}) = "
            f"{return_horizon(gamma):.0f}, and no life ends in them: every return is cut off; capture more days, or "
            "set value_epochs: 0"
        )
    return returns, complete


def _with_critic(
    spec: BCSpec,
    demonstrations: Demonstrations,
    episodes: NDArray[np.intp],
    captured: tuple[NDArray[np.float32], NDArray[np.bool_]],
    fit: "CloneResult",
    normaliser: tuple[NDArray[np.float32], NDArray[np.float32]],
    fits: "CloneFits",
    rng: np.random.Generator,
) -> tuple[Weights, float]:
    """Return the clone with a critic fitted to the captured returns, and the fit's loss."""
    returns, complete = captured
    dataset = demonstrations.dataset
    targets = returns[complete]
    value_mean = float(targets.mean(dtype=np.float64)) if len(targets) else 0.0
    value_scale = max(float(targets.std(dtype=np.float64)), 1e-3) if len(targets) else 1.0
    observed = dataset.observed(dataset.numbers(episodes, complete))
    features = normalise(observed, *normaliser, out=observed)
    inputs = len(dataset.metadata.features)
    critic = without_inputs(~demonstrations.known, fresh_layers(rng, (inputs, *spec.hidden_sizes, 1), 1.0))
    scaled = ((targets - value_mean) / value_scale).astype(np.float32)
    fitted = fits.critic(critic, features, scaled, rng)
    metadata = WeightsMetadata(
        features=dataset.metadata.features,
        actions=dataset.metadata.spec.outputs,
        heads=dataset.metadata.spec.stored_heads,
        layers=len(fit.layers),
        environment=dataset.metadata.environment,
        parity=None,
    )
    return Weights(
        metadata=metadata,
        actor=fit.layers,
        critic=fitted.layers,
        mean=normaliser[0],
        scale=normaliser[1],
        value_mean=value_mean,
        value_scale=value_scale,
        log_std=fit.log_std,
    ), fitted.loss

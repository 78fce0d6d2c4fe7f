"""Behaviour cloning: the actor is fitted to the teacher's labels, the critic to the captured returns."""

import math
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.dto.strategies import BCSpec
from townlet.policy.bc.heldout_scores import heldout_r2, heldout_scores
from townlet.policy.bc.state import CloneState, ValueState
from townlet.policy.data.dataset import Samples
from townlet.policy.gradient.backend import GradientBackend, choose_backend
from townlet.policy.gradient.batch import Batch, Demonstrations, LossOptions, Minibatch, StepOptions, Terms
from townlet.policy.gradient.block_rows import USUAL_BLOCK
from townlet.policy.gradient.layout import ParameterViews
from townlet.policy.model.device import choose_device
from townlet.policy.model.forward import Layers
from townlet.policy.model.initialise import fresh_log_std

__all__ = ["clone_actor", "fit_critic"]

Report = Callable[[int, dict[str, float]], None]
"""Takes the epoch, counted from 1, and its metrics."""

_NO_ROWS = np.zeros(0, np.int64)


def _minibatches(rows: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of each minibatch of one epoch, shuffled."""
    yield from np.array_split(rng.permutation(rows), max(1, rows // size))


def _advance_rng(epochs: int, rows: int, rng: np.random.Generator) -> None:
    """Bring a generator to its state after some epochs: each draws one permutation."""
    for _ in range(epochs):
        rng.permutation(rows)


def _backend(
    parameters: ParameterViews,
    actions: ActionSpec,
    spec: BCSpec,
    moments: Mapping[str, NDArray[Any]],
    demonstrations: Demonstrations[NDArray[Any]] | None = None,
) -> GradientBackend:
    """Return what fits these parameters, with Adam in the state of these moments."""
    options = LossOptions(label_smoothing=spec.label_smoothing, max_grad_norm=spec.max_grad_norm)
    device = choose_device(spec.device)
    backend = choose_backend(parameters, actions, options, device, lambda: USUAL_BLOCK, demonstrations)
    backend.load_adam(moments)
    return backend


def _take_step(backend: GradientBackend, step: StepOptions, rows: NDArray[np.int64], kind: str) -> Terms[float]:
    """Take one step with clipped gradient norm, on rows or on demonstrations; return the losses before it."""
    minibatch = Minibatch(rows=_NO_ROWS, policy_rows=_NO_ROWS, demonstrations=_NO_ROWS, teacher_rows=_NO_ROWS)
    terms, _, _ = backend.gradient(attrs.evolve(minibatch, **{kind: rows}), step)
    backend.step(step)
    return terms


def clone_actor(
    start: Layers | CloneState,
    training: Samples,
    heldout: Samples,
    actions: ActionSpec,
    spec: BCSpec,
    rng: np.random.Generator,
    report: Report,
    after_epoch: Callable[[CloneState], None] = lambda _: None,
) -> CloneState:
    """Return the fit of the actor to the teacher's labels; it stops early when the held-out NLL no longer falls.

    `start` is a fresh actor or the state to continue from; `rng` has the state before the first epoch in both cases.
    `after_epoch` gets the state after each epoch.
    """
    state = start if isinstance(start, CloneState) else _initial_state(start, actions)
    count = len(training.labels)
    _advance_rng(state.epoch, count, rng)
    if state.finished(spec):
        return state
    demonstrations = Demonstrations(training.features, training.action_mask, training.labels)
    parameters = ParameterViews(state.layers, (), state.log_std)
    backend = _backend(parameters, actions, spec, state.adam_state, demonstrations)
    step = StepOptions(actor_rate=spec.learning_rate, imitation=1.0)
    while not state.finished(spec):
        start_time, loss_sum, correct = perf_counter(), 0.0, 0.0
        for rows in _minibatches(count, spec.minibatch_size, rng):
            terms = _take_step(backend, step, rows, "demonstrations")
            loss_sum += terms.total * len(rows)
            correct += terms.correct * len(rows) if actions.discrete else math.nan
        seconds = state.seconds + perf_counter() - start_time
        epoch, layers = state.epoch + 1, backend.layers()
        nll, accuracy, recalls = heldout_scores(layers.actor, layers.log_std, heldout, actions)
        numbers = {"train_loss": loss_sum / count, "heldout_nll": nll}
        numbers |= {"heldout_accuracy": accuracy} if actions.discrete else {}
        r2 = heldout_r2(layers.actor, heldout, actions)
        report(epoch, numbers if r2 is None else numbers | {"heldout_r2": r2})
        state = attrs.evolve(
            state,
            layers=layers.actor,
            log_std=layers.log_std,
            adam_state=backend.adam_state(),
            epoch=epoch,
            epochs_since_best=state.epochs_since_best + 1,
            loss_sum=loss_sum,
            correct=correct,
            seconds=seconds,
        )
        if nll < state.best[0]:
            state = attrs.evolve(
                state,
                best_layers=layers.actor,
                best_log_std=state.log_std,
                best=(nll, accuracy),
                recalls=recalls,
                epochs_since_best=0,
            )
        after_epoch(state)
    return state


def _initial_state(layers: Layers, actions: ActionSpec) -> CloneState:
    recalls, log_std = np.full(actions.logits, np.nan), fresh_log_std(actions)
    return CloneState(
        layers=layers,
        log_std=log_std,
        adam_state={},
        best_layers=layers,
        best_log_std=log_std,
        best=(np.inf, 0.0),
        recalls=recalls,
    )


def fit_critic(
    start: Layers | ValueState,
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    spec: BCSpec,
    rng: np.random.Generator,
    report: Report,
    after_epoch: Callable[[ValueState], None] = lambda _: None,
) -> ValueState:
    """Return the fit of the critic to normalised returns `targets` [B] of `features` [B, F].

    `start`, `rng` and `after_epoch` are as in `clone_actor`.
    """
    # Without a return to fit to, the loss is that of a critic that answers 0: half the variance of normalised returns.
    unfitted_loss = 0.5 * float(np.mean(np.square(targets))) if len(targets) else 0.5
    state = start
    if not isinstance(state, ValueState):
        state = ValueState(layers=state, adam_state={}, epoch=0, loss=unfitted_loss)
    _advance_rng(state.epoch, len(targets), rng)
    if state.epoch >= spec.value_epochs:
        return state
    parameters = ParameterViews((), state.layers, np.zeros(0, np.float32))
    backend = _backend(parameters, ActionSpec.one_of("none"), spec, state.adam_state)
    backend.use(Batch.without_decisions(features, targets))
    step = StepOptions(critic_rate=spec.learning_rate)
    while state.epoch < spec.value_epochs:
        loss = 0.0
        for rows in _minibatches(len(targets), spec.minibatch_size, rng):
            loss += _take_step(backend, step, rows, "rows").value * len(rows) / len(targets)
        epoch = state.epoch + 1
        report(epoch, {"value_loss": loss})
        state = ValueState(layers=backend.layers().critic, adam_state=backend.adam_state(), epoch=epoch, loss=loss)
        after_epoch(state)
    return state

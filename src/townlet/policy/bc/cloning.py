"""Behaviour cloning in torch: the actor is fitted to the teacher's labels, the critic to the captured returns."""

import math
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.dto.strategies import BCSpec
from townlet.policy.bc.heldout_scores import heldout_r2
from townlet.policy.bc.state import CloneState, ValueState
from townlet.policy.data.dataset import Samples
from townlet.policy.distributions.autograd import ActionDistribution
from townlet.policy.losses import value_error
from townlet.policy.model.adam import Adam
from townlet.policy.model.forward import Layers
from townlet.policy.model.initialise import fresh_log_std
from townlet.policy.model.torch_network import MLP, Actor, choose_device, to_device

__all__ = ["clone_actor", "fit_critic"]

_EVALUATION_ROWS = 65536
"""Rows of one forward pass over the held-out samples."""

Report = Callable[[int, dict[str, float]], None]
"""Takes the epoch, counted from 1, and its metrics."""


def _minibatches(rows: int, size: int, rng: np.random.Generator, device: torch.device) -> Iterator[torch.Tensor]:
    """Yield the row numbers of each minibatch of one epoch, shuffled."""
    shuffled = to_device(rng.permutation(rows), device)
    yield from torch.tensor_split(shuffled, max(1, rows // size))


def _advance_rng(epochs: int, rows: int, rng: np.random.Generator) -> None:
    """Bring a generator to its state after some epochs: each draws one permutation."""
    for _ in range(epochs):
        rng.permutation(rows)


def _optimizer(network: MLP, learning_rate: float, moments: Mapping[str, NDArray[Any]]) -> Adam:
    """Return the network's optimizer in the state of these moments."""
    optimizer = Adam(list(network.parameters()))
    optimizer.learning_rates = [learning_rate]
    optimizer.load(moments)
    return optimizer


def _optimizer_step(loss: torch.Tensor, network: MLP, optimizer: Adam, spec: BCSpec) -> float:
    """Take one step with clipped gradient norm and return the loss before it."""
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), spec.max_grad_norm)
    optimizer.step()
    return float(loss.detach())


def _correct(distribution: ActionDistribution, labels: torch.Tensor) -> torch.Tensor:
    """Return where the greedy option is the label's, for each discrete head: [B, K]."""
    return distribution.mode() == labels[:, : len(distribution.spec.discrete)]


def _evaluate(network: Actor, heldout: tuple[torch.Tensor, ...]) -> tuple[float, float, NDArray[np.float64]]:
    """Return NLL, accuracy and recalls [A] on held-out features [B, F], masks [B, A] and labels [B, C]."""
    (x, mask, label), spec = heldout, network.spec
    correct = [torch.zeros(len(head.options), dtype=torch.float64, device=x.device) for head in spec.discrete]
    nll = 0.0
    with torch.no_grad():
        for rows in torch.split(torch.arange(len(label), device=x.device), _EVALUATION_ROWS):
            distribution = network.distribution(x[rows], mask[rows])
            nll -= float(distribution.log_prob(label[rows]).double().sum())
            right = _correct(distribution, label[rows])
            for column, hits in enumerate(correct):
                options = label[rows, column].long()
                hits.add_(torch.bincount(options[right[:, column]], minlength=len(hits)))
    counts = [torch.bincount(label[:, k].long(), minlength=len(hits)).double() for k, hits in enumerate(correct)]
    recalls = [torch.where(n > 0, hits / n, torch.nan).cpu().numpy() for n, hits in zip(counts, correct, strict=True)]
    accuracy = sum(float(hits.sum()) for hits in correct) / len(label) / len(correct) if correct else math.nan
    return nll / len(label), accuracy, np.concatenate(recalls) if recalls else np.zeros(0)


def _tensors(samples: Samples, device: torch.device) -> tuple[torch.Tensor, ...]:
    return tuple(to_device(values, device) for values in (samples.features, samples.action_mask, samples.labels))


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
    _advance_rng(state.epoch, len(training.labels), rng)
    if state.finished(spec):
        return state
    device, heads = choose_device(spec.device), len(actions.discrete)
    network = Actor(state.layers, state.log_std, actions).to(device)
    optimizer = _optimizer(network, spec.learning_rate, state.adam_state)
    (x, mask, label), heldout_tensors = _tensors(training, device), _tensors(heldout, device)
    while not state.finished(spec):
        start_time, loss_sum, correct = perf_counter(), 0.0, 0.0
        for rows in _minibatches(len(label), spec.minibatch_size, rng, device):
            distribution = network.distribution(x[rows], mask[rows])
            loss = distribution.imitation_loss(label[rows], spec.label_smoothing).mean()
            loss_sum += _optimizer_step(loss, network, optimizer, spec) * len(rows)
            correct += float(_correct(distribution, label[rows]).sum()) / heads if heads else math.nan
        seconds = state.seconds + perf_counter() - start_time
        nll, accuracy, recalls = _evaluate(network, heldout_tensors)
        epoch, layers = state.epoch + 1, network.layers()
        numbers = {"train_loss": loss_sum / len(label), "heldout_nll": nll}
        numbers |= {"heldout_accuracy": accuracy} if heads else {}
        r2 = heldout_r2(layers, heldout, actions)
        report(epoch, numbers if r2 is None else numbers | {"heldout_r2": r2})
        state = attrs.evolve(
            state,
            layers=layers,
            log_std=network.log_std_array(),
            adam_state=optimizer.state(),
            epoch=epoch,
            epochs_since_best=state.epochs_since_best + 1,
            loss_sum=loss_sum,
            correct=correct,
            seconds=seconds,
        )
        if nll < state.best[0]:
            state = attrs.evolve(
                state,
                best_layers=layers,
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
    device = choose_device(spec.device)
    network = MLP(state.layers).to(device)
    optimizer = _optimizer(network, spec.learning_rate, state.adam_state)
    x, target = to_device(features, device), to_device(targets, device)
    while state.epoch < spec.value_epochs:
        loss = 0.0
        for rows in _minibatches(len(targets), spec.minibatch_size, rng, device):
            minibatch_loss = value_error(network(x[rows]).squeeze(-1), target[rows])
            loss += _optimizer_step(minibatch_loss, network, optimizer, spec) * len(rows) / len(targets)
        epoch = state.epoch + 1
        report(epoch, {"value_loss": loss})
        state = ValueState(layers=network.layers(), adam_state=optimizer.state(), epoch=epoch, loss=loss)
        after_epoch(state)
    return state

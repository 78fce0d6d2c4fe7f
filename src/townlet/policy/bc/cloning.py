"""Behaviour cloning in torch: the actor on the teacher's labels, the critic on the captured returns."""

from collections.abc import Callable, Iterator
from time import perf_counter

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from townlet.dto.strategies import BCSpec
from townlet.policy.bc.fits import CloneState, ValueState
from townlet.policy.data.dataset import Samples
from townlet.policy.losses import masked_log_probabilities, smoothed_cross_entropy, value_error
from townlet.policy.model.inference import Layers
from townlet.policy.model.torch_network import Trunk, choose_device, moments, moved, restore_moments

__all__ = ["clone_actor", "fit_critic"]

_ADAM_EPSILON = 1.0e-5


def _minibatches(rows: int, size: int, rng: np.random.Generator, device: torch.device) -> Iterator[torch.Tensor]:
    order = moved(rng.permutation(rows), device)
    yield from torch.tensor_split(order, max(1, rows // size))


def _skip(passes: int, rows: int, rng: np.random.Generator) -> None:
    """Leave a generator where it stands after some passes: each draws one permutation."""
    for _ in range(passes):
        rng.permutation(rows)


def _start(
    state: CloneState | ValueState, learning_rate: float, device: torch.device
) -> tuple[Trunk, torch.optim.Adam]:
    trunk = Trunk(state.layers).to(device)
    optimizer = torch.optim.Adam(trunk.parameters(), lr=learning_rate, eps=_ADAM_EPSILON, fused=True)
    restore_moments(optimizer, state.moments)
    return trunk, optimizer


def _descend(loss: torch.Tensor, trunk: Trunk, optimizer: torch.optim.Adam, spec: BCSpec) -> float:
    """Make one step down a loss and return it."""
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trunk.parameters(), spec.max_grad_norm)
    optimizer.step()
    return float(loss.detach())


def _judge(trunk: Trunk, held: tuple[torch.Tensor, ...], actions: int) -> tuple[float, float, NDArray[np.float64]]:
    x, mask, label = held
    hits = torch.zeros(actions, dtype=torch.float64, device=x.device)
    nll = 0.0
    with torch.no_grad():
        for part in torch.split(torch.arange(len(label), device=x.device), 65536):
            log_p = masked_log_probabilities(trunk(x[part]), mask[part])
            nll -= float(log_p.gather(1, label[part][:, None]).double().sum())
            hits += torch.bincount(label[part][log_p.argmax(-1) == label[part]], minlength=actions)
    counts = torch.bincount(label, minlength=actions).double()
    recalls = torch.where(counts > 0, hits / counts, torch.nan).cpu().numpy()
    return nll / len(label), float(hits.sum()) / len(label), recalls


def _tensors(samples: Samples, device: torch.device) -> tuple[torch.Tensor, ...]:
    return tuple(moved(values, device) for values in (samples.features, samples.action_mask, samples.labels))


def clone_actor(
    start: Layers | CloneState,
    training: Samples,
    heldout: Samples,
    spec: BCSpec,
    rng: np.random.Generator,
    report: Callable[[int, dict[str, float]], None],
    keep: Callable[[CloneState], None] = lambda _: None,
) -> CloneState:
    """Return the fit of the actor that best predicts the teacher's unforced held-out actions, stopping early on NLL.

    `start` is a fresh actor, or the state to go on from; `keep` hears the state after every pass. `rng` stands where
    it stood before the first pass.
    """
    state = start if isinstance(start, CloneState) else _untrained(start)
    _skip(state.epoch, len(training.labels), rng)
    if state.over(spec):
        return state
    device, actions = choose_device(spec.device), len(state.recalls)
    trunk, optimizer = _start(state, spec.learning_rate, device)
    (x, mask, label), held = _tensors(training, device), _tensors(heldout, device)
    while not state.over(spec):
        started, loss_sum, hits = perf_counter(), 0.0, 0.0
        for rows in _minibatches(len(label), spec.minibatch_size, rng, device):
            log_p = masked_log_probabilities(trunk(x[rows]), mask[rows])
            loss = smoothed_cross_entropy(log_p, mask[rows], label[rows], spec.label_smoothing)
            loss_sum += _descend(loss, trunk, optimizer, spec) * len(rows)
            hits += float((log_p.detach().argmax(-1) == label[rows]).sum())
        seconds = state.seconds + perf_counter() - started
        nll, accuracy, recalls = _judge(trunk, held, actions)
        epoch, layers = state.epoch + 1, trunk.layers()
        report(epoch, {"train_loss": loss_sum / len(label), "heldout_nll": nll, "heldout_accuracy": accuracy})
        state = attrs.evolve(
            state, layers=layers, moments=moments(optimizer), epoch=epoch, since=state.since + 1, loss_sum=loss_sum,
            hits=hits, seconds=seconds,
        )  # fmt: skip
        if nll < state.best[0]:
            state = attrs.evolve(state, best_layers=layers, best=(nll, accuracy), recalls=recalls, since=0)
        keep(state)
    return state


def _untrained(layers: Layers) -> CloneState:
    unknown = np.full(layers[-1][1].shape[0], np.nan)
    return CloneState(layers=layers, moments={}, best_layers=layers, best=(np.inf, 0.0), recalls=unknown)


def fit_critic(
    start: Layers | ValueState,
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    spec: BCSpec,
    rng: np.random.Generator,
    report: Callable[[int, dict[str, float]], None],
    keep: Callable[[ValueState], None] = lambda _: None,
) -> ValueState:
    """Return the critic fitted to normalised returns `targets` [B] of `features` [B, F].

    `start`, `rng` and `keep` are as in `clone_actor`.
    """
    # Without a known return nothing is fitted: a cold critic is half a normalised variance away.
    cold = 0.5 * float(np.mean(np.square(targets))) if len(targets) else 0.5
    state = start if isinstance(start, ValueState) else ValueState(layers=start, moments={}, epoch=0, loss_sum=cold)
    _skip(state.epoch, len(targets), rng)
    if state.epoch >= spec.value_epochs:
        return state
    device = choose_device(spec.device)
    trunk, optimizer = _start(state, spec.learning_rate, device)
    x, target = moved(features, device), moved(targets, device)
    while state.epoch < spec.value_epochs:
        loss_sum = 0.0
        for rows in _minibatches(len(targets), spec.minibatch_size, rng, device):
            loss = value_error(trunk(x[rows]).squeeze(-1), target[rows])
            loss_sum += _descend(loss, trunk, optimizer, spec) * len(rows) / len(targets)
        epoch = state.epoch + 1
        report(epoch, {"value_loss": loss_sum})
        state = ValueState(layers=trunk.layers(), moments=moments(optimizer), epoch=epoch, loss_sum=loss_sum)
        keep(state)
    return state

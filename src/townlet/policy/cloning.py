"""Behaviour cloning in torch: the actor on the teacher's labels, the critic on the captured returns."""

from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.strategies import BCSpec
from townlet.policy.dataset import Samples
from townlet.policy.inference import Layers
from townlet.policy.losses import masked_log_probabilities, smoothed_cross_entropy, value_error
from townlet.policy.network import Trunk

__all__ = ["CloneFit", "ValueFit", "clone_actor", "fit_critic"]

_ADAM_EPSILON = 1.0e-5


@frozen(kw_only=True, eq=False)
class CloneFit:
    """The actor of the best epoch and how it did."""

    layers: Layers
    """Of the epoch with the least held-out NLL."""
    heldout_nll: float
    """Nat per unforced held-out decision."""
    heldout_accuracy: float
    """Greedy agreement with the teacher on them."""
    train_accuracy: float
    """The same on the last training pass."""
    train_loss: float
    """Smoothed cross-entropy, mean of the last pass."""
    recalls: NDArray[np.float64]
    """[A] per label on held-out decisions; NaN where a label does not occur."""
    epochs: int
    """Passes made."""
    stopped_early: bool
    """Whether patience ran out."""
    samples_per_second: float
    """Training samples ÷ seconds of the passes."""


@frozen(kw_only=True, eq=False)
class ValueFit:
    """The fitted critic."""

    layers: Layers
    """Of the last epoch."""
    loss: float
    """Mean of the last pass, in units of the value normaliser."""


def _minibatches(rows: int, size: int, rng: np.random.Generator) -> Iterator[torch.Tensor]:
    order = torch.from_numpy(rng.permutation(rows))
    yield from torch.tensor_split(order, max(1, rows // size))


def _adam(trunk: Trunk, learning_rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(trunk.parameters(), lr=learning_rate, eps=_ADAM_EPSILON, fused=True)


def _judge(trunk: Trunk, samples: Samples, actions: int) -> tuple[float, float, NDArray[np.float64]]:
    x, mask, label = (torch.from_numpy(a) for a in (samples.features, samples.action_mask, samples.labels))
    hits = torch.zeros(actions, dtype=torch.float64)
    nll = 0.0
    with torch.no_grad():
        for part in torch.split(torch.arange(len(label)), 65536):
            log_p = masked_log_probabilities(trunk(x[part]), mask[part])
            nll -= float(log_p.gather(1, label[part][:, None]).double().sum())
            hits += torch.bincount(label[part][log_p.argmax(-1) == label[part]], minlength=actions)
    counts = torch.bincount(label, minlength=actions).double()
    recalls = torch.where(counts > 0, hits / counts, torch.nan).numpy()
    return nll / len(label), float(hits.sum()) / len(label), recalls


def clone_actor(
    layers: Layers,
    training: Samples,
    heldout: Samples,
    spec: BCSpec,
    rng: np.random.Generator,
    report: Callable[[int, dict[str, float]], None],
) -> CloneFit:
    """Return the actor that best predicts the teacher's unforced held-out actions, stopping early on their NLL."""
    trunk, actions = Trunk(layers), layers[-1][1].shape[0]
    optimizer = _adam(trunk, spec.learning_rate)
    x, mask, label = (torch.from_numpy(a) for a in (training.features, training.action_mask, training.labels))
    best_layers, best, since, seconds, epoch = layers, (np.inf, 0.0, np.full(actions, np.nan)), 0, 0.0, 0
    loss_sum = hits = 0.0
    for epoch in range(1, spec.update_epochs + 1):
        started, loss_sum, hits = perf_counter(), 0.0, 0.0
        for rows in _minibatches(len(label), spec.minibatch_size, rng):
            log_p = masked_log_probabilities(trunk(x[rows]), mask[rows])
            loss = smoothed_cross_entropy(log_p, mask[rows], label[rows], spec.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trunk.parameters(), spec.max_grad_norm)
            optimizer.step()
            loss_sum += float(loss.detach()) * len(rows)
            hits += float((log_p.detach().argmax(-1) == label[rows]).sum())
        seconds += perf_counter() - started
        judged = _judge(trunk, heldout, actions)
        report(epoch, {"train_loss": loss_sum / len(label), "heldout_nll": judged[0], "heldout_accuracy": judged[1]})
        if judged[0] < best[0]:
            best_layers, best, since = trunk.layers(), judged, 0
        else:
            since += 1
            if since >= spec.patience:
                break
    return CloneFit(
        layers=best_layers,
        heldout_nll=best[0],
        heldout_accuracy=best[1],
        train_accuracy=hits / len(label),
        train_loss=loss_sum / len(label),
        recalls=best[2],
        epochs=epoch,
        stopped_early=since >= spec.patience,
        samples_per_second=epoch * len(label) / max(seconds, 1e-9),
    )


def fit_critic(
    layers: Layers,
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    spec: BCSpec,
    rng: np.random.Generator,
    report: Callable[[int, dict[str, float]], None],
) -> ValueFit:
    """Return the critic fitted to normalised returns `targets` [B] of `features` [B, F]."""
    trunk = Trunk(layers)
    optimizer = _adam(trunk, spec.learning_rate)
    x, target = torch.from_numpy(features), torch.from_numpy(targets)
    # Without a known return nothing is fitted: a cold critic is half a normalised variance away.
    loss_sum = 0.5 * float(np.mean(np.square(targets))) if len(targets) else 0.5
    for epoch in range(1, spec.value_epochs + 1):
        loss_sum = 0.0
        for rows in _minibatches(len(targets), spec.minibatch_size, rng):
            loss = value_error(trunk(x[rows]).squeeze(-1), target[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trunk.parameters(), spec.max_grad_norm)
            optimizer.step()
            loss_sum += float(loss.detach()) * len(rows) / len(targets)
        report(epoch, {"value_loss": loss_sum})
    return ValueFit(layers=trunk.layers(), loss=loss_sum)

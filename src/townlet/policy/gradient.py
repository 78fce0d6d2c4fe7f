"""PPO's loss and its gradient on the processor, by hand: numpy's matrix products, and kernels for all between them.

The same loss as `policy.objective` differentiates by autograd, term by term, with torch's subgradients; torch-free.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.strategies import PPOSpec
from townlet.policy.inference import ILLEGAL
from townlet.policy.kernels import lift, normalise, shift, spread, stop, surrogate, value_errors
from townlet.policy.minibatch import Batch, Shard, Terms
from townlet.policy.ramps import Ramp

__all__ = ["SHARDS", "Bench", "gradient"]

Numbers = NDArray[Any]
Layers = tuple[tuple[Numbers, Numbers], ...]

SHARDS = 2
"""Parts of a minibatch, one thread each, the same on any machine."""


class _Trunk:
    """One trunk's way there and back: views of its weights, where their gradient goes, room for what lies between."""

    def __init__(self, layers: Layers, found: Layers) -> None:
        self.layers, self.found = layers, found
        self.kind = layers[0][0].dtype.type
        self._there = [_Room(bias.shape, self.kind) for _, bias in layers]
        self._back = [_Room(bias.shape, self.kind) for _, bias in layers[:-1]]
        self._ones = _Room((), self.kind)

    def forward(self, x: Numbers) -> Numbers:
        """Return outputs [B, out] for inputs [B, in]; they are this trunk's own until it goes forward again."""
        for index, ((weight, bias), room) in enumerate(zip(self.layers, self._there, strict=True)):
            y = np.matmul(x, weight, out=room.of(len(x)))
            lift(y, bias, self.kind(0 if index < len(self.layers) - 1 else -np.inf))
            x = y
        return x

    def backward(self, x: Numbers, d: Numbers) -> None:
        """Write the gradient of the weights, given what `forward` was and its outputs' derivatives [B, out]."""
        ones = self._ones.of(len(x))
        ones.fill(1)
        for index in range(len(self.layers) - 1, -1, -1):
            before = self._there[index - 1].of(len(x)) if index else x
            to_weight, to_bias = self.found[index]
            np.matmul(before.T, d, out=to_weight)
            np.matmul(ones, d, out=to_bias)
            if index:
                d = np.matmul(d, self.layers[index][0].T, out=self._back[index - 1].of(len(x)))
                stop(d, before, self.kind(0))


class _Room:
    """Rows that are made once and used again; more are made where more are asked for."""

    def __init__(self, shape: tuple[int, ...], kind: Any) -> None:
        self._rows = np.empty((0, *shape), kind)

    def of(self, rows: int) -> Numbers:
        """Return the first `rows` rows, whatever they hold."""
        if rows > len(self._rows):
            self._rows = np.empty((rows + rows // 8, *self._rows.shape[1:]), self._rows.dtype)
        return self._rows[:rows]


class Bench:
    """What one shard is worked on: its gradient, and all arrays that lie on the way to it."""

    def __init__(self, actor: Layers, critic: Layers) -> None:
        """Take the weights as views: what an optimizer changes in place is what is differentiated next."""
        sizes = [array.size for layers in (actor, critic) for layer in layers for array in layer]
        self.kind = actor[0][0].dtype.type
        self.gradient = np.zeros(sum(sizes), self.kind)
        """Of all parameters: layer by layer weight and bias, actor before critic."""
        self.parameters = _cut(self.gradient, (*actor, *critic))
        """The same numbers in the shapes of the layers."""
        self.actor = _Trunk(actor, self.parameters[: len(actor)])
        self.critic = _Trunk(critic, self.parameters[len(actor) :])
        self.of_actor = self.gradient[: sum(sizes[: 2 * len(actor)])]
        features, actions = actor[0][0].shape[0], actor[-1][1].shape[0]
        self.x, self.p, self.anchor, self.q = (
            _Room((width,), self.kind) for width in (features, actions, actions, actions)
        )
        self.mask, self.actions = _Room((actions,), np.bool_), _Room((), np.int64)
        self.log_sums, self.chosen, self.ratio, self.slope, self.targets, self.old = (
            _Room((), self.kind) for _ in range(6)
        )


def _cut(flat: Numbers, layers: Layers) -> Layers:
    """Return views of a flat array in the shapes of layers."""
    found, start = [], 0
    for layer in layers:
        parts = []
        for array in layer:
            parts.append(flat[start : start + array.size].reshape(array.shape))
            start += array.size
        found.append((parts[0], parts[1]))
    return tuple(found)


def _gathered(source: Numbers, rows: Numbers, room: _Room) -> Numbers:
    return np.take(source, rows, 0, out=room.of(len(rows)), mode="clip")


def gradient(
    bench: Bench, shard: Shard[Numbers], batch: Batch[Numbers], ramp: Ramp, spec: PPOSpec
) -> tuple[Terms[float], bool]:
    """Leave a shard's part of the gradient on its bench; return its parts of the terms, and whether the actor has any.

    Without a part the actor's gradient is zeros.
    """
    own = shard.own if ramp.actor > 0 else shard.own[:0]
    rows, shown = len(shard.rows), 0 if shard.shown is None else len(shard.shown.labels)
    x = bench.x.of(rows + (0 if shard.own is shard.rows else len(own)) + shown)
    np.take(batch.features, shard.rows, 0, out=x[:rows], mode="clip")
    value = _critic(bench, x[:rows], shard, batch, spec)
    total = spec.vf_coef * value
    if not len(own) + shown:
        bench.of_actor.fill(0)
        return Terms(total, 0.0, value, 0.0, 0.0, 0.0, 0.0), False
    first = len(x) - shown - len(own)
    if shard.own is not shard.rows:
        np.take(batch.features, own, 0, out=x[first : first + len(own)], mode="clip")
    if shard.shown is not None:
        x[len(x) - shown :] = shard.shown.features
    policy, imitation = _actor(bench, x[first:], own, shard, batch, ramp, spec)
    total += policy.total + shard.shares[2] * ramp.bc_weight * imitation
    return policy._replace(total=total, value=value), True


def _critic(bench: Bench, x: Numbers, shard: Shard[Numbers], batch: Batch[Numbers], spec: PPOSpec) -> float:
    """Write the critic's gradient and return this shard's part of its error."""
    of, rows, kind = shard.shares[0] / len(x), shard.rows, bench.kind
    v = bench.critic.forward(x)
    flat, clip, sums = v[:, 0], spec.vf_clip_coef, np.zeros(1)
    old = flat if clip is None else _gathered(batch.old_values, rows, bench.old)
    weights = (kind(spec.vf_coef * of), kind(clip or 0.0), kind(0), kind(0.5), kind(1))
    value_errors(flat, _gathered(batch.targets, rows, bench.targets), old, weights, sums)
    bench.critic.backward(x, v)
    return float(0.5 * of * sums[0])


def _actor(
    bench: Bench,
    x: Numbers,
    own: Numbers,
    shard: Shard[Numbers],
    batch: Batch[Numbers],
    ramp: Ramp,
    spec: PPOSpec,
) -> tuple[Terms[float], float]:
    """Write the actor's gradient for own rows and, below them, demonstrations; return the terms and the imitation."""
    count, kind = len(own), bench.kind
    of = shard.shares[1] / max(count, 1)
    mask, actions, slope = (room.of(len(x)) for room in (bench.mask, bench.actions, bench.slope))
    np.take(batch.action_mask, own, 0, out=mask[:count], mode="clip")
    np.take(batch.actions, own, 0, out=actions[:count], mode="clip")
    if shard.shown is not None:
        mask[count:], actions[count:] = shard.shown.action_mask, shard.shown.labels
        slope[count:] = -shard.shares[2] * ramp.bc_weight / len(shard.shown.labels)
    shifted = bench.actor.forward(x)
    shift(shifted, mask, kind(ILLEGAL))
    p, log_sums, chosen = bench.p.of(len(x)), bench.log_sums.of(len(x)), bench.chosen.of(len(x))
    normalise(np.exp(shifted, out=p), shifted, actions, log_sums, chosen)
    chosen -= np.log(log_sums, out=log_sums)
    imitation = -float(chosen[count:].mean(dtype=np.float64)) if count < len(x) else 0.0
    log_ratio, sums, clip = chosen[:count], np.zeros(5), spec.clip_coef
    log_ratio -= np.take(batch.old_log_probs, own, 0, out=bench.ratio.of(count), mode="clip")
    ratio = np.exp(log_ratio, out=bench.ratio.of(count))
    bounds = (kind(1 - clip), kind(1 + clip), kind(clip))
    surrogate(slope, ratio, log_ratio, shard.advantages, (kind(of), *bounds, kind(0), kind(0.5), kind(1)), sums[2:])
    anchor, q = bench.anchor.of(count), bench.q.of(count)
    if batch.anchor is None:
        anchor.fill(0)
        q.fill(0)
    else:
        np.exp(np.take(batch.anchor, own, 0, out=anchor, mode="clip"), out=q)
    weights = (kind(spec.ent_coef * of), kind(ramp.anchor_kl * of), kind(0), kind(1))
    spread(shifted, p, log_sums, mask, actions, slope, anchor, q, weights, sums[:2])
    bench.actor.backward(x, shifted)
    entropy, pull, policy, kl, clipped = (of * float(number) for number in sums)
    total = policy - spec.ent_coef * entropy + ramp.anchor_kl * pull
    return Terms(total, policy, 0.0, entropy, kl, clipped, pull), imitation

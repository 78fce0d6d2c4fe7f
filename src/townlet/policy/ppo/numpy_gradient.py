"""PPO's loss and its gradient on the processor, by hand: numpy's matrix products, and kernels for all between them.

The same loss as `policy.objective` differentiates by autograd, term by term, with torch's subgradients; torch-free.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.strategies import PPOSpec
from townlet.policy.model.inference import ILLEGAL, Layers
from townlet.policy.ppo.batch import Batch, Shard, Terms
from townlet.policy.ppo.numba_kernels import lift, normalise, shift, spread, stop, surrogate, value_errors
from townlet.policy.ppo.ramps import Ramp

__all__ = ["GradientBuffers", "gradient"]

Numbers = NDArray[Any]


class ScratchBuffer:
    """Rows that are made once and used again; more are made where more are asked for."""

    def __init__(self, shape: tuple[int, ...], kind: Any) -> None:
        self._rows = np.empty((0, *shape), kind)

    def of(self, rows: int) -> Numbers:
        """Return the first `rows` rows, whatever they hold."""
        if rows > len(self._rows):
            self._rows = np.empty((rows + rows // 8, *self._rows.shape[1:]), self._rows.dtype)
        return self._rows[:rows]

    def gathered(self, source: Numbers, rows: Numbers) -> Numbers:
        """Return these rows of a source, in the first rows here."""
        return np.take(source, rows, 0, out=self.of(len(rows)), mode="clip")  # the mode that needs no copy


class MLPBackprop:
    """One trunk's way there and back: views of its weights, where their gradient goes, room for what lies between."""

    def __init__(self, layers: Layers, found: Layers) -> None:
        self.layers, self.found = layers, found
        self.kind = layers[0][0].dtype.type
        self._there = [ScratchBuffer(bias.shape, self.kind) for _, bias in layers]
        self._back = [ScratchBuffer(bias.shape, self.kind) for _, bias in layers[:-1]]
        self._ones = ScratchBuffer((), self.kind)

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
                product = np.multiply if d.shape[1] == 1 else np.matmul  # the same, and four times as fast
                d = product(d, self.layers[index][0].T, out=self._back[index - 1].of(len(x)))
                stop(d, before, self.kind(0))


class GradientBuffers:
    """What one shard is worked on: its gradient, and all arrays that lie on the way to it."""

    def __init__(self, actor: Layers, critic: Layers) -> None:
        """Take the weights as views: what an optimizer changes in place is what is differentiated next."""
        sizes = [array.size for layers in (actor, critic) for layer in layers for array in layer]
        self.kind = actor[0][0].dtype.type
        self.gradient = np.zeros(sum(sizes), self.kind)
        """Of all parameters: layer by layer weight and bias, actor before critic."""
        self.parameters = _cut(self.gradient, (*actor, *critic))
        """The same numbers in the shapes of the layers."""
        self.actor = MLPBackprop(actor, self.parameters[: len(actor)])
        self.critic = MLPBackprop(critic, self.parameters[len(actor) :])
        self.actor_gradient = self.gradient[: sum(sizes[: 2 * len(actor)])]
        features, actions = actor[0][0].shape[0], actor[-1][1].shape[0]
        self.x, self.p, self.anchor, self.q = (
            ScratchBuffer((width,), self.kind) for width in (features, actions, actions, actions)
        )
        self.mask, self.actions = ScratchBuffer((actions,), np.bool_), ScratchBuffer((), np.int64)
        self.sums, self.chosen, self.ratio, self.slope, self.targets, self.old = (
            ScratchBuffer((), self.kind) for _ in range(6)
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


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def gradient(
    bench: GradientBuffers, shard: Shard[Numbers], batch: Batch[Numbers], ramp: Ramp, spec: PPOSpec
) -> tuple[Terms[float], bool]:
    """Leave a shard's part of the gradient on its bench; return its parts of the terms, and whether the actor has any.

    Without a part the actor's gradient is zeros. Numbers that are not finite are no error here: they reach the total or
    the gradient, where whoever asked finds them.
    """
    own = shard.own if ramp.actor > 0 else shard.own[:0]
    x = _seen(bench, own, shard, batch)
    value = _critic(bench, x[: len(shard.rows)], shard, batch, spec)
    acting = len(own) + (0 if shard.shown is None else len(shard.shown.labels))
    if acting:
        terms = _actor(bench, x[len(x) - acting :], own, shard, batch, ramp, spec)
    else:
        bench.actor_gradient.fill(0)
        terms = Terms(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return terms._replace(total=terms.total + spec.vf_coef * value, value=value), acting > 0


def _seen(bench: GradientBuffers, own: Numbers, shard: Shard[Numbers], batch: Batch[Numbers]) -> Numbers:
    """Return the features of all rows, then of own rows where they are others, then of demonstrations."""
    rows = shard.rows if own is shard.rows or not len(own) else np.concatenate((shard.rows, own))
    if shard.shown is None:
        return bench.x.gathered(batch.features, rows)
    x = bench.x.of(len(rows) + len(shard.shown.labels))
    bench.x.gathered(batch.features, rows)
    x[len(rows) :] = shard.shown.features
    return x


def _critic(bench: GradientBuffers, x: Numbers, shard: Shard[Numbers], batch: Batch[Numbers], spec: PPOSpec) -> float:
    """Write the critic's gradient and return this shard's part of its error."""
    of, kind, clip, sums = shard.shares[0] / len(x), bench.kind, spec.vf_clip_coef, np.zeros(1)
    d = bench.critic.forward(x)
    v, targets = d[:, 0], bench.targets.gathered(batch.targets, shard.rows)
    old = v if clip is None else bench.old.gathered(batch.old_values, shard.rows)
    weights = (kind(spec.vf_coef * of), kind(clip or 0), kind(0), kind(0.5), kind(1))
    value_errors(v, targets, old, weights, sums)
    bench.critic.backward(x, d)
    return float(0.5 * of * sums[0])


def _actor(
    bench: GradientBuffers,
    x: Numbers,
    own: Numbers,
    shard: Shard[Numbers],
    batch: Batch[Numbers],
    ramp: Ramp,
    spec: PPOSpec,
) -> Terms[float]:
    """Write the actor's gradient for own rows and, below them, demonstrations; return all terms but the critic's."""
    count, kind, clip, sums = len(own), bench.kind, spec.clip_coef, np.zeros(5)
    of, of_shown = shard.shares[1] / max(count, 1), shard.shares[2] * ramp.bc_weight
    mask, actions, slope = (room.of(len(x)) for room in (bench.mask, bench.actions, bench.slope))
    bench.mask.gathered(batch.action_mask, own)
    bench.actions.gathered(batch.actions, own)
    if shard.shown is not None:
        mask[count:], actions[count:] = shard.shown.action_mask, shard.shown.labels
        slope[count:] = -of_shown / (len(x) - count)
    log_p = bench.actor.forward(x)
    p, chosen = _probabilities(bench, log_p, mask, actions)
    imitation = -float(chosen[count:].mean(dtype=np.float64)) if count < len(x) else 0.0
    log_ratio = chosen[:count]
    log_ratio -= bench.ratio.gathered(batch.old_log_probs, own)
    ratio = np.exp(log_ratio, out=bench.ratio.of(count))
    bounds = (kind(1 - clip), kind(1 + clip), kind(clip))
    surrogate(slope, ratio, log_ratio, shard.advantages, (kind(of), *bounds, kind(0), kind(0.5), kind(1)), sums[:3])
    weights = (kind(spec.ent_coef * of), kind(ramp.anchor_kl * of), kind(0), kind(1))
    spread(log_p, p, mask, actions, slope, _parent(bench, own, batch), weights, sums[3:])
    bench.actor.backward(x, log_p)
    policy, kl, clipped, entropy, pull = (of * float(number) for number in sums)
    total = policy - spec.ent_coef * entropy + ramp.anchor_kl * pull + of_shown * imitation
    return Terms(total, policy, 0.0, entropy, kl, clipped, pull)


def _probabilities(bench: GradientBuffers, logits: Numbers, mask: Numbers, actions: Numbers) -> tuple[Numbers, Numbers]:
    """Turn logits [B, A] into log-probabilities; return probabilities [B, A], and log π(aₜ|sₜ) [B] of the actions."""
    p, sums, chosen = (room.of(len(logits)) for room in (bench.p, bench.sums, bench.chosen))
    shift(logits, mask, bench.kind(ILLEGAL))
    normalise(np.exp(logits, out=p), logits, actions, sums, chosen)
    log_sums = np.log(sums, out=sums)
    logits -= log_sums[:, None]
    chosen -= log_sums
    return p, chosen


def _parent(bench: GradientBuffers, own: Numbers, batch: Batch[Numbers]) -> tuple[Numbers, Numbers]:
    """Return the parent's log-probabilities [O, A] and probabilities, both zeros where nothing pulls towards it."""
    anchor, q = bench.anchor.of(len(own)), bench.q.of(len(own))
    if batch.anchor is None:
        anchor.fill(0)
        q.fill(0)
    else:
        np.exp(bench.anchor.gathered(batch.anchor, own), out=q)
    return anchor, q

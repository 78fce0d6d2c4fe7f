"""A PPO learner as one jitted JAX function: acting forward, advantages, K epochs of Adam.

Its data have the shapes of an environment, which itself is not in it: what is timed is the learner, beside ours
without the environment's seconds.
"""

from functools import partial
from typing import Any

import numpy as np
from contestants import Figures, features_of, timed, trunks

from townlet.policy.training.bench_host import clocks
from townlet.policy.training.bench_products import PPOShapes

__all__ = ["one_jit"]

GAMMA, GAE_LAMBDA, CLIP, ENTROPY, VALUE, RATE, EPSILON, ILLEGAL = 0.988, 0.95, 0.2, 0.01, 0.5, 1e-3, 1e-5, -1e9


def one_jit(shapes: PPOShapes, iterations: int) -> Figures:
    """Return agent-steps and seconds of whole iterations after the compiling one."""
    import jax
    from jax import numpy as jnp

    source = np.random.default_rng(3)
    steps, lanes = shapes.num_steps, shapes.lanes
    played = {
        "x": jnp.asarray(features_of(shapes).reshape(steps, lanes, shapes.features)),
        "mask": jnp.asarray(source.random((steps, lanes, shapes.outputs)) < 0.7).at[..., 0].set(True),
        "rewards": jnp.asarray(source.standard_normal((steps, lanes)).astype(np.float32)),
        "done": jnp.asarray(source.random((steps, lanes)) < 1e-3),
    }
    parameters = [[(jnp.asarray(w), jnp.asarray(b)) for w, b in trunk] for trunk in trunks(shapes)]
    zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    state = (parameters, zeros, zeros, jnp.zeros((), jnp.float32))
    iterate = jax.jit(partial(_iterate, shapes))
    state = jax.block_until_ready(iterate(state, played, jax.random.key(0)))
    began = clocks()
    for iteration in range(iterations):
        state = iterate(state, played, jax.random.key(iteration + 1))
    jax.block_until_ready(state)
    return timed(shapes.rows * iterations, began)


def _outputs(trunk: Any, x: Any) -> Any:
    from jax import nn

    for weight, bias in trunk[:-1]:
        x = nn.relu(x @ weight + bias)
    weight, bias = trunk[-1]
    return x @ weight + bias


def _log_policy(trunk: Any, x: Any, mask: Any) -> Any:
    from jax import nn
    from jax import numpy as jnp

    return nn.log_softmax(jnp.where(mask, _outputs(trunk, x), ILLEGAL))


def _iterate(shapes: PPOShapes, state: Any, played: Any, key: Any) -> Any:
    """One iteration: act on what was seen, judge it, then `update_epochs` passes over shuffled minibatches."""
    import jax
    from jax import numpy as jnp

    (actor, critic), *_ = state
    acting, shuffling = jax.random.split(key)

    def act(_: Any, seen: Any) -> Any:
        x, mask, key = seen
        log_p = _log_policy(actor, x, mask)
        action = jax.random.categorical(key, log_p)
        return None, (action, jnp.take_along_axis(log_p, action[:, None], 1)[:, 0], _outputs(critic, x)[:, 0])

    keys = jax.random.split(acting, shapes.num_steps)
    _, (actions, log_probs, values) = jax.lax.scan(act, None, (played["x"], played["mask"], keys))
    following = jnp.concatenate([values[1:], values[-1:]])
    going = 1.0 - played["done"]

    def back(later: Any, now: Any) -> Any:
        delta, goes = now
        advantage = delta + GAMMA * GAE_LAMBDA * goes * later
        return advantage, advantage

    deltas = played["rewards"] + GAMMA * going * following - values
    _, advantages = jax.lax.scan(back, jnp.zeros(shapes.lanes), (deltas, going), reverse=True)
    flat = tuple(
        array.reshape(shapes.rows, *array.shape[2:])
        for array in (played["x"], played["mask"], actions, log_probs, advantages, advantages + values)
    )
    used = shapes.minibatches * (shapes.rows // shapes.minibatches)

    def epoch(state: Any, key: Any) -> Any:
        order = jax.random.permutation(key, shapes.rows)[:used].reshape(shapes.minibatches, -1)
        return jax.lax.scan(lambda s, rows: (_adam(s, tuple(a[rows] for a in flat)), None), state, order)

    state, _ = jax.lax.scan(epoch, state, jax.random.split(shuffling, shapes.update_epochs))
    return state


def _loss(parameters: Any, batch: Any) -> Any:
    from jax import numpy as jnp

    x, mask, actions, old, advantages, targets = batch
    log_p = _log_policy(parameters[0], x, mask)
    ratio = jnp.exp(jnp.take_along_axis(log_p, actions[:, None], 1)[:, 0] - old)
    gain = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    surrogate = jnp.maximum(-ratio * gain, -jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * gain).mean()
    entropy = -jnp.where(mask, jnp.exp(log_p) * log_p, 0.0).sum(-1).mean()
    error = 0.5 * jnp.square(_outputs(parameters[1], x)[:, 0] - targets).mean()
    return surrogate - ENTROPY * entropy + VALUE * error


def _adam(state: Any, batch: Any) -> Any:
    """Return the state after one minibatch: gradient, its norm clipped at ½, Adam."""
    import jax
    from jax import numpy as jnp

    parameters, first, second, count = state
    gradients = jax.grad(_loss)(parameters, batch)
    norm = jnp.sqrt(sum(jnp.square(leaf).sum() for leaf in jax.tree_util.tree_leaves(gradients)))
    shrink, count = jnp.minimum(1.0, 0.5 / (norm + 1e-6)), count + 1
    mapped = jax.tree_util.tree_map
    first = mapped(lambda m, g: 0.9 * m + 0.1 * shrink * g, first, gradients)
    second = mapped(lambda v, g: 0.999 * v + 0.001 * jnp.square(shrink * g), second, gradients)
    parameters = mapped(
        lambda p, m, v: p - RATE * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + EPSILON),
        parameters, first, second,
    )  # fmt: skip
    return parameters, first, second, count

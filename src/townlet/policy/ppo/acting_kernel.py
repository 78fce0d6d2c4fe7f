"""A policy that plays for ppo, as one kernel: normalised features, drawn actions, their log-probabilities, and values.

Other policies act in `policy.model.inference`; both draw from the same distribution, from the same random numbers.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import entry_kernel, i64, kernel
from townlet.policy.distributions.backward import Constants, log_softmax
from townlet.policy.distributions.exponential import exponential
from townlet.policy.gradient.kernel import Parameters
from townlet.policy.gradient.layout import Memory
from townlet.policy.gradient.trunks import trunk_forward, wide_forward
from townlet.policy.model.products import matrix

__all__ = ["ActingNumbers", "Inputs", "Outputs", "act"]

Reals = NDArray[Any]


class Inputs(NamedTuple):
    """What a policy sees, and the random numbers it draws from; B rows."""

    observations: Reals
    """[B, F]."""
    mask: NDArray[np.bool_]
    """[B, A]."""
    numbers: Reals
    """[B, C], uniform in [0, 1) for discrete heads, Gaussian for box heads."""


class Outputs(NamedTuple):
    """Where the results are written; B rows."""

    features: Reals
    """[B, F], normalised."""
    actions: NDArray[Any]
    """[B, C]."""
    log_probs: Reals
    """[B], log π(a|s)."""
    values: Reals
    """[B], V(s) in units of reward."""


class ActingNumbers(NamedTuple):
    """Numbers that acting needs, in single precision."""

    limit: Any
    """Features are clipped to ± it."""
    value_scale: Any
    value_mean: Any
    zero: Any
    half: Any
    one: Any
    illegal: Any
    """Logit of an illegal option."""
    log_root: Any
    """½·log 2π."""


@entry_kernel
def act(
    memory: Memory,
    parameters: Parameters,
    normaliser: tuple[Reals, Reals],
    inputs: Inputs,
    outputs: Outputs,
    numbers: ActingNumbers,
    exp: Constants,
) -> None:
    """Draw actions for the rows of `inputs` and write what is to be recorded; `normaliser` are mean and scale [F]."""
    n, rows = numbers, len(inputs.observations)
    mean, scale = normaliser
    deep = len(parameters.actor) > 1 or len(parameters.critic) > 1
    for start in range(0, rows, memory.sizes.rows):
        count = min(memory.sizes.rows, rows - start)
        x = matrix(memory.scratch, memory.places.features, count, memory.sizes.features)
        for i in range(count):
            seen, recorded = inputs.observations[start + i], outputs.features[start + i]
            for j in range(len(seen)):
                number = (seen[j] - mean[j]) / scale[j]
                number = -n.limit if number < -n.limit else (n.limit if number > n.limit else number)
                x[i, j] = number
                recorded[j] = number
        if deep:
            wide_forward(memory, parameters.values, count, 0, memory.sizes.wide, n.zero)
        trunk_forward(memory, parameters.actor, parameters.values, count, n.zero)
        trunk_forward(memory, parameters.critic, parameters.values, count, n.zero)
        v = matrix(memory.scratch, parameters.critic[len(parameters.critic) - 1]["y"], 1, count)
        for i in range(count):
            outputs.values[start + i] = v[0, i] * n.value_scale + n.value_mean
        _draw(memory, parameters, inputs, outputs, start, count, n, exp)


@kernel
def _draw(
    memory: Memory,
    parameters: Parameters,
    inputs: Inputs,
    outputs: Outputs,
    start: int,
    count: int,
    n: ActingNumbers,
    exp: Constants,
) -> None:
    """Draw each head's option by the inverse of the cumulative distribution, and each box head's number.

    An illegal option has the probability 0, so the first sum above the uniform number belongs to a legal one.
    log π = Σ_heads log p(option) + Σ_d (−½·u² − s − ½·log 2π),  u = (a − μ) ÷ σ
    """
    logits, boxes = memory.sizes.logits, memory.sizes.boxes
    place = parameters.actor[len(parameters.actor) - 1]["y"]
    z, means = (
        matrix(memory.scratch, place, logits, count),
        matrix(memory.scratch, place + logits * count, boxes, count),
    )
    p = matrix(memory.scratch, memory.places.p, logits, count)
    legal = matrix(memory.scratch, memory.places.legal, logits, count)
    vectors = matrix(memory.scratch, memory.places.vectors, 4, count)
    sums, drawn, options, log_p = vectors[0], vectors[1], vectors[2], vectors[3]
    for i in range(count):
        log_p[i] = n.zero
        for option in range(logits):
            legal[option, i] = n.one if inputs.mask[start + i, option] else n.zero
    log_softmax(z, p, legal, memory.offsets, sums, n.illegal, exp)
    heads = len(memory.offsets) - 1
    for head in range(heads):
        for i in range(count):
            drawn[i], sums[i], options[i] = inputs.numbers[start + i, head], n.zero, n.zero
        first, end = memory.offsets[head], memory.offsets[head + 1]
        for option in range(first, end):
            for i in range(count):
                sums[i] += p[option, i]
        for i in range(count):
            drawn[i] *= sums[i]
            sums[i] = n.zero
        for option in range(first, end):
            for i in range(count):
                sums[i] += p[option, i]
                options[i] += n.one if sums[i] <= drawn[i] else n.zero
        for i in range(count):
            chosen = i64(options[i])
            outputs.actions[start + i, head] = chosen
            log_p[i] += z[first + chosen, i]
    _draw_boxes(memory, parameters, (means, log_p), inputs, outputs, start, n, exp)
    for i in range(count):
        outputs.log_probs[start + i] = log_p[i]


@kernel
def _draw_boxes(
    memory: Memory,
    parameters: Parameters,
    distribution: tuple[Reals, Reals],
    inputs: Inputs,
    outputs: Outputs,
    start: int,
    n: ActingNumbers,
    exp: Constants,
) -> None:
    """Draw the number of each box head, and add its log-density to the second of `distribution`; the first are μ."""
    means, log_p = distribution
    heads = len(memory.offsets) - 1
    for box in range(memory.sizes.boxes):
        log_std = parameters.values[memory.sizes.log_std + box]
        deviation, inverse = exponential(log_std, exp), exponential(-log_std, exp)
        for i in range(len(log_p)):
            number = means[box, i] + deviation * inputs.numbers[start + i, heads + box]
            outputs.actions[start + i, heads + box] = number
            u = (number - means[box, i]) * inverse
            log_p[i] += -n.half * u * u - log_std - n.log_root

"""A learned policy outside a run: it acts on the environment's own observations, one at a time or in batches.

numpy alone, and few imports: a program that only acts pays for no training. F features, A options of all discrete
heads, D box heads.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.policy_ref import short_ref
from townlet.dto.problems import short_repr
from townlet.dto.spaces import MASK
from townlet.errors import BadInputError
from townlet.layouts import Layouts
from townlet.policy.distributions.acting import choose_greedily, masked
from townlet.policy.model.forward import forward, forward_row, normalise
from townlet.policy.model.weights import Weights, WeightsMetadata

if TYPE_CHECKING:
    from townlet.policy.model.inference import ActingPolicy

__all__ = ["Policy", "Predictor"]

_NEAR = np.float32(1e-3)
"""Distance of the two best logits, as a share of the best or of 1, below which one row is computed as in a batch."""


@frozen(kw_only=True, eq=False, slots=False)
class Policy:
    """Learned weights as a function from observation to action.

    An observation is what the environment shows one agent: an array, or a dict or tuple of arrays; a batch has a
    leading axis B on each array. Where the environment's spaces are features and columns (the town), or are unknown
    (weights of earlier releases), it is an array of features [..., F].
    """

    weights: Weights
    """The networks and their normalisers."""
    digest: str
    """SHA-256 of the weights file."""
    source: str = ""
    """What was loaded, in words."""

    def __repr__(self) -> str:
        """Return which policy it is."""
        return f"<policy {short_ref(self.digest)}{f' of {self.source}' if self.source else ''}>"

    @property
    def spec(self) -> WeightsMetadata:
        """Features, heads of an action, the environment's own spaces and its signature."""
        return self.weights.metadata

    def act(
        self,
        observation: Any,
        action_mask: Any = None,
        deterministic: bool = True,
        rng: np.random.Generator | None = None,
    ) -> Any:
        """Return the action of an observation, or the actions of a batch, both as the environment has them.

        `action_mask` [A] or [B, A] says which options are legal; by default the entry ``action_mask`` of an
        observation that is a dict, else all are. Where not `deterministic`, an action is drawn, and `rng` is needed. A
        single observation gets the option that it gets in any batch; a number may differ in its last bits.
        BadInputError for an observation of another shape or with a NaN, and for a mask that allows a head nothing.
        """
        if deterministic and action_mask is None and self._is_row(observation):
            quick = self._act_on_row(observation)
            if quick is not None:
                return quick
        features, is_batch, leading = self._features(observation)
        mask = self._mask(action_mask, observation, len(features))
        if deterministic:
            logits, means = self._outputs(features, mask)
            columns = choose_greedily(logits, means, self._actions)
        else:
            columns = self._drawn(features, mask, rng)
        return self._native(columns, is_batch, leading)

    def logits(self, observation: Any, action_mask: Any = None) -> NDArray[np.float32]:
        """Return the logits [A], or [B, A] of a batch, in the order of the heads; an illegal option has −1e9.

        BadInputError where the policy has no discrete head: `mean` and `log_std` say what it draws from.
        """
        if not self._actions.discrete:
            raise BadInputError(f"{self!r} has no discrete head, so no logits; ask for mean(observation) and log_std")
        features, _, leading = self._features(observation)
        logits, _ = self._outputs(features, self._mask(action_mask, observation, len(features)))
        return logits.reshape(*leading, self._actions.logits)

    def mean(self, observation: Any) -> NDArray[np.float32]:
        """Return the means [D], or [B, D] of a batch, in the units of the bounds (−1 the lower, +1 the upper one).

        BadInputError where the policy has no box head.
        """
        if not self._actions.box:
            raise BadInputError(f"{self!r} has no box head, so no means; ask for logits(observation)")
        features, _, leading = self._features(observation)
        outputs = forward(self.weights.actor, normalise(features, self.weights.mean, self.weights.scale))
        return outputs[:, self._actions.logits :].reshape(*leading, len(self._actions.box))

    @property
    def log_std(self) -> NDArray[np.float32]:
        """Logarithms [D] of the standard deviations of the box heads, in the units of their bounds."""
        return self.weights.log_std

    def value(self, observation: Any) -> Any:
        """Return the value of an observation in units of reward, or the values [B] of a batch."""
        features, _, leading = self._features(observation)
        values = self.weights.values(normalise(features, self.weights.mean, self.weights.scale))
        return values.reshape(leading) if leading else float(values[0])

    def teacher(self, mode: Literal["greedy", "stochastic"] = "greedy") -> "ActingPolicy":
        """Return this policy as a `townlet.Teacher`: a schedule of Python may learn from it."""
        if mode not in ("greedy", "stochastic"):
            raise BadInputError(f"{self!r}: mode is {short_repr(mode)}; expected 'greedy' or 'stochastic'")
        return self.weights.policy(mode)

    def predictor(self, seed: int = 0) -> "Predictor":
        """Return this policy with the method `predict` of Stable-Baselines3; `seed` keys what it draws."""
        try:
            rng = np.random.default_rng(seed)
        except (TypeError, ValueError) as error:
            raise BadInputError(f"{self!r}: seed is {short_repr(seed)}; expected a whole number from 0 on") from error
        return Predictor(self, rng)

    @cached_property
    def _actions(self) -> Any:
        return self.spec.spec

    @cached_property
    def _layouts(self) -> Layouts | None:
        return None if self.spec.spaces is None else Layouts.of(self.spec.spaces, self._actions)

    @cached_property
    def _width(self) -> tuple[int]:
        return (len(self.spec.features),)

    @cached_property
    def _has_rows(self) -> bool:
        """Whether an observation is a row of features, and an action of it can be told without a batch."""
        is_whole = any(head.integer for head in self._actions.box)
        return not is_whole and (self._layouts is None or self._layouts.observations.row is not None)

    def _is_row(self, observation: Any) -> bool:
        is_array = self._has_rows and type(observation) is np.ndarray
        return is_array and observation.shape == self._width and observation.dtype.kind in "fiub"

    def _act_on_row(self, row: NDArray[Any]) -> Any:
        """Return the action of features [F]; None where two options are so near that a batch must tell."""
        weights = self.weights
        x = row.astype(np.float32) - weights.mean
        x /= weights.scale
        np.minimum(x, 10, out=x)
        np.maximum(x, -10, out=x)
        outputs = forward_row(weights.actor, x)
        if not np.isfinite(outputs).all():
            return None
        columns = np.empty((1, self._actions.columns), self._actions.dtype)
        for column, z in enumerate(self._actions.segments(outputs[: self._actions.logits])):
            best = int(z.argmax())
            columns[0, column], largest = best, z[best]
            z[best] = -np.inf
            if largest - z.max() < _NEAR * max(1, abs(largest)):
                return None
        columns[0, len(self._actions.discrete) :] = outputs[self._actions.logits :]
        return self._native(columns, False, ())

    def _outputs(
        self, features: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return masked logits [B, A] and means [B, D]."""
        outputs = forward(self.weights.actor, normalise(features, self.weights.mean, self.weights.scale))
        return masked(outputs[:, : self._actions.logits], mask), outputs[:, self._actions.logits :]

    def _drawn(
        self, features: NDArray[np.float32], mask: NDArray[np.bool_], rng: np.random.Generator | None
    ) -> NDArray[Any]:
        """Return drawn actions [B, C]."""
        from townlet.dto.boundary import ObservationBatchDTO

        if not isinstance(rng, np.random.Generator):
            raise BadInputError(
                f"{self!r}: an action is drawn with rng=numpy.random.default_rng(…) only; or leave deterministic True"
            )
        batch = ObservationBatchDTO(
            observations=features[:, None],
            action_mask=mask[:, None],
            alive=np.ones((len(features), 1), np.bool_),
            keys=rng.integers(0, 2**63, len(features), dtype=np.uint64),
        )
        return self.weights.policy("stochastic").act(batch)[:, 0]

    def _native(self, columns: NDArray[Any], is_batch: bool, leading: tuple[int, ...]) -> Any:
        """Return actions [B, C] as the environment has them."""
        if self._layouts is not None:
            return self._layouts.actions(columns, is_batch=is_batch)
        heads = len(self._actions.discrete)
        if self._actions.box:
            columns[:, heads:] = self._actions.to_native(columns[:, heads:])
        actions = columns.reshape(*leading, self._actions.columns)
        return actions[..., 0][()] if self._actions.is_one_choice else actions  # [()]: a number, where it is one

    def _features(self, observation: Any) -> tuple[NDArray[np.float32], bool, tuple[int, ...]]:
        """Return features [B, F], whether the observation was a batch, and its leading axes."""
        try:
            if self._layouts is not None:
                features, is_batch = self._layouts.rows(observation)
                return self._numbers(features), is_batch, (len(features),) if is_batch else ()
            array = np.asarray(observation)
            if array.dtype.kind not in "biuf":
                raise ValueError(f"{type(observation).__name__} of type {array.dtype}; expected numbers")
            array = self._numbers(array.astype(np.float32))
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise BadInputError(f"{self!r}: the observation is not one of its environment: {reason}") from error
        if array.shape[-1:] != self._width:
            raise BadInputError(
                f"{self!r}: the observation is an array of shape {array.shape}; expected {self._width[0]} features on "
                "its last axis"
            )
        return array.reshape(-1, *self._width), array.ndim > 1, array.shape[:-1]

    def _numbers(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features; BadInputError where one is not a number: no action follows from it."""
        if np.isnan(features).any():
            name = self.spec.features[int(np.isnan(features).argmax()) % len(self.spec.features)]
            raise BadInputError(f"{self!r}: {name} of the observation is NaN; expected numbers")
        return features

    def _mask(self, action_mask: Any, observation: Any, rows: int) -> NDArray[np.bool_]:
        """Return the mask [B, A], that of the observation where none is given.

        BadInputError for one of another shape, and for one that allows a head nothing.
        """
        shape = (rows, self._actions.logits)
        if action_mask is None and isinstance(observation, Mapping):
            action_mask = observation.get(MASK)
        if action_mask is None or not self._actions.logits:
            return np.ones(shape, np.bool_)
        try:
            given = np.asarray(action_mask)
            given = given.astype(np.bool_, casting="unsafe" if given.dtype.kind in "iuf" else "no")
        except (ValueError, TypeError) as error:
            raise BadInputError(f"{self!r}: the mask is no array of {shape[1]} options: {error}") from error
        if given.shape[-1:] != shape[1:] or given.size != rows * shape[1]:
            raise BadInputError(
                f"{self!r}: the mask has shape {given.shape}; expected {shape[1]} options for each of {rows} "
                "observations"
            )
        mask = given.reshape(shape)
        for head, options in zip(self._actions.discrete, self._actions.segments(mask), strict=True):
            if not options.any(axis=-1).all():
                row = int((~options.any(axis=-1)).argmax())
                raise BadInputError(
                    f"{self!r}: the mask allows no option of the head {head.name or 'action'!r} in row {row}; expected "
                    "one or more"
                )
        return mask


class Predictor:
    """A policy with the method `predict` of Stable-Baselines3 and sb3-contrib."""

    def __init__(self, policy: Policy, rng: np.random.Generator) -> None:
        self.policy, self._rng = policy, rng

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:
        """Return the action, or the actions of a batch, and `state` as it came: the policy has no memory."""
        return self.policy.act(observation, action_masks, deterministic, self._rng), state

"""A learned policy that acts on the environment's own observations, one at a time or in batches; numpy only."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.policy_ref import short_ref
from townlet.errors import BadInputError
from townlet.policy.model.weights import Weights
from townlet.ports import EnvironmentDescription

__all__ = ["LearnedPolicy", "NativeLayouts", "NativeProvider"]


@runtime_checkable
class NativeLayouts(Protocol):
    """How an environment's own observations become features, and columns its own actions."""

    def rows(self, observation: Any) -> tuple[NDArray[np.float32], bool]:
        """Return features [B, F] and whether the observation was a batch; ValueError for another structure."""
        ...

    def actions(self, columns: NDArray[Any], *, is_batch: bool) -> Any:
        """Return the environment's own action of columns [B, C], or a batch of them with a leading axis B."""
        ...


@runtime_checkable
class NativeProvider(Protocol):
    """A provider whose environment has observations and actions of its own."""

    def layouts(self) -> NativeLayouts:
        """Return how they are read and written."""
        ...


@frozen(kw_only=True)
class LearnedPolicy:
    """The weights of a run as a function from observation to action."""

    digest: str
    """SHA-256 of the weights."""
    weights: Weights
    """The networks and their normaliser."""
    description: EnvironmentDescription
    """The environment it was trained in."""
    layouts: NativeLayouts | None
    """How own observations are read; None: observations are features [F], or with leading axes [..., F]."""

    def __repr__(self) -> str:
        """Return which policy it is."""
        return f"<policy {short_ref(self.digest)} of {self.description.id}>"

    def act(
        self,
        observation: Any,
        action_mask: Any = None,
        deterministic: bool = True,
        rng: np.random.Generator | None = None,
    ) -> Any:
        """Return the action of an observation, or the actions of a batch, both as the environment has them.

        `action_mask` [A] or [B, A] says which options are legal, all by default. Where not `deterministic`, an action
        is drawn, and `rng` is needed. BadInputError for an observation of another shape.
        """
        features, is_batch, shape = self._features(observation)
        about = self.description
        mask = np.ones((len(features), about.actions.logits), np.bool_)
        if action_mask is not None:
            given = np.asarray(action_mask, np.bool_)
            if given.size != mask.size:
                raise BadInputError(
                    f"act: a mask of shape {given.shape}; expected {about.actions.logits} options a row"
                )
            mask = given.reshape(mask.shape)
        if not deterministic and rng is None:
            raise BadInputError("act: an action can be drawn with rng=numpy.random.default_rng(…) only")
        keys = np.zeros(len(features), np.uint64)
        if rng is not None:
            keys = rng.integers(0, 2**63, len(features), dtype=np.uint64)
        batch = ObservationBatchDTO(
            observations=features[:, None],
            action_mask=mask[:, None],
            alive=np.ones((len(features), 1), np.bool_),
            keys=keys,
        )
        columns = self.weights.policy("greedy" if deterministic else "stochastic").act(batch)[:, 0]
        if self.layouts is not None:
            return self.layouts.actions(columns, is_batch=is_batch)
        actions = columns.reshape(*shape, about.actions.columns)
        return actions[..., 0] if about.actions.is_one_choice else actions

    def _features(self, observation: Any) -> tuple[NDArray[np.float32], bool, tuple[int, ...]]:
        width = len(self.description.features)
        try:
            if self.layouts is not None:
                features, is_batch = self.layouts.rows(observation)
                return features, is_batch, ()
            array = np.asarray(observation, np.float32)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise BadInputError(f"act: the observation is not one of {self.description.id}: {error}") from error
        if array.shape[-1:] != (width,):
            raise BadInputError(
                f"act: an observation of shape {array.shape}; expected {width} features on its last axis"
            )
        return array.reshape(-1, width), array.ndim > 1, array.shape[:-1]

"""bc's two fits with their checkpoints: the actor on the labels, then the critic on the returns."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from attrs import define, frozen
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.dto.codec import Record
from townlet.dto.strategies import BCSpec
from townlet.policy.bc.state import CloneState, ValueState
from townlet.policy.data.dataset import Samples
from townlet.policy.model.forward import Layers
from townlet.policy.training.checkpoint import Checkpoint, VisitCheckpoints
from townlet.policy.training.contexts import TrainingContext

__all__ = ["CloneFits"]


@frozen(kw_only=True)
class _Metadata(Record):
    """The counts of a checkpoint; losses, which may be NaN, stand among its arrays."""

    epoch: int
    """Passes of the actor's fit."""
    since: int
    """Passes since its best."""
    value_epoch: int | None
    """Passes of the critic's fit; none while the actor's goes on."""


@define(kw_only=True)
class CloneFits:
    """The two fits of one visit."""

    context: TrainingContext
    """Of the visit."""
    spec: BCSpec
    """Of the visit."""
    checkpoints: VisitCheckpoints
    """Where checkpoints go."""
    actor: CloneState | None
    """How far the actor's fit is; none before its first pass."""
    value: ValueState | None
    """How far the critic's fit is; none before its first pass."""

    @classmethod
    def for_visit(cls, context: TrainingContext, spec: BCSpec) -> "CloneFits":
        """Return the fits as an earlier process left them, or not begun."""
        checkpoints = VisitCheckpoints(context=context, every=spec.checkpoint_every)
        checkpoint = checkpoints.load()
        actor = value = None
        if checkpoint is not None:
            metadata, numbers = checkpoint.metadata_as(_Metadata), checkpoint.arrays["numbers"].tolist()
            nll, accuracy, loss_sum, correct, seconds, value_loss = numbers
            actor = CloneState(
                layers=_layers(checkpoint.part("actor")),
                adam_state=checkpoint.part("actor_adam"),
                best_layers=_layers(checkpoint.part("best")),
                best=(nll, accuracy),
                recalls=checkpoint.arrays["recalls"],
                log_std=_log_std(checkpoint, "log_std"),
                best_log_std=_log_std(checkpoint, "best_log_std"),
                epoch=metadata.epoch,
                epochs_since_best=metadata.since,
                loss_sum=loss_sum,
                correct=correct,
                seconds=seconds,
            )
            if metadata.value_epoch is not None:
                value = ValueState(
                    layers=_layers(checkpoint.part("critic")),
                    adam_state=checkpoint.part("critic_adam"),
                    epoch=metadata.value_epoch,
                    loss=value_loss,
                )
        return cls(context=context, spec=spec, checkpoints=checkpoints, actor=actor, value=value)

    def clone(
        self, fresh: Layers, actions: ActionSpec, training: Samples, heldout: Samples, rng: np.random.Generator
    ) -> CloneState:
        """Return the finished fit of the actor; see `clone_actor`."""
        from townlet.policy.bc.cloning import clone_actor

        report = partial(self.context.telemetry.emit, of=self.spec.update_epochs)

        def keep(state: CloneState) -> None:
            self.actor = state
            self.checkpoints.maybe_save(state.epoch, self._to_checkpoint)

        self.actor = clone_actor(self.actor or fresh, training, heldout, actions, self.spec, rng, report, keep)
        return self.actor

    def critic(
        self, fresh: Layers, features: NDArray[np.float32], targets: NDArray[np.float32], rng: np.random.Generator
    ) -> ValueState:
        """Return the finished fit of the critic; see `fit_critic`."""
        from townlet.policy.bc.cloning import fit_critic

        report = partial(self.context.telemetry.emit, of=self.spec.value_epochs)

        def keep(state: ValueState) -> None:
            self.value = state
            if state.epoch < self.spec.value_epochs:
                self.checkpoints.maybe_save(self._step, self._to_checkpoint)

        self.value = fit_critic(self.value or fresh, features, targets, self.spec, rng, report, keep)
        return self.value

    @property
    def _step(self) -> int:
        """Passes made, of both fits."""
        return (0 if self.actor is None else self.actor.epoch) + (0 if self.value is None else self.value.epoch)

    def _to_checkpoint(self) -> Checkpoint:
        actor, value = self.actor, self.value
        assert actor is not None, "the actor's fit comes first"
        value_epoch, value_loss = (None, 0.0) if value is None else (value.epoch, value.loss)
        metadata = _Metadata(epoch=actor.epoch, since=actor.epochs_since_best, value_epoch=value_epoch)
        numbers = [*actor.best, actor.loss_sum, actor.correct, actor.seconds, value_loss]
        arrays = _named("actor", _arrays(actor.layers)) | _named("actor_adam", actor.adam_state)
        arrays |= _named("best", _arrays(actor.best_layers)) | {
            "recalls": actor.recalls,
            "numbers": np.array(numbers, np.float64),
        }
        if actor.log_std.size:
            arrays |= {"log_std": actor.log_std, "best_log_std": actor.best_log_std}
        if value is not None:
            arrays |= _named("critic", _arrays(value.layers)) | _named("critic_adam", value.adam_state)
        return Checkpoint(
            strategy=self.context.visit.strategy,
            step=self._step,
            points=self._step,
            facts=metadata.model_dump(),
            arrays=arrays,
        )


def _log_std(checkpoint: Checkpoint, name: str) -> NDArray[np.float32]:
    """Return log σ [D] of a checkpoint, which holds none where no head is a box."""
    return np.asarray(checkpoint.arrays.get(name, np.zeros(0)), np.float32)


def _named(name: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{name}.{rest}": values for rest, values in arrays.items()}


def _arrays(layers: Layers) -> dict[str, NDArray[Any]]:
    return {f"{index}.{name}": part for index, pair in enumerate(layers) for name, part in zip("wb", pair, strict=True)}


def _layers(arrays: Mapping[str, NDArray[Any]]) -> Layers:
    return tuple((arrays[f"{index}.w"], arrays[f"{index}.b"]) for index in range(len(arrays) // 2))

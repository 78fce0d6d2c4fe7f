"""Weights of a policy in one safetensors file (never pickle): networks, normalisers, probe batch to verify them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs
import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from townlet.canonical import read_tensors, write_tensors
from townlet.dto.actions import Actions, ActionSpec, StoredActions
from townlet.dto.codec import CodecError, structure
from townlet.dto.spaces import NativeSpaces
from townlet.errors import BadInputError
from townlet.layouts import Layouts
from townlet.policy.distributions.acting import choose_greedily, masked
from townlet.policy.model.forward import Layers, forward, normalise

if TYPE_CHECKING:
    from townlet.policy.model.inference import ActingPolicy
    from townlet.ports import EnvironmentDescription

__all__ = ["BUNDLE_WEIGHTS", "PARITY", "Probe", "Weights", "WeightsMetadata", "make_probe", "read_weights", "verifier"]

PARITY = 1.0e-4
"""Largest difference of an output at which two forward passes count as equal, as a share of the largest output of its
row, or of 1 where that is larger: the error of single precision is a share, and other processors sum otherwise."""
_KEY = "townlet"
BUNDLE_WEIGHTS = "policy.safetensors"
"""Name of the weights file in a bundle."""
LIMIT = 64 * 2**20
"""Largest size of a weights file, bytes."""
_LARGEST = 1e30
"""Largest number of a weights file: products and sums of larger ones would not stay finite in single precision."""


@frozen(kw_only=True)
class WeightsMetadata(StoredActions):
    """Metadata of a weights file: the one entry of the safetensors header."""

    left_out: ClassVar[frozenset[str]] = frozenset({"heads", "spaces"})
    schema: Literal[1] = 1
    """Version of this layout."""
    features: tuple[str, ...]
    """Names of the F inputs."""
    layers: int
    """Number of layers of the actor, and of the critic."""
    environment: str
    """Signature of the environment they were trained in; empty if unknown."""
    parity: float | None
    """Largest difference of an output between torch and numpy on the probe batch; None if not measured."""
    spaces: NativeSpaces | None = None
    """The environment's own observations and actions; absent where they are features and columns, or unknown."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.spaces is None:
            return
        layouts = Layouts.of(self.spaces, self.spec)
        heads = sum(part.size for part in self.spaces.action)
        if layouts.observations.names != self.features or heads != self.spec.columns:
            raise ValueError("spaces: the parts are not those of the features and of the heads")


@frozen(kw_only=True, eq=False)
class Probe:
    """Probe batch: observations with the outputs and greedy actions of the weights when they were stored."""

    observations: NDArray[np.float32]
    """[B, F], raw."""
    action_mask: NDArray[np.bool_]
    """[B, A]."""
    logits: NDArray[np.float32]
    """[B, A + D], logits, unmasked, and means, by the numpy forward pass."""
    actions: Actions
    """[B, C], greedy."""


@frozen(kw_only=True, eq=False)
class Weights:
    """A policy: actor, critic, normalisers. A promotion copies exactly this; a resume needs the optimizer too."""

    metadata: WeightsMetadata
    """Feature and action names, number of layers, parity."""
    actor: Layers
    """Normalised features [B, F] → logits and means [B, A + D]."""
    critic: Layers
    """Normalised features [B, F] → normalised values [B, 1]."""
    mean: NDArray[np.float32]
    """[F], of the observation normaliser."""
    scale: NDArray[np.float32]
    """[F], of the observation normaliser, above 0."""
    value_mean: float
    """Mean of the value normaliser, in units of reward."""
    value_scale: float
    """Scale of the value normaliser, above 0, in units of reward."""
    log_std: NDArray[np.float32] = field(factory=lambda: np.zeros(0, np.float32))
    """[D], log σ of the box heads."""
    probe: Probe | None = None
    """Probe batch; None for imported weights without one."""

    def policy(self, mode: Literal["greedy", "stochastic"] = "greedy") -> "ActingPolicy":
        """Return the policy that acts with these weights."""
        from townlet.policy.model.inference import ActingPolicy  # its imports cost more than reading the file

        return ActingPolicy(
            spec=self.spec, actor=self.actor, log_std=self.log_std, mean=self.mean, scale=self.scale, mode=mode
        )

    @property
    def spec(self) -> ActionSpec:
        """Heads of an action."""
        return self.metadata.spec

    def values(self, normalised: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return state values [B], in units of reward, for normalised features [B, F]."""
        return forward(self.critic, normalised)[:, 0] * np.float32(self.value_scale) + np.float32(self.value_mean)

    def to_bytes(self) -> bytes:
        """Return the safetensors file; equal weights give equal bytes."""
        tensors: dict[str, NDArray[Any]] = {
            "normaliser.mean": self.mean,
            "normaliser.scale": self.scale,
            "value.normaliser": np.array([self.value_mean, self.value_scale], np.float64),
        }
        for name, layers in (("actor", self.actor), ("critic", self.critic)):
            for index, (weight, bias) in enumerate(layers):
                tensors[f"{name}.{index}.weight"], tensors[f"{name}.{index}.bias"] = weight, bias
        if self.spec.box:
            tensors["actor.log_std"] = self.log_std
        if self.probe is not None:
            tensors |= {f"probe.{k}": v for k, v in attrs.asdict(self.probe, recurse=False).items()}
            tensors["probe.actions"] = self.spec.to_stored(self.probe.actions)
        return write_tensors(tensors, _KEY, self.metadata.model_dump())

    def verify(self) -> float | None:
        """Recompute the probe batch and return the largest logit difference; None without a probe batch.

        BadInputError if a difference exceeds `PARITY` or a greedy action differs.
        """
        if self.probe is None:
            return None
        with np.errstate(all="ignore"):  # numbers too large to act with differ from any that were stored
            logits = forward(self.actor, normalise(self.probe.observations, self.mean, self.scale))
            differences = np.abs(logits - self.probe.logits)
            limits = PARITY * np.maximum(np.abs(self.probe.logits).max(1, keepdims=True, initial=1.0), 1.0)
            difference, is_equal = float(differences.max(initial=0.0)), bool((differences <= limits).all())
        actions = _greedy(self.spec, logits, self.probe.action_mask)
        options = len(self.spec.discrete)
        if not is_equal or not np.array_equal(actions[:, :options], self.probe.actions[:, :options]):
            raise BadInputError(
                f"the weights do not act as they did when they were stored: largest logit difference {difference:.3g}, "
                f"{int((actions != self.probe.actions).sum())} of {len(actions)} greedy actions differ"
            )
        return difference

    def check_fits(self, description: "EnvironmentDescription", source: str) -> None:
        """Raise BadInputError naming `source` if an environment has other features or actions."""
        for kind, ours, expected in (
            ("features", self.metadata.features, description.features),
            ("actions", self.spec.outputs, description.actions.outputs),
        ):
            if ours != expected:
                difference = next((f"{a!r} against {b!r}" for a, b in zip(ours, expected, strict=False) if a != b), "")
                detail = f" (first difference: {difference})" if difference else ""
                raise BadInputError(
                    f"{source}: weights for {len(ours)} {kind}, but {description.id}/{description.scenario} has "
                    f"{len(expected)}{detail}; train them in this environment"
                )


def make_probe(weights: Weights, observations: NDArray[np.float32], action_mask: NDArray[np.bool_]) -> Probe:
    """Return the probe batch of raw observations [B, F] for these weights."""
    logits = forward(weights.actor, normalise(observations, weights.mean, weights.scale))
    actions = _greedy(weights.spec, logits, action_mask)
    return Probe(observations=observations, action_mask=action_mask, logits=logits, actions=actions)


def _greedy(spec: ActionSpec, outputs: NDArray[np.float32], mask: NDArray[np.bool_]) -> Actions:
    return choose_greedily(masked(outputs[:, : spec.logits], mask), outputs[:, spec.logits :], spec)


def verifier(read_blob: Callable[[str], bytes]) -> Callable[[str], Weights]:
    """Return a function that reads the weights with a digest and verifies their probe batch (BadInputError)."""
    return lambda digest: read_weights(read_blob(digest), f"weights {digest[:12]}")


def read_weights(data: bytes, source: str) -> Weights:
    """Return the weights of a safetensors file; BadInputError naming `source` if the file is invalid.

    The file is untrusted. Header and tensors are checked: names, dtypes, shapes, finite numbers, positive scales, and
    the actions of the probe batch.
    """
    if len(data) > LIMIT:
        raise BadInputError(f"{source}: {len(data)} bytes; weights files of up to {LIMIT} are read")
    try:
        header, tensors = read_tensors(data, _KEY)
        metadata = structure(header, WeightsMetadata)
    except CodecError as error:
        raise BadInputError(f"{source}: unfit weights metadata: {error}") from error
    except ValueError as error:
        raise BadInputError(f"{source}: {error}") from error
    reader = _Reader(tensors, source)
    spec, inputs = metadata.spec, len(metadata.features)
    outputs = len(spec.outputs)
    scale = reader.take("normaliser.scale", np.float32, (inputs,))
    value = reader.take("value.normaliser", np.float64, (2,))
    if not (scale > 0).all() or not value[1] > 0:
        raise BadInputError(f"{source}: a normaliser's scale is not above 0")
    weights = Weights(
        metadata=metadata,
        actor=reader.layers("actor", metadata.layers, inputs, outputs),
        critic=reader.layers("critic", metadata.layers, inputs, 1),
        mean=reader.take("normaliser.mean", np.float32, (inputs,)),
        scale=scale,
        value_mean=float(value[0]),
        value_scale=float(value[1]),
        log_std=reader.take("actor.log_std", np.float32, (len(spec.box),)) if spec.box else np.zeros(0, np.float32),
        probe=reader.probe(inputs, spec),
    )
    reader.finish()
    try:
        weights.verify()
    except BadInputError as error:
        raise BadInputError(f"{source}: {error}") from error
    return weights


class _Reader:
    """Takes tensors from a file one by one; raises BadInputError for a missing, invalid or unknown one."""

    def __init__(self, tensors: dict[str, NDArray[Any]], source: str) -> None:
        self.tensors, self.source = dict(tensors), source

    def take(self, name: str, dtype: Any, shape: tuple[int | None, ...]) -> NDArray[Any]:
        if name not in self.tensors:
            raise BadInputError(f"{self.source}: tensor {name!r} is missing")
        tensor = self.tensors.pop(name)
        fits = tensor.ndim == len(shape) and all(w in (None, s) for w, s in zip(shape, tensor.shape, strict=True))
        if tensor.dtype != dtype or not fits:
            wanted = f"{np.dtype(dtype)} {[w or 'any' for w in shape]}"
            raise BadInputError(
                f"{self.source}: tensor {name!r} is {tensor.dtype} {list(tensor.shape)}, expected {wanted}"
            )
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise BadInputError(f"{self.source}: tensor {name!r} holds numbers that are not finite")
        if tensor.dtype.kind == "f" and (np.abs(tensor) > _LARGEST).any():
            raise BadInputError(
                f"{self.source}: tensor {name!r} holds numbers beyond ±{_LARGEST:g}; nothing learns such"
            )
        return tensor

    def layers(self, name: str, count: int, inputs: int, outputs: int) -> Layers:
        if not 1 <= count <= 8:
            raise BadInputError(f"{self.source}: {count} layers; 1 to 8 are read")
        layers, width = [], inputs
        for index in range(count):
            weight = self.take(f"{name}.{index}.weight", np.float32, (width, outputs if index == count - 1 else None))
            width = weight.shape[1]
            layers.append((weight, self.take(f"{name}.{index}.bias", np.float32, (width,))))
        return tuple(layers)

    def probe(self, inputs: int, spec: ActionSpec) -> Probe | None:
        if not any(name.startswith("probe.") for name in self.tensors):
            return None
        observations = self.take("probe.observations", np.float32, (None, inputs))
        rows = observations.shape[0]
        return Probe(
            observations=observations,
            action_mask=self.take("probe.action_mask", np.bool_, (rows, spec.logits)),
            logits=self.take("probe.logits", np.float32, (rows, len(spec.outputs))),
            actions=self.take("probe.actions", spec.dtype, spec.stored_shape(rows)).reshape(rows, spec.columns),
        )

    def finish(self) -> None:
        if self.tensors:
            raise BadInputError(f"{self.source}: unknown tensors {', '.join(sorted(self.tensors))}")

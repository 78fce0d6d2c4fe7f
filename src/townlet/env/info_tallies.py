"""KPIs that are read from the infos of an environment, episode by episode."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.fields import Direction
from townlet.dto.metrics import InfoMetricSpec, MetricSpec
from townlet.errors import BadInputError

__all__ = ["SUCCESS", "InfoTallies", "metric_specs", "row_of", "world_info"]

SUCCESS = MetricSpec(name="success", unit="share", direction=Direction.HIGHER, exposure="episodes", low=0.0, high=1.0)
"""Whether an episode succeeded, where infos say ``is_success`` or ``success``."""
_SHARES = ("any", "all")
Reduce = Literal["last", "sum", "mean", "max", "min", "any", "all"]


def metric_specs(metrics: Mapping[str, InfoMetricSpec], built_in: tuple[MetricSpec, ...]) -> tuple[MetricSpec, ...]:
    """Return an environment's own KPIs and those of a schedule; BadInputError where one takes the name of another."""
    taken = {metric.name for metric in built_in} & metrics.keys()
    if taken:
        raise BadInputError(f"environment.metrics: every environment has {min(taken)!r} already; choose another name")
    return (*built_in, *(_spec(name, metric) for name, metric in metrics.items()))


def _spec(name: str, metric: InfoMetricSpec) -> MetricSpec:
    low, high = (0.0, 1.0) if metric.reduce in _SHARES else (0.0 if metric.is_count else None, None)
    return MetricSpec(
        name=name,
        unit=metric.unit,
        direction=metric.direction,
        exposure="episodes",
        low=low,
        high=high,
        is_count=metric.is_count,
    )


def row_of(batch: Any, world: int) -> Any:
    """Return the part of one world of arrays [W, …], or of a mapping or a tuple of such."""
    if isinstance(batch, Mapping):
        return {key: row_of(part, world) for key, part in batch.items()}
    return tuple(row_of(part, world) for part in batch) if isinstance(batch, tuple) else batch[world]


def world_info(infos: Mapping[str, Any], world: int) -> dict[str, Any]:
    """Return what the infos of a vector environment of Gymnasium say about one world.

    The mask ``_key`` [W] marks the worlds that a key is about; without one it is about all, and so is what is no array.
    """
    own = dict[str, Any]()
    for key, values in infos.items():
        about = infos.get(f"_{key}")
        if (key.startswith("_") and key[1:] in infos) or (about is not None and not about[world]):
            continue
        if isinstance(values, Mapping):
            own[key] = world_info(values, world)
        else:
            own[key] = values[world] if getattr(values, "ndim", isinstance(values, list | tuple)) else values
    return own


@frozen
class _Reader:
    """Finds one number in an info."""

    name: str
    keys: tuple[str, ...]
    reduce: Reduce
    is_lenient: bool = False
    """Whether a value that is no number is passed over."""


class InfoTallies:
    """What the infos of W worlds say in their running episodes: one number for each KPI and world."""

    def __init__(self, metrics: Mapping[str, InfoMetricSpec], worlds: int) -> None:
        success = _Reader(SUCCESS.name, ("is_success", "success"), "last", is_lenient=True)
        self._readers = (success, *(_Reader(name, (each.info,), each.reduce) for name, each in metrics.items()))
        shape = (len(self._readers), worlds)
        self._values, self._counts = np.zeros(shape), np.zeros(shape, np.int64)

    def begin(self, world: int) -> None:
        """Forget a world's last episode."""
        self._values[:, world], self._counts[:, world] = 0.0, 0

    def add(self, world: int, info: Mapping[str, Any]) -> None:
        """Read an info of a world; ValueError for a value that is no number."""
        if not info:
            return
        for row, reader in enumerate(self._readers):
            for key in reader.keys:
                value = _find(info, key)
                if value is None:
                    continue
                try:
                    number = float(value)
                except (TypeError, ValueError) as error:
                    if reader.is_lenient:
                        continue
                    raise ValueError(f"metric {reader.name}: the info {key!r} is {value!r}, no number") from error
                self._take(row, world, number, reader.reduce)
                break

    def _take(self, row: int, world: int, number: float, reduce: Reduce) -> None:
        before, is_first = self._values[row, world], self._counts[row, world] == 0
        if reduce in _SHARES:
            number = float(bool(number))
        if reduce in ("sum", "mean"):
            number += before
        elif not is_first and reduce in ("max", "any"):
            number = max(before, number)
        elif not is_first and reduce in ("min", "all"):
            number = min(before, number)
        self._values[row, world] = number
        self._counts[row, world] += 1

    @property
    def sums(self) -> NDArray[np.float64]:
        """The numbers [K, W], success first; 0 where nothing was said."""
        means = np.array([[reader.reduce == "mean"] for reader in self._readers])
        return np.where(means, self._values / np.maximum(self._counts, 1), self._values)

    @property
    def exposures(self) -> NDArray[np.float64]:
        """1 where an info of the episode said something [K, W], else 0."""
        return (self._counts > 0).astype(np.float64)


def _find(info: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key, or of a path of keys with dots between them; None where there is none."""
    if key in info:
        return info[key]
    found: Any = info
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found

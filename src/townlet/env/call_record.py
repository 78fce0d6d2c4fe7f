"""A record of what environments of other libraries do beside their answers: infos, arrays, global state, output."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, Protocol, runtime_checkable

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from townlet.env.info_tallies import world_info

__all__ = ["CallRecord", "RecordableWorlds", "RecordingEnvironment"]


@define(kw_only=True)
class CallRecord:
    """What the calls of some environments did."""

    calls: int = 0
    """Calls of reset and step."""
    info_ranges: dict[str, tuple[float, float]] = field(factory=dict)
    """Least and largest value of each number in the infos; a dot leads into a mapping."""
    rewritten: str = ""
    """Part of an observation that was written into after it had been returned; empty where none was."""
    changed_random_state: int = 0
    """Calls that changed numpy's global generator."""
    printed: str = ""
    """The first line that was printed."""
    warned: str = ""
    """The first warning."""


@runtime_checkable
class RecordableWorlds(Protocol):
    """Worlds that a record can be kept of."""

    def record_calls(self, record: CallRecord) -> None:
        """Keep a record of all calls from now on."""
        ...


class RecordingEnvironment:
    """Hands each call to an environment and keeps a record of what the call did."""

    def __init__(self, inner: Any, record: CallRecord) -> None:
        self._inner, self._record = inner, record
        self._returned: list[tuple[str, NDArray[Any], NDArray[Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def reset(self, **options: Any) -> Any:
        """Begin an episode."""
        return self._call(self._inner.reset, **options)

    def step(self, action: Any) -> Any:
        """Play one decision."""
        return self._call(self._inner.step, action)

    def _call(self, method: Callable[..., Any], *words: Any, **options: Any) -> Any:
        record, output, before = self._record, StringIO(), _random_state()
        with redirect_stdout(output), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answer = method(*words, **options)
        record.calls += 1
        record.changed_random_state += _random_state() != before
        record.printed = record.printed or output.getvalue().strip().partition("\n")[0]
        if caught:
            record.warned = record.warned or f"{caught[0].category.__name__}: {caught[0].message}"
        for path, array, copy in self._returned:
            if not np.array_equal(array, copy, equal_nan=array.dtype.kind == "f"):
                record.rewritten = record.rewritten or path
        if isinstance(answer, tuple) and len(answer) > 1:  # an answer of another shape is a fault that others name
            self._returned = [(path, array, array.copy()) for path, array in _arrays(answer[0], "observation")]
            for path, number in self._numbers(answer[-1]):
                low, high = record.info_ranges.get(path, (number, number))
                record.info_ranges[path] = min(low, number), max(high, number)
        return answer

    def _numbers(self, info: Any) -> Iterator[tuple[str, float]]:
        """Yield the numbers of an info; of the infos of all agents, or of all worlds, where there are several."""
        if hasattr(self._inner, "possible_agents") and isinstance(info, Mapping):
            for own in info.values():
                yield from _numbers(own, "")
        elif hasattr(self._inner, "num_envs") and isinstance(info, Mapping):
            for world in range(self._inner.num_envs):
                yield from _numbers(world_info(info, world), "")
        else:
            yield from _numbers(info, "")


def _random_state() -> tuple[bytes, int]:
    """Return the state of numpy's global generator, which an environment should leave alone."""
    state: Any = np.random.get_state()  # noqa: NPY002  (it is read, and nothing is drawn)
    return state[1].tobytes(), state[2]


def _arrays(value: Any, path: str) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(value, np.ndarray):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _arrays(part, f"{path}/{key}")
    elif isinstance(value, tuple | list):
        for index, part in enumerate(value):
            yield from _arrays(part, f"{path}/{index}")


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _numbers(part, f"{path}.{key}" if path else str(key))
    elif path and isinstance(value, bool | int | float | np.generic | np.ndarray):
        number = np.asarray(value)
        if number.ndim == 0 and number.dtype.kind in "biuf" and np.isfinite(number):
            yield path, float(number)

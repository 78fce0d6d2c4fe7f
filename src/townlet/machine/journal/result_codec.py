"""A strategy's frozen result as plain data of the journal, and back.

The journal holds no NaN: a float that is not finite is written as null and read back as NaN, so that the guard that
asks for it answers UNKNOWN and the run holds.
"""

import math
from collections.abc import Mapping
from typing import Any

import attrs

from townlet.dto.codec import CodecError, structure
from townlet.dto.policy import TrainingResult
from townlet.errors import BadInputError, StrategyFailedError

__all__ = ["dump_result", "load_result"]


def dump_result(result: TrainingResult, cls: type[TrainingResult]) -> dict[str, Any]:
    """Return a result as plain data without NaN.

    StrategyFailedError where it is not of `cls`, BadInputError where it could not be read back.
    """
    if type(result) is not cls:
        raise StrategyFailedError(f"answered with {type(result).__name__}, expected {cls.__name__}")
    plain: dict[str, Any] = _without_nan(result.model_dump())
    _structure(plain, cls)
    return plain


def load_result(plain: Mapping[str, Any], cls: type[TrainingResult]) -> TrainingResult:
    """Return the result of `cls` that `dump_result` wrote; BadInputError for fields this version does not have."""
    try:
        return _structure(plain, cls)
    except CodecError as error:
        raise BadInputError(f"not a {cls.__name__} of this version: {error}; use the Townlet that wrote it") from error


def _structure(plain: Mapping[str, Any], cls: type[TrainingResult]) -> TrainingResult:
    nulls = [a.name for a in attrs.fields(cls) if a.type is float and a.name in plain and plain[a.name] is None]
    result = structure({**plain, **dict.fromkeys(nulls, 0.0)}, cls)
    nans: dict[str, Any] = dict.fromkeys(nulls, math.nan)
    return attrs.evolve(result, **nans)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value

"""Hooks of the codec: what each type takes, as plain data from files and as values from Python code."""

import math
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import NoneType
from typing import Any, get_args

import attrs
import cattrs
import numpy as np

from townlet.dto.construction import Hook
from townlet.dto.frozen_dict import FrozenDict
from townlet.dto.problems import CodecError, Problem, did_you_mean, problems_in, short_repr

__all__ = [
    "any_float",
    "check_text_keys",
    "enum_value",
    "exact_type",
    "finite_float",
    "frozen_set",
    "function",
    "instance",
    "literal",
    "mapping",
    "plain",
    "quantity",
    "sequence",
    "union",
]


def exact_type(kind: type, name: str) -> Hook:
    """Return the hook of a plain type that nothing else is converted to."""

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            whole = kind is int and type(value) is float and value.is_integer() and abs(value) < 2**53
            advice = f"; write {int(value)}" if whole else ""
            raise ValueError(f"expected {name}, found {short_repr(value)}{advice}")
        return value

    return hook


def enum_value(value: Any, kind: type[StrEnum]) -> StrEnum:
    """Return the member of an enumeration that a text names."""
    values = [member.value for member in kind]
    if type(value) is not str or value not in values:
        raise ValueError(f"expected one of: {', '.join(values)}; found {short_repr(value)}")
    return kind(value)


def finite_float(value: Any, _: Any) -> float:
    """Return a finite float of a number."""
    if type(value) not in (int, float):
        raise ValueError(f"expected a number, found {short_repr(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, found {short_repr(value)}")
    return number


def any_float(value: Any, kind: Any) -> float:
    """Return a float, also one that is not finite."""
    return value if type(value) is float else finite_float(value, kind)


def check_text_keys(value: Any) -> None:
    """Refuse what is no mapping with text as keys."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping, found {short_repr(value)}")
    for key in value:
        if type(key) is not str:
            raise ValueError(f"expected text as keys, found {short_repr(key)}")


def sequence(kind: Any, built: cattrs.Converter) -> Hook:
    """Return the hook of a tuple: a list or a tuple of its length."""
    arguments = get_args(kind)
    item = arguments[0] if arguments else Any
    fixed = bool(arguments) and arguments[-1] is not Ellipsis

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected a list, found {short_repr(value)}")
        if not fixed:
            return tuple(_each(enumerate(value), item, built))
        if len(value) != len(arguments):
            raise ValueError(f"expected a list of {len(arguments)}, found {len(value)} items")
        if len(set(arguments)) == 1:
            return tuple(_each(enumerate(value), item, built))
        return tuple(built.structure(each, part) for each, part in zip(value, arguments, strict=True))

    return hook


def _each(items: Iterable[tuple[int | str, Any]], kind: Any, built: cattrs.Converter) -> list[Any]:
    """Return the converted values of numbered or named items; CodecError with every mistake."""
    hook = built.get_structure_hook(kind)
    converted: list[Any] = []
    problems: list[Problem] = []
    for step, value in items:
        try:
            converted.append(hook(value, kind))
        except Exception as error:  # noqa: BLE001  (every mistake is gathered, and raised together below)
            problems += problems_in(error, (step,))
    if problems:
        raise CodecError(tuple(problems))
    return converted


def frozen_set(kind: Any, built: cattrs.Converter) -> Hook:
    """Return the hook of a frozen set."""

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, frozenset | set | list | tuple):
            raise ValueError(f"expected a set, found {short_repr(value)}")
        return frozenset(_each(enumerate(value), get_args(kind)[0], built))

    return hook


def mapping(kind: Any, built: cattrs.Converter) -> Hook:
    """Return the hook of a mapping with text as keys."""
    item = (get_args(kind) or (str, Any))[1]

    def hook(value: Any, _: Any) -> Any:
        check_text_keys(value)
        values = _each(value.items(), item, built)
        return FrozenDict(zip(value, values, strict=True))

    return hook


def literal(kind: Any) -> Hook:
    """Return the hook of a choice among values."""
    literals = get_args(kind)

    def hook(value: Any, _: Any) -> Any:
        if not any(type(value) is type(word) and value == word for word in literals):
            hint = did_you_mean(value, list(literals)) if isinstance(value, str) else ""
            newer = type(value) is int and any(type(word) is int for word in literals)  # numbers are schema versions
            advice = "; use the Townlet that wrote it" if newer else hint.partition("; expected")[0]
            raise ValueError(f"expected {' or '.join(map(repr, literals))}, found {short_repr(value)}{advice}")
        return value

    return hook


def plain(hook: Hook, exact: type | None = None) -> Hook:
    """Return a hook that also takes numpy's scalars and subclasses of text, as plain values; `exact` passes at once."""

    def convert(value: Any, kind: Any) -> Any:
        if type(value) is exact:
            return value
        if isinstance(value, np.generic):
            value = value.item()
        elif isinstance(value, str) and type(value) is not str:
            value = str.__str__(value)
        return hook(value, kind)

    return convert


def instance(kind: Any, reading: cattrs.Converter) -> Hook:
    """Return the hook of a class: its objects pass, a mapping is read as a record."""

    def hook(value: Any, _: Any) -> Any:
        if isinstance(value, kind):
            return value
        if isinstance(value, Mapping) and attrs.has(kind):
            return reading.structure(value, kind)
        raise ValueError(f"expected {kind.__name__}, found {short_repr(value)}")

    return hook


def function(value: Any, _: Any) -> Any:
    """Return what can be called."""
    if not callable(value):
        raise ValueError(f"expected a function, found {short_repr(value)}")
    return value


def union(kind: Any, built: cattrs.Converter, reading: cattrs.Converter) -> Hook:
    """Return the hook of a union: the first member that fits; the codec says why where none does."""
    members = [member for member in get_args(kind) if member is not NoneType]

    def hook(value: Any, _: Any) -> Any:
        if value is None and len(members) < len(get_args(kind)):
            return None
        if len(members) == 1:
            return built.structure(value, members[0])
        for member in members:
            try:
                return built.structure(value, member)
            except Exception:  # noqa: BLE001, S112  (the next member may fit; where none does, the codec says why)
                continue
        return reading.structure(value, kind)

    return hook


def quantity(parse: Callable[[object], Any], number: Hook, kind: type) -> Hook:
    """Return the hook of an amount: text with its unit, or a number that could be written so."""

    def hook(value: Any, _: Any) -> Any:
        amount = parse(value) if isinstance(value, str) else number(value, kind)
        if not 0 <= amount < 10**15:
            raise ValueError(f"expected an amount from 0 to 10**15, found {short_repr(value)}")
        return amount

    return hook

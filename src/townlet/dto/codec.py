"""The one strict converter between records and plain data.

cattrs is lax by default (3.9 becomes 3, "false" becomes True, typos are ignored); here booleans and strings are exact,
integers are integers, floats are finite, extra keys are refused, and all problems come at once with their paths.
"""

import copyreg
import math
import operator
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args, get_origin

import attrs
import cattrs
import numpy as np
from cattrs.errors import (
    BaseValidationError,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from townlet.dto import quantities
from townlet.dto.evolution import disk_name, earlier_name
from townlet.dto.fields import AXES
from townlet.errors import BadInputError

__all__ = ["CodecError", "Problem", "Record", "converter", "structure", "unstructure"]

T = TypeVar("T")


@attrs.frozen
class Problem:
    """One mistake in plain data."""

    path: tuple[str | int, ...]
    """Keys and indices from the root to the value."""
    message: str
    """The value and what was expected."""
    key: bool = False
    """True where the key itself is wrong, not its value."""

    def __str__(self) -> str:
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path).lstrip(".")
        return f"{where}: {self.message}" if where else self.message


class CodecError(BadInputError):
    """Plain data that does not fit its record; `problems` holds every mistake."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class Record:
    """Base of all records that travel: `model_dump()` through the one converter."""

    __slots__ = ()

    removed_fields: ClassVar[frozenset[str]] = frozenset()
    """Names that earlier versions stored and this one ignores; only nonsemantic fields may be removed."""

    def model_dump(self) -> dict[str, Any]:
        """Return this record as plain data (dicts, lists, text, numbers) that `structure` reads back."""
        return cast("dict[str, Any]", converter.unstructure(self))


def _short_repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _exact_type(kind: type, name: str) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            whole = kind is int and type(value) is float and value.is_integer() and abs(value) < 2**53
            advice = f"; write {int(value)}" if whole else ""
            raise ValueError(f"expected {name}, found {_short_repr(value)}{advice}")
        return value

    return hook


def _enum_value(value: Any, kind: type[StrEnum]) -> StrEnum:
    values = [member.value for member in kind]
    if type(value) is not str or value not in values:
        raise ValueError(f"expected one of: {', '.join(values)}; found {_short_repr(value)}")
    return kind(value)


def _finite_float(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"expected a number, found {_short_repr(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, found {_short_repr(value)}")
    return number


def _validating_hook(attribute: "attrs.Attribute[Any]") -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        structured = converter.structure(value, cast("Any", attribute.type))
        cast("Any", attribute.validator)(None, attribute, structured)
        return structured

    return hook


def _rename(attribute: "attrs.Attribute[Any]") -> str | None:
    return None if disk_name(attribute) == attribute.name else disk_name(attribute)


def _field_override(attribute: "attrs.Attribute[Any]") -> Any:
    # A validator that ran only when the record is built would name no field and hide the next mistake; an array is
    # checked against its neighbours and has to wait for them.
    early = attribute.validator is not None and AXES not in attribute.metadata
    return override(
        rename=_rename(attribute),
        struct_hook=_validating_hook(attribute) if early else None,
    )


def _record_structure(cls: type) -> Callable[[Any, Any], Any]:
    overrides = {a.name: _field_override(a) for a in attrs.fields(cls)}
    inner: Callable[[Any, Any], Any] = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=True, **cast("Any", overrides)
    )

    earlier = {earlier_name(a): disk_name(a) for a in attrs.fields(cls) if earlier_name(a) != disk_name(a)}
    removed = cls.removed_fields if issubclass(cls, Record) else frozenset[str]()

    def hook(value: Any, kind: Any) -> Any:
        _check_text_keys(value)
        if removed:
            value = {name: item for name, item in value.items() if name not in removed}
        return inner(_with_present_names(value, earlier) if earlier else value, kind)

    return hook


def _with_present_names(value: Mapping[str, Any], earlier: Mapping[str, str]) -> dict[str, Any]:
    """Return a mapping under present names; a field that has both names keeps both, and is refused."""
    return {name if earlier.get(name, name) in value else earlier.get(name, name): item for name, item in value.items()}


def _record_unstructure(cls: type) -> Callable[[Any], Any]:
    renames = {a.name: override(rename=disk_name(a)) for a in attrs.fields(cls) if _rename(a)}
    return make_dict_unstructure_fn(cls, converter, **cast("Any", renames))


def _check_text_keys(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping, found {_short_repr(value)}")
    for key in value:
        if type(key) is not str:
            raise ValueError(f"expected text as keys, found {_short_repr(key)}")


def _sequence_structure(kind: Any) -> Callable[[Any, Any], Any]:
    arguments = get_args(kind)
    item = arguments[0] if arguments else Any
    fixed = bool(arguments) and arguments[-1] is not Ellipsis

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected a list, found {_short_repr(value)}")
        if fixed and len(value) != len(arguments):
            raise ValueError(f"expected a list of {len(arguments)}, found {len(value)} items")
        kinds = arguments if fixed else (item,) * len(value)
        return tuple(_each(enumerate(value), kinds, kind))

    return hook


def _each(items: Any, kinds: Any, owner: Any) -> list[Any]:
    structured, errors = [], []
    for (index, value), kind in zip(items, kinds, strict=False):
        try:
            structured.append(converter.structure(value, kind))
        except Exception as error:  # noqa: BLE001  (every mistake is gathered, and raised together below)
            error.__notes__ = [*getattr(error, "__notes__", []), cattrs.IterableValidationNote("", index, kind)]
            errors.append(error)
    if errors:
        raise IterableValidationError("while structuring items", errors, owner)
    return structured


def _read_only(items: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(items)


def _reduce_mapping(mapping: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _read_only, (dict(mapping),)


# Records hold read-only mappings, which Python can neither copy nor pickle by itself.
copyreg.pickle(MappingProxyType, _reduce_mapping)


def _mapping_structure(kind: Any) -> Callable[[Any, Any], Any]:
    item = (get_args(kind) or (str, Any))[1]

    def hook(value: Any, _: Any) -> Any:
        _check_text_keys(value)
        values = _each(value.items(), (item,) * len(value), kind)
        return MappingProxyType(dict(zip(value, values, strict=True)))

    return hook


def _array_structure(kind: Any) -> Callable[[Any, Any], Any]:
    dtype = np.dtype(get_args(get_args(kind)[1])[0])

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping) or set(value) != {"dtype", "shape", "data"} or value["dtype"] != str(dtype):
            raise ValueError(f"expected an array as {{dtype: {dtype}, shape, data}}, found {_short_repr(value)}")
        item: Any = {"b": bool, "i": int, "u": int, "f": float}[dtype.kind]
        data = converter.structure(value["data"], cast("Any", tuple[item, ...]))
        return np.array(data, dtype).reshape(converter.structure(value["shape"], tuple[int, ...]))

    return hook


def _array_unstructure(value: Any) -> dict[str, Any]:
    return {"dtype": str(value.dtype), "shape": list(value.shape), "data": value.ravel().tolist()}


def _literal_structure(kind: Any) -> Callable[[Any, Any], Any]:
    literals = get_args(kind)

    def hook(value: Any, _: Any) -> Any:
        if not any(type(value) is type(word) and value == word for word in literals):
            hint = did_you_mean(value, list(literals)) if isinstance(value, str) else ""
            newer = type(value) is int and any(type(word) is int for word in literals)  # numbers are schema versions
            advice = "; use the Townlet that wrote it" if newer else hint.partition("; expected")[0]
            raise ValueError(f"expected {' or '.join(map(repr, literals))}, found {_short_repr(value)}{advice}")
        return value

    return hook


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is np.ndarray


def _originates(*origins: Any) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) in origins


def _call_parser(parse: Callable[[object], Any], value: object, _: Any) -> Any:
    return parse(value)


def _build() -> cattrs.Converter:
    built = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    built.register_structure_hook_factory(_originates(tuple), _sequence_structure)
    built.register_structure_hook_factory(_originates(Mapping, dict), _mapping_structure)
    built.register_structure_hook_factory(_originates(Literal), _literal_structure)
    built.register_structure_hook_factory(attrs.has, _record_structure)
    built.register_unstructure_hook_factory(attrs.has, _record_unstructure)
    built.register_structure_hook_factory(_is_array, _array_structure)
    built.register_unstructure_hook_func(_is_array, _array_unstructure)
    built.register_unstructure_hook_factory(
        _originates(tuple), lambda kind: lambda value: [built.unstructure(item) for item in value]
    )
    built.register_unstructure_hook_factory(
        _originates(Mapping, dict),
        lambda kind: lambda value: {key: built.unstructure(item) for key, item in value.items()},
    )
    built.register_structure_hook(bool, _exact_type(bool, "true or false"))
    built.register_structure_hook(int, _exact_type(int, "a whole number"))
    built.register_structure_hook(str, _exact_type(str, "text"))
    built.register_structure_hook(float, _finite_float)
    built.register_unstructure_hook(StrEnum, lambda word: word.value)
    built.register_structure_hook(StrEnum, _enum_value)  # else the hook of `str` would serve it and let any text pass
    for kind, parse, write in (
        (quantities.Duration, quantities.parse_duration, quantities.format_duration),
        (quantities.Bytes, quantities.parse_bytes, quantities.format_bytes),
        (quantities.Percent, quantities.parse_percent, quantities.format_percent),
    ):
        is_kind = partial(operator.is_, kind)
        built.register_structure_hook_func(is_kind, partial(_call_parser, parse))
        built.register_unstructure_hook_func(is_kind, cast("Any", write))
    return built


converter = _build()
"""The one converter. Use `structure` and `unstructure`; register hooks nowhere else."""


def _step(error: BaseException, note: Any) -> str | int:
    """Return the key or index that a note of cattrs names, as it is written on disk."""
    if not isinstance(note, cattrs.AttributeValidationNote):
        return cast("int", note.index)
    attribute = attrs.fields_dict(error.cl).get(note.name) if isinstance(error, ClassValidationError) else None
    return note.name if attribute is None else disk_name(attribute)


def _flatten(error: BaseException, path: tuple[str | int, ...]) -> list[Problem]:
    if isinstance(error, BaseValidationError):
        with_notes, without_notes = (
            error.group_exceptions()
            if isinstance(error, ClassValidationError | IterableValidationError)
            else ([], list(error.exceptions))
        )
        problems: list[Problem] = []
        for inner, note in with_notes:
            step = _step(error, note)
            if isinstance(inner, KeyError):
                problems.append(Problem(path, f"{step!r} is missing"))
            else:
                problems.extend(_flatten(inner, (*path, step)))
        for inner in without_notes:
            problems.extend(_flatten(inner, path))
        return problems
    if isinstance(error, ForbiddenExtraKeysError):
        names = sorted(disk_name(a) for a in attrs.fields(error.cl))
        return [
            Problem((*path, name), f"unknown key {name!r}{did_you_mean(name, names)}", key=True)
            for name in sorted(error.extra_fields)
        ]
    return [Problem(path, str(error))]


def did_you_mean(word: str, choices: list[str] | tuple[str, ...]) -> str:
    """Return `; did you mean 'x'?` for the choice nearest to a word, or the list of choices."""
    near = get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of: {', '.join(choices)}"


def structure(data: Any, cls: type[T]) -> T:
    """Return the record of `cls` that plain `data` describes; CodecError with every mistake and its path."""
    try:
        return converter.structure(data, cls)
    except Exception as error:  # cattrs raises groups and hooks raise ValueError: both become one CodecError
        raise CodecError(tuple(_flatten(error, ()))) from error


def unstructure(value: Any) -> Any:
    """Return plain data for any record, tuple or mapping of records."""
    return converter.unstructure(value)

"""The one strict converter between records and plain data.

cattrs is lax by default (3.9 becomes 3, "false" becomes True, typos are ignored); here booleans and strings are exact,
integers are integers, floats are finite, extra keys are refused, and all problems come at once with their paths.
"""

import copyreg
import operator
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import partial
from types import MappingProxyType, UnionType
from typing import Any, ClassVar, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
import cattrs
import numpy as np
from cattrs.gen import make_dict_unstructure_fn, override

from townlet.dto import quantities
from townlet.dto.construction import Hook, check_arguments, read_record
from townlet.dto.evolution import disk_name, earlier_name
from townlet.dto.hooks import (
    any_float,
    check_text_keys,
    enum_value,
    exact_type,
    finite_float,
    frozen_set,
    function,
    instance,
    literal,
    mapping,
    plain,
    quantity,
    sequence,
    union,
)
from townlet.dto.problems import CodecError, Problem, RecordError, did_you_mean, problems_in, short_repr

__all__ = [
    "Checked",
    "CodecError",
    "Problem",
    "Record",
    "RecordError",
    "converter",
    "did_you_mean",
    "structure",
    "unstructure",
]

T = TypeVar("T")


def _read_only(items: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(items)


def _reduce_mapping(mapping: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _read_only, (dict(mapping),)


# Tables of the rules are read-only mappings, which Python can neither copy nor pickle by itself.
copyreg.pickle(MappingProxyType, _reduce_mapping)


class Checked:
    """Base of classes whose arguments are converted and checked by their types, as the codec does with plain data.

    Building one raises RecordError with every mistake. Values of the right class pass as they are; text becomes the
    member of an enumeration, a list a tuple, numpy's scalars plain numbers.
    """

    __slots__ = ()

    may_be_nan: ClassVar[bool] = False
    """Whether its numbers may be NaN or infinite until they are stored."""

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        check_arguments(cls, lambda kind: _hook_of_argument(kind, nan=cls.may_be_nan))


class Record(Checked):
    """Base of all records that travel: `model_dump()` through the one converter."""

    __slots__ = ()

    removed_fields: ClassVar[frozenset[str]] = frozenset()
    """Names that earlier versions stored and this one ignores; only nonsemantic fields may be removed."""

    def model_dump(self) -> dict[str, Any]:
        """Return this record as plain data (dicts, lists, text, numbers) that `structure` reads back."""
        return cast("dict[str, Any]", converter.unstructure(self))


def _rename(attribute: "attrs.Attribute[Any]") -> str | None:
    return None if disk_name(attribute) == attribute.name else disk_name(attribute)


def _record_structure(cls: type) -> Hook:
    inner = read_record(cls, converter.get_structure_hook)
    earlier = {earlier_name(a): disk_name(a) for a in attrs.fields(cls) if earlier_name(a) != disk_name(a)}
    removed = cls.removed_fields if issubclass(cls, Record) else frozenset[str]()

    def hook(value: Any, kind: Any) -> Any:
        check_text_keys(value)
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


def _array_structure(kind: Any) -> Hook:
    dtype = np.dtype(get_args(get_args(kind)[1])[0])

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping) or set(value) != {"dtype", "shape", "data"} or value["dtype"] != str(dtype):
            raise ValueError(f"expected an array as {{dtype: {dtype}, shape, data}}, found {short_repr(value)}")
        item: Any = {"b": bool, "i": int, "u": int, "f": float}[dtype.kind]
        data = converter.structure(value["data"], cast("Any", tuple[item, ...]))
        return np.array(data, dtype).reshape(converter.structure(value["shape"], tuple[int, ...]))

    return hook


def _array_unstructure(value: Any) -> dict[str, Any]:
    return {"dtype": str(value.dtype), "shape": list(value.shape), "data": value.ravel().tolist()}


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is np.ndarray


def _originates(*origins: Any) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) in origins


def _write_each(write: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [write(value) for value in values]


def _call_parser(parse: Callable[[object], Any], value: object, _: Any) -> Any:
    return parse(value)


def _build() -> cattrs.Converter:
    built = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    built.register_structure_hook_factory(_originates(tuple), lambda kind: sequence(kind, built))
    built.register_structure_hook_factory(_originates(Mapping, dict), lambda kind: mapping(kind, built))
    built.register_structure_hook_factory(_originates(Literal), literal)
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
    built.register_structure_hook(bool, exact_type(bool, "true or false"))
    built.register_structure_hook(int, exact_type(int, "a whole number"))
    built.register_structure_hook(str, exact_type(str, "text"))
    built.register_structure_hook(float, finite_float)
    built.register_unstructure_hook(StrEnum, lambda word: word.value)
    built.register_structure_hook(StrEnum, enum_value)  # else the hook of `str` would serve it and let any text pass
    for kind, parse, write in (
        (quantities.Duration, quantities.parse_duration, quantities.format_duration),
        (quantities.Bytes, quantities.parse_bytes, quantities.format_bytes),
        (quantities.Percent, quantities.parse_percent, quantities.format_percent),
    ):
        is_kind = partial(operator.is_, kind)
        built.register_structure_hook_func(is_kind, partial(_call_parser, parse))
        built.register_unstructure_hook_func(is_kind, cast("Any", write))
        several: Any = tuple[kind, ...]  # type: ignore[valid-type]
        built.register_unstructure_hook_func(partial(operator.eq, several), partial(_write_each, cast("Any", write)))
    return built


converter = _build()
"""The one converter. Use `structure` and `unstructure`; register hooks nowhere else."""


def _build_for_arguments(*, nan: bool) -> cattrs.Converter:
    """Return the converter for arguments of records: it takes built values besides plain data."""
    built = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    number = plain(any_float if nan else finite_float)
    whole = plain(exact_type(int, "a whole number"), int)
    is_class: Callable[[Any], bool] = lambda kind: isinstance(kind, type) and kind not in (object, Any)  # noqa: E731
    built.register_structure_hook_factory(is_class, lambda kind: instance(kind, converter))
    built.register_structure_hook_func(_originates(cast("Any", Callable), type), function)
    built.register_structure_hook_factory(_originates(tuple), lambda kind: sequence(kind, built))
    built.register_structure_hook_factory(_originates(frozenset), lambda kind: frozen_set(kind, built))
    built.register_structure_hook_factory(_originates(Mapping, dict), lambda kind: mapping(kind, built))
    built.register_structure_hook_factory(_originates(Literal), lambda kind: plain(literal(kind)))
    built.register_structure_hook_factory(_originates(Union, UnionType), lambda kind: union(kind, built, converter))
    built.register_structure_hook_factory(_is_array, lambda _: instance(np.ndarray, converter))
    built.register_structure_hook(bool, plain(exact_type(bool, "true or false"), bool))
    built.register_structure_hook(int, whole)
    built.register_structure_hook(str, plain(exact_type(str, "text"), str))
    built.register_structure_hook(float, number)
    built.register_structure_hook(StrEnum, plain(enum_value))
    for kind, parse, hook in (
        (quantities.Duration, quantities.parse_duration, number),
        (quantities.Bytes, quantities.parse_bytes, whole),
        (quantities.Percent, quantities.parse_percent, number),
    ):
        built.register_structure_hook_func(partial(operator.is_, kind), quantity(parse, hook, kind))
    return built


_arguments = {nan: _build_for_arguments(nan=nan) for nan in (False, True)}


def _hook_of_argument(kind: Any, *, nan: bool) -> Hook:
    return _arguments[nan].get_structure_hook(kind)


def structure(data: Any, cls: type[T]) -> T:
    """Return the record of `cls` that plain `data` describes; CodecError with every mistake and its path."""
    try:
        return converter.structure(data, cls)
    except Exception as error:  # cattrs raises groups and hooks raise ValueError: both become one CodecError
        raise CodecError(tuple(problems_in(error, ()))) from error


def unstructure(value: Any) -> Any:
    """Return plain data for any record, tuple or mapping of records."""
    return converter.unstructure(value)

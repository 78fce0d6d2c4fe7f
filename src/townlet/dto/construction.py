"""Checks every value of a record by the type of its field, whether a file or Python code gives it.

attrs itself checks nothing that has no validator: `direction="higher"` would stay text, and a comparison with
`Direction.HIGHER` by identity would take it for the opposite.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import attrs
from attrs import frozen

from townlet.dto.evolution import disk_name
from townlet.dto.problems import CodecError, Problem, RecordError, did_you_mean, problems_in
from townlet.errors import TownletError

__all__ = ["Hook", "check_arguments", "read_record"]

Hook = Callable[[Any, Any], Any]
"""Returns a value as a type wants it, given the value and the type; ValueError where it does not fit."""


@frozen(kw_only=True)
class _Field:
    """The check of one field."""

    attribute: "attrs.Attribute[Any]"
    """The field."""
    kind: Any
    """Its type."""
    hook: Hook
    """Converts a value to the field's type."""
    validator: Any
    """Checks the converted value; None for no check."""

    @classmethod
    def of(cls, attribute: "attrs.Attribute[Any]", hook_of: Callable[[Any], Hook]) -> "_Field":
        """Return the check of a field."""
        return cls(
            attribute=attribute, kind=attribute.type, hook=hook_of(attribute.type), validator=attribute.validator
        )

    def convert(self, value: Any) -> Any:
        """Return a value as the field wants it; an error of any kind where it does not fit."""
        converted = self.hook(value, self.kind)
        if self.validator is not None:
            self.validator(None, self.attribute, converted)
        return converted


def check_arguments(record: type, hook_of: Callable[[Any], Hook]) -> None:
    """Let a record's `__init__` convert and check its arguments by their types first.

    `hook_of` returns the check of a type. The types are looked up when the first one is built: they may be names of
    classes that stand further below.
    """
    if "__init__" not in vars(record):
        return
    unchecked: Callable[..., None] = vars(record)["__init__"]
    order, checks, defaults = tuple[str, ...](), dict[str, _Field](), dict[str, Any]()
    ready = False

    @wraps(unchecked)
    def __init__(self: Any, *args: Any, **values: Any) -> None:  # noqa: N807
        nonlocal order, checks, defaults, ready
        if not ready:
            order, checks, defaults = _checks(record, hook_of)
            ready = True
            if not checks:  # arrays only: they check themselves, and they are built at every decision
                record.__init__ = unchecked  # type: ignore[misc]
        if args and len(args) <= len(order):
            args, values = (), {**values, **dict(zip(order, args, strict=False))}
        if defaults:
            values = {**defaults, **values}
        problems: list[Problem] = []
        for alias, value in values.items():
            if (check := checks.get(alias)) is not None:
                try:
                    values[alias] = check.convert(value)
                except Exception as error:  # noqa: BLE001  (every mistake is gathered, and raised together below)
                    problems += problems_in(error, (check.attribute.name,))
        if problems:
            raise RecordError(record.__name__, tuple(problems))
        try:
            unchecked(self, *args, **values)
        except TownletError:
            raise
        except ValueError as error:
            raise RecordError(record.__name__, (Problem((), str(error)),)) from error

    record.__init__ = __init__  # type: ignore[misc]


def _checks(record: type, hook_of: Callable[[Any], Hook]) -> tuple[tuple[str, ...], dict[str, _Field], dict[str, Any]]:
    """Return positional arguments, the check of each, and the defaults that a check changes (dictionaries)."""
    attrs.resolve_types(record)
    fields = {str(field.alias): field for field in attrs.fields(record) if field.init}
    order = tuple(alias for alias, field in fields.items() if not field.kw_only)
    # arrays and fields with a converter of their own check themselves
    checks = {alias: _Field.of(field, hook_of) for alias, field in fields.items() if field.converter is None}
    defaults = {}
    for alias, check in checks.items():
        default: Any = check.attribute.default
        if isinstance(default, attrs.Factory) and not default.takes_self:  # type: ignore[arg-type]
            default = default.factory()
        if isinstance(default, Mapping):
            defaults[alias] = check.hook(default, check.kind)
    return order, checks, defaults


def read_record(cls: type, hook_of: Callable[[Any], Hook]) -> Hook:
    """Return the hook that reads a record of a class from a mapping; CodecError with every mistake."""
    attrs.resolve_types(cls)
    fields = {disk_name(attribute): attribute for attribute in attrs.fields(cls) if attribute.init}
    unchecked = inspect.unwrap(vars(cls)["__init__"])
    checks: tuple[tuple[str, str, _Field], ...] | None = None

    def hook(value: Mapping[str, Any], _: Any) -> Any:
        nonlocal checks
        # Not before the first reading: a record may hold records of its own kind. Whole: other threads read too.
        if checks is None:
            checks = tuple((name, str(field.alias), _Field.of(field, hook_of)) for name, field in fields.items())
        arguments: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, alias, check in checks:
            if name in value:
                try:
                    arguments[alias] = check.convert(value[name])
                except Exception as error:  # noqa: BLE001  (every mistake is gathered, and raised together below)
                    problems += problems_in(error, (name,))
            elif check.attribute.default is attrs.NOTHING:
                problems.append(Problem((), f"{name!r} is missing"))
        if len(value) > len(arguments):
            unknown, names = sorted(value.keys() - fields.keys()), sorted(fields)
            problems += [Problem((key,), f"unknown key {key!r}{did_you_mean(key, names)}", key=True) for key in unknown]
        if problems:
            raise CodecError(tuple(problems))
        record: Any = object.__new__(cls)
        unchecked(record, **arguments)
        return record

    return hook

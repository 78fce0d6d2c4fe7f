"""Constraints of fields, declared once: what refuses a wrong value also writes itself into the JSON Schema."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import fsum
from typing import Any, Protocol

import attrs
from attrs import frozen

from townlet.dto.quantities import Percent

__all__ = [
    "Constraint",
    "Growing",
    "Items",
    "Limits",
    "Points",
    "Text",
    "Widths",
    "check_presence",
    "constraints_of",
    "presence_schema",
]


class Constraint(Protocol):
    """A validator of a field that can describe itself."""

    def __call__(self, instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        """Raise ValueError, with what was expected, for a value that does not fit."""

    def schema(self, kind: Any) -> Mapping[str, Any]:
        """Return the constraint of a field of this type in the words of JSON Schema, draft 07."""


@frozen(kw_only=True)
class Limits:
    """A number between limits, each included unless it is `above` or `below`."""

    least: float | None = None
    """Smallest number."""
    above: float | None = None
    """Number that it must exceed."""
    most: float | None = None
    """Largest number."""
    below: float | None = None
    """Number that it must not reach."""
    words: str
    """What is expected."""

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Raise ValueError for a number beyond a limit."""
        fits = (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )
        if not fits:
            raise ValueError(f"expected {self.words}, found {value}")

    def schema(self, kind: Any) -> Mapping[str, Any]:
        """Return the limits; of a percentage, whose text a schema cannot compare, a pattern."""
        if kind is Percent:
            whole = r"[0-9]{1,2}(\.[0-9]+)?" + ("" if self.most is None else r"|100(\.0+)?")
            upper_half = r"50\.0*[1-9][0-9]*|5[1-9](\.[0-9]+)?|[6-9][0-9](\.[0-9]+)?"
            return {"pattern": rf"^({upper_half if self.above == 0.5 else whole})\s*%$"}
        words = {
            "minimum": self.least,
            "exclusiveMinimum": self.above,
            "maximum": self.most,
            "exclusiveMaximum": self.below,
        }
        return {word: limit for word, limit in words.items() if limit is not None}


@frozen(kw_only=True)
class Text:
    """A text of one pattern."""

    pattern: str
    """The whole text, as Python and ECMAScript both read it."""
    words: str
    """What is expected."""

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Raise ValueError for another text."""
        if re.fullmatch(self.pattern, value, re.ASCII) is None:
            raise ValueError(f"expected {self.words}; found {value!r}")

    def schema(self, kind: Any) -> Mapping[str, Any]:
        """Return the pattern, from the beginning of the text to its end."""
        return {"pattern": f"^{self.pattern}$"}


@frozen(kw_only=True)
class Growing:
    """Whole numbers from 1, each larger than the one before."""

    words: str
    """What is expected."""

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Raise ValueError for no number, or one that does not grow."""
        if not value or any(b <= a for a, b in pairwise((0, *value))):
            raise ValueError(f"expected {self.words}, found {list(value)}")

    def schema(self, kind: Any) -> Mapping[str, Any]:
        """Return what draft 07 can say: at least one, from 1, none twice; that they grow it cannot."""
        return {"minItems": 1, "uniqueItems": True, "items": {"minimum": 1}}


@frozen(kw_only=True)
class Shares:
    """Fractions above 0 that together are at most 1."""

    words: str
    """What is expected."""

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Raise ValueError for a share of nothing, or for more than the whole."""
        if any(share <= 0 for share in value) or fsum(value) > 1 + 1e-12:
            raise ValueError(f"expected {self.words}, found {', '.join(f'{share:.4g}' for share in value)}")

    def schema(self, kind: Any) -> Mapping[str, Any]:
        """Return nothing: what percentages add up to draft 07 cannot say."""
        return {}


@frozen(kw_only=True)
class Items:
    """A list of some length."""

    least: int
    """Entries at least."""
    words: str
    """What is expected."""

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Raise ValueError for too few."""
        if len(value) < self.least:
            raise ValueError(f"expected {self.words}, found {len(value)}")

    def schema(self, kind: Any) -> Mapping[str, Any]:
        """Return the length."""
        return {"minItems": self.least}


@frozen(kw_only=True)
class Widths:
    """Some whole numbers between limits."""

    most: int
    """How many at most; one at least."""
    low: int
    """Smallest number."""
    high: int
    """Largest number."""
    words: str
    """What is expected."""

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Raise ValueError for too many, or one beyond a limit."""
        if not 1 <= len(value) <= self.most or any(not self.low <= width <= self.high for width in value):
            raise ValueError(f"expected {self.words}, found {list(value)}")

    def schema(self, kind: Any) -> Mapping[str, Any]:
        """Return number and limits."""
        return {"minItems": 1, "maxItems": self.most, "items": {"minimum": self.low, "maximum": self.high}}


@frozen(kw_only=True)
class Points:
    """Points [agent-steps, value] whose agent-steps grow."""

    most: float | None = None
    """Largest value; None for no bound."""

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Raise ValueError for no point, a value out of range, or agent-steps that do not grow."""
        if not value:
            raise ValueError("expected at least one [agent-steps, value] point")
        if any(y < 0 for _, y in value):
            raise ValueError("expected values of at least 0")
        if self.most is not None and any(y > self.most for _, y in value):
            raise ValueError(f"expected values of at most {self.most:g}")
        if any(later[0] <= earlier[0] for earlier, later in pairwise(value)):
            raise ValueError("expected agent-steps that grow from point to point")

    def schema(self, kind: Any) -> Mapping[str, Any]:
        """Return number and range of the values; that agent-steps grow draft 07 cannot say."""
        value = {"minimum": 0} | ({} if self.most is None else {"maximum": self.most})
        return {"minItems": 1, "items": {"items": [{}, value]}}


def constraints_of(validator: Any) -> tuple[Constraint, ...]:
    """Return the constraints within a field's validator; those of attrs' own are unwrapped."""
    if validator is None:
        return ()
    if hasattr(validator, "schema"):
        return (validator,)
    inner = getattr(validator, "_validators", None) or (getattr(validator, "validator", None),)
    return tuple(constraint for each in inner if each is not None for constraint in constraints_of(each))


def check_presence(record: Any) -> None:
    """Raise ValueError where a record's fields do not stand together as its class declares.

    `EXACTLY_ONE` and `AT_LEAST_ONE` name fields; `NEEDS` says which field each of its keys needs beside it.
    """
    cls = type(record)
    exactly, at_least, needs = _presence(cls)
    given = [name for name in exactly if getattr(record, name) is not None]
    if exactly and len(given) != 1:
        raise ValueError(f"expected exactly one of {', '.join(exactly)}; found {', '.join(given) or 'none'}")
    if at_least and all(getattr(record, name) is None for name in at_least):
        raise ValueError(f"expected {' or '.join(at_least)}")
    for name, other in needs.items():
        if getattr(record, name) is not None and getattr(record, other) is None:
            raise ValueError(f"{name} needs {other} beside it")


def presence_schema(cls: type) -> Mapping[str, Any]:
    """Return the same in the words of JSON Schema."""
    exactly, at_least, needs = _presence(cls)
    schema: dict[str, Any] = {}
    if exactly:
        schema["oneOf"] = [{"required": [name]} for name in exactly]
    if at_least:
        schema["anyOf"] = [{"required": [name]} for name in at_least]
    if needs:
        schema["dependencies"] = {name: [other] for name, other in needs.items()}
    return schema


def _presence(cls: type) -> tuple[Sequence[str], Sequence[str], Mapping[str, str]]:
    return getattr(cls, "EXACTLY_ONE", ()), getattr(cls, "AT_LEAST_ONE", ()), getattr(cls, "NEEDS", {})

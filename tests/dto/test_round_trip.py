"""Every record comes back through the converter as it was."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import townlet.dto
from townlet.dto import quantities
from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead, StoredActions
from townlet.dto.array_fields import AXES
from townlet.dto.codec import Record, structure
from townlet.dto.guards import (
    BetweenSpec,
    ComparisonSpec,
    GuardSpec,
    LimitSpec,
    MarginSpec,
    MetricGuardSpec,
    PairedComparisonSpec,
    ShareLimitSpec,
    ShareMarginSpec,
    TailSpec,
    ThresholdSpec,
    VisitCountSpec,
)
from townlet.dto.model_card import CardOptions
from townlet.dto.policy import TrainingResult
from townlet.dto.schedule import BaselineSpec, ControlSpec, EvidenceSpec
from townlet.dto.spaces import NativeSpaces, SpacePart
from townlet.dto.strategies import DataSpec, RampSpec

WHOLE = st.integers(8, 1000)
SHARE = st.sampled_from([0.625, 0.75, 0.875])
WORDS = st.text("abcdefgh", min_size=1, max_size=8)


def _records() -> list[type[Record]]:
    modules = [
        importlib.import_module(f"townlet.dto.{module.name}")
        for module in pkgutil.iter_modules(townlet.dto.__path__)
        if not module.name.startswith(("town", "bylaws"))  # towns have rules of their own, and their own test
    ] + [importlib.import_module("townlet.dto.training_log")]
    return sorted(
        {
            cls
            for module in modules
            for _, cls in inspect.getmembers(module, inspect.isclass)
            if issubclass(cls, Record)
            and attrs.has(cls)
            and cls.__module__ == module.__name__
            and cls is not TrainingResult  # the base of all answers comes back as one of them
        },
        key=lambda cls: cls.__name__,
    )


SPECIAL: dict[type, st.SearchStrategy[Any]] = {
    MarginSpec: st.builds(MarginSpec, baseline=WORDS, absolute=SHARE)
    | st.builds(MarginSpec, baseline=WORDS, relative=SHARE, floor=SHARE),
    BaselineSpec: st.builds(BaselineSpec, alias=WORDS) | st.builds(BaselineSpec, of=WORDS, otherwise=WORDS),
    DataSpec: st.builds(DataSpec, manifest=WORDS, sha256=WORDS)
    | st.builds(DataSpec, sample=WORDS, meta=WORDS, sha256=WORDS),
    ControlSpec: st.builds(ControlSpec, episodes=WHOLE.map(lambda n: n + 20), coefficient=SHARE, covariate=WORDS),
    EvidenceSpec: st.builds(EvidenceSpec, episodes=st.just((20, 40)), confidence=SHARE, days=WHOLE),
}
SPECIAL[DiscreteHead] = st.builds(
    DiscreteHead, name=WORDS, options=st.lists(WORDS, min_size=1, max_size=3, unique=True).map(tuple)
)
SPECIAL[BoxHead] = st.builds(BoxHead, name=WORDS.map(str.upper), low=st.none() | st.just(-1.0), high=st.just(1.5))
SPECIAL[ActionSpec] = st.builds(
    ActionSpec, discrete=SPECIAL[DiscreteHead].map(lambda head: (head,)), box=SPECIAL[BoxHead].map(lambda head: (head,))
)
POINTS = st.just(((0.0, 0.0), (100.0, 0.5)))
SPECIAL[RampSpec] = st.builds(RampSpec, actor=POINTS, critic=POINTS, anchor_kl=POINTS, bc_weight=POINTS)
SPECIAL[ShareMarginSpec] = st.builds(ShareMarginSpec, baseline=WORDS, absolute=SHARE, at_most=SHARE)
SPECIAL[TailSpec] = st.builds(
    TailSpec, metric=WORDS, share_below=st.builds(ShareLimitSpec, limit=SHARE, at_most=SHARE), evidence=WORDS
) | st.builds(TailSpec, metric=WORDS, share_worse=SPECIAL[ShareMarginSpec], evidence=WORDS)
SPECIAL[ThresholdSpec] = st.builds(ThresholdSpec, metric=WORDS, at_least=SHARE)
SPECIAL[BetweenSpec] = st.builds(BetweenSpec, metric=WORDS, between=st.tuples(SHARE, SHARE).map(sorted).map(tuple))
SPECIAL[ComparisonSpec] = st.builds(ComparisonSpec, metric=WORDS, worse_by=SPECIAL[MarginSpec])
SPECIAL[PairedComparisonSpec] = st.builds(
    PairedComparisonSpec, metric=WORDS, better_by=SPECIAL[MarginSpec], evidence=WORDS
)
SPECIAL[VisitCountSpec] = st.builds(VisitCountSpec, visits_to=WORDS, below=WHOLE)
SPECIAL[LimitSpec] = SPECIAL[ThresholdSpec] | SPECIAL[BetweenSpec]
SPECIAL[MetricGuardSpec] = (
    SPECIAL[LimitSpec] | SPECIAL[ComparisonSpec] | SPECIAL[PairedComparisonSpec] | SPECIAL[TailSpec]
)
SPECIAL[GuardSpec] = SPECIAL[MetricGuardSpec] | SPECIAL[VisitCountSpec]
SPECIAL[SpacePart] = st.builds(SpacePart, path=st.lists(WHOLE | WORDS, max_size=2).map(tuple), kind=st.just("box"))
SPECIAL[NativeSpaces] = st.builds(
    NativeSpaces, observation=SPECIAL[SpacePart].map(lambda part: (part,)), action=st.just((SpacePart(kind="binary"),))
)
SPECIAL[CardOptions] = st.builds(CardOptions, license=st.just("mit"), base_model=st.just("user/name"))


def values(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one line per kind of type
    """Return values of an annotated type."""
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: WHOLE, float: SHARE, str: WORDS, bool: st.booleans(), NoneType: st.none(), Any: WHOLE,
        quantities.Percent: SHARE, quantities.Duration: st.sampled_from([1.0, 90.0]), quantities.Bytes: WHOLE,
        Path: st.just(Path("a")),
    }  # fmt: skip
    if kind in simple:
        return simple[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, UnionType):
        flat = [part for part in arguments if depth < 3 or not attrs.has(part)] or list(arguments)
        return st.one_of(*(values(part, depth + 1) for part in flat))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0], depth + 1), min_size=1, max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(values(part, depth + 1) for part in arguments))
    if origin in (Mapping, dict):
        return st.dictionaries(WORDS, values(arguments[1], depth + 1), max_size=2)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    if kind is TrainingResult:
        return st.sampled_from(sorted(TrainingResult.__subclasses__(), key=lambda c: c.__name__)).flatmap(
            lambda cls: record(cls, depth + 1)
        )
    return record(kind, depth + 1)


@st.composite
def record(draw: st.DrawFn, cls: type, depth: int = 0) -> Any:
    """Return a record of a class, its arrays agreeing on their axes."""
    if cls in SPECIAL:
        return draw(SPECIAL[cls])
    attrs.resolve_types(cls)
    sizes: dict[str, int] = {}
    given_: dict[str, Any] = {}
    for field in attrs.fields(cls):
        if not field.init:
            continue
        if AXES in field.metadata:
            shape = tuple(sizes.setdefault(axis, draw(st.integers(1, 3))) for axis in field.metadata[AXES])
            given_[field.name] = np.ones(shape, field.metadata["dtype"][0])
        elif depth > 3 and field.default is not attrs.NOTHING:
            continue
        else:
            given_[field.name.lstrip("_")] = draw(values(field.type, depth))
    if issubclass(cls, StoredActions):
        spec = draw(SPECIAL[ActionSpec])
        given_ |= {"actions": spec.outputs, "heads": spec.stored_heads}
        given_ |= {"spaces": None} if "spaces" in given_ else {}  # a test of policies builds those that fit
    return cls(**given_)


@pytest.mark.parametrize("cls", _records(), ids=lambda cls: cls.__name__)
@settings(max_examples=20)  # of each of more than a hundred records, which share their fields' types
@given(data=st.data())
def test_a_record_comes_back_as_it_was(cls: type[Record], data: st.DataObject) -> None:
    """Dumped to plain data and structured again: equal, and the same plain data."""
    found = data.draw(record(cls))
    plain = found.model_dump()
    back = structure(plain, cls)
    assert found == back
    assert plain == back.model_dump()

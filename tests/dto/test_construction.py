"""A record built by Python code is as exact as one that is read: a wrong argument is refused by name, or converted."""

import copy
import datetime
import importlib
import json
import math
import pickle
import pkgutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_round_trip import SPECIAL, record

import townlet
from townlet.dto.codec import Checked, CodecError, Record, RecordError, structure, unstructure
from townlet.dto.fields import Direction
from townlet.dto.guards import MarginSpec, PairedComparisonSpec, Verdict
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import TrainingResult
from townlet.dto.scenarios import scenario
from townlet.dto.schedule import EvidenceSpec
from townlet.dto.strategies import PPOSpec, RampSpec
from townlet.dto.town import TownSpec
from townlet.env.libraries import MissingLibraryError
from townlet.errors import BadInputError
from townlet.machine.catalogue import StrategyCatalogue, StrategyEntry
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.guards.look_errors import LookErrors
from townlet.machine.guards.paired_test import PairedComparison, sequential_paired_test
from townlet.policy.data.dataset import Dataset
from townlet.policy.data.trajectories import Trajectories
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import Tallies

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**63, 10**400, 0.0, 1.0, 1.5, -0.5, math.nan, math.inf,
    "", "higher", "up", "3", "10%", "true", "\0", "a" * 200, b"x", bytearray(b"x"),
    (), [], {}, (1,), ["a"], [[0, 1], [1, 0]], {"a": 1}, {1: "a"}, {"a": "b"}, {"a"}, range(3),
    object(), type, Direction.LOWER, Decimal("0.5"), datetime.date(2026, 1, 1), 1j,
    np.float64(0.5), np.float32(0.5), np.float64("nan"), np.int64(3), np.int64(-3), np.uint8(1), np.bool_(True),
    np.str_("x"), np.zeros(0), np.zeros(2), np.zeros((2, 2), np.float32), np.zeros((1, 1, 1), np.bool_), np.array("x"),
)  # fmt: skip
"""Wrong types, values out of range, text for enumerations, numpy's scalars, truths for numbers."""


def _import_if_possible(name: str) -> None:
    """Import a module; one whose library is not installed here holds no record of its own."""
    try:
        importlib.import_module(name)
    except MissingLibraryError:
        return
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise


def _checked_classes() -> list[type]:
    for module in pkgutil.walk_packages(townlet.__path__, "townlet."):
        if "torch" not in module.name and not module.name.endswith("__main__"):
            _import_if_possible(module.name)
    classes: set[type] = set()
    unread: list[type] = [Checked]
    while unread:
        subclasses = unread.pop().__subclasses__()
        classes.update(cls for cls in subclasses if cls.__module__.startswith("townlet.") and attrs.has(cls))
        unread += subclasses
    classes -= {Dataset, Trajectories}  # arrays that must agree with each other beyond their axes, as their tests show
    return sorted((cls for cls in classes if attrs.fields(cls)), key=lambda cls: f"{cls.__module__}.{cls.__qualname__}")


CLASSES = _checked_classes()
SPECIAL[TownSpec] = st.just(scenario("small_town"))
SPECIAL[StrategyEntry] = st.sampled_from(sorted(catalogue().entries.values(), key=lambda entry: entry.name))
SPECIAL[StrategyCatalogue] = st.just(catalogue())


def _arguments(instance: Any) -> dict[str, Any]:
    fields = [field for field in attrs.fields(type(instance)) if field.init]
    return {str(field.alias): getattr(instance, field.name) for field in fields}


def _same(left: Any, right: Any) -> bool:
    return bool(left == right) or repr(left) == repr(right)  # NaN is not equal to itself


def _kinds(cls: type) -> set[Any]:
    return {field.type for field in attrs.fields(cls)}


def _outcome(cls: type, arguments: dict[str, Any], field: "attrs.Attribute[Any]", value: Any) -> str:
    """Return how a class takes one value for a field; AssertionError for anything but the two outcomes there are."""
    built, refusal = None, ""
    try:
        built = cls(**{**arguments, str(field.alias): value})
    except BadInputError as error:
        refusal = str(error)
    if built is None:
        assert refusal.startswith((cls.__name__, "town ")), f"{refusal} does not name {cls.__name__}"
        return "refused"
    again = cls(**_arguments(built))
    assert _same(built, again), f"{field.name}: {value!r} became {getattr(built, field.name)!r}, which changes again"
    taken = getattr(built, field.name)
    assert not isinstance(taken, np.generic | list), f"{field.name}: {value!r} stayed {taken!r}"
    if isinstance(built, Record) and not cls.may_be_nan and Path not in _kinds(cls):  # type: ignore[attr-defined]
        plain = json.loads(json.dumps(unstructure(built), allow_nan=False))
        assert built == structure(plain, cls), f"{field.name}: {value!r} is read back as something else"
    return "taken"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)
@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_record_refuses_a_wrong_argument_by_name_or_holds_what_the_codec_would_read(
    cls: type, data: st.DataObject
) -> None:
    """Each field in turn takes every hostile value; there is no third outcome."""
    instance = data.draw(record(cls))
    for field in attrs.fields(type(instance)):
        if field.init:
            for value in HOSTILE:
                _outcome(type(instance), _arguments(instance), field, value)


def test_text_for_an_enumeration_becomes_its_member() -> None:
    """A direction in words is the direction, not text that no comparison by identity recognises."""
    spec = MetricSpec(name="speed", unit="1", direction="higher", exposure="days")  # type: ignore[arg-type]

    assert spec.direction is Direction.HIGHER


def test_every_mistake_is_named_with_record_and_field() -> None:
    """All of them come at once, with what was found and what was expected."""
    with pytest.raises(RecordError) as refusal:
        MetricSpec(name=3, unit="1", direction="up", exposure="days")  # type: ignore[arg-type]

    assert str(refusal.value) == (
        "MetricSpec.name: expected text, found 3; "
        "MetricSpec.direction: expected one of: higher, lower, none; found 'up'"
    )


def test_a_value_out_of_range_is_named_with_its_field() -> None:
    """Checks of single fields and of the whole record say where."""
    with pytest.raises(RecordError, match=r"PPOSpec\.gae_lambda: expected a number between 0 and 1, found 2"):
        PPOSpec(gae_lambda=2)
    with pytest.raises(RecordError, match=r"RampSpec\.actor\[1\]: expected a list of 2, found 1 items"):
        RampSpec(actor=((0, 1), (5,)))  # type: ignore[arg-type]


def test_amounts_are_numbers_or_text_with_their_unit() -> None:
    """Python code may write a share as a number; a schedule may not."""
    assert 0.95 == EvidenceSpec(episodes=[20, 40], confidence="95%").confidence  # type: ignore[arg-type]
    assert (20, 40) == EvidenceSpec(episodes=[20, 40], confidence=0.95).episodes  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="a percentage with its unit"):
        structure({"episodes": [20, 40], "confidence": 0.95}, EvidenceSpec)


def test_a_records_mapping_is_its_own_and_cannot_be_changed() -> None:
    """What the caller does with its dictionary afterwards changes nothing; copies and pickles are equal."""
    blobs = {"dataset": "0" * 64}
    result = TrainingResult(blobs=blobs)
    blobs["dataset"] = "1" * 64

    assert {"dataset": "0" * 64} == result.blobs
    assert result == copy.deepcopy(result) == pickle.loads(pickle.dumps(result))
    for mapping in (result.blobs, TrainingResult().blobs, copy.deepcopy(result).blobs):
        with pytest.raises(TypeError, match="cannot be changed"):
            mapping["dataset"] = ""  # type: ignore[index]


def test_a_town_can_be_pickled_and_copied() -> None:
    """Every town that ships, and what is read from a file."""
    town = structure(unstructure(scenario("small_town")), TownSpec)

    assert town == copy.deepcopy(town) == pickle.loads(pickle.dumps(town))


def test_a_result_may_hold_numbers_that_are_not_finite() -> None:
    """They are stored as null and read as NaN, so that the guard that asks answers UNKNOWN."""
    assert math.isnan(TrainingResult(duration=math.nan).duration)
    with pytest.raises(RecordError, match="duration: expected a number"):
        TrainingResult(duration="1.0")  # type: ignore[arg-type]


def test_tallies_are_arrays_of_one_shape() -> None:
    """Sums and exposures [M, W] of 64-bit floats."""
    with pytest.raises(RecordError, match=r"Tallies\.sums: expected dtype float64, found float32"):
        Tallies(sums=np.zeros((2, 3), np.float32), exposures=np.zeros((2, 3)))
    with pytest.raises(RecordError, match=r"Tallies\.exposures: axis W is 4, but 3 in sums"):
        Tallies(sums=np.zeros((2, 3)), exposures=np.zeros((2, 4)))


def test_a_metric_whose_direction_is_written_in_words_is_judged_by_it() -> None:
    """461.5 against 500 is worse where higher is better; a word that is no direction never reaches the test."""
    words: Any = "higher"
    spec = MetricSpec(name="return_per_agent_day", unit="1/agent-day", direction=words, exposure="agent-days")
    guard = PairedComparisonSpec(metric="evaluate.return_per_agent_day", not_worse_than=MARGIN, evidence="full")
    comparison = PairedComparison(
        margin=BaselineMargin(name="better", guard=guard, baseline_name="champion", direction=spec.direction),
        candidate=tuple(461.5 + i % 7 for i in range(40)),
        baseline=tuple(500.0 + i % 5 for i in range(40)),
        looks=(40,),
        errors=LookErrors(total=0.05, each=(0.05,), exact=(0.05,), looks=(40,)),
        seed=7,
    )

    assert sequential_paired_test(comparison).report.verdict == Verdict.FAIL
    with pytest.raises(RecordError, match="expected one of: higher, lower, none; found 'up'"):
        MetricSpec(name="x", unit="1", direction="up", exposure="days")  # type: ignore[arg-type]


MARGIN = MarginSpec(baseline="champion", absolute=0)


THREADS = """
import sys, threading
sys.setswitchinterval(1e-6)
from townlet.dto.codec import structure
from townlet.dto.schedule import ScheduleSpec

data = {
    "schedule": "townlet/v1", "name": "a", "seed": 1, "environment": {"id": "town", "scenario": "x"}, "teacher": "t",
    "registry": {"name": "a"}, "initial": "c", "states": {"c": {"strategy": "capture", "next": [{"to": "done"}]}},
}
begin, errors = False, []

def read():
    while not begin:
        pass
    try:
        structure(data, ScheduleSpec)
    except Exception as error:
        errors.append(error)

threads = [threading.Thread(target=read) for _ in range(4)]
[thread.start() for thread in threads]
begin = True
[thread.join() for thread in threads]
sys.exit("; ".join(map(str, errors)) or 0)
"""


def test_threads_that_read_their_first_record_together_read_it_whole() -> None:
    """Ten new processes, four threads each; before, about every third refused a schedule that is right."""
    for _ in range(10):
        done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr

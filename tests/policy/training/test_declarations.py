"""Strategies of other packages: found through entry points or handed in, and refused where they are half declared."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from catalogue import describe
from plans import SCHEDULE

from townlet.dto.codec import structure
from townlet.dto.schedule import ScheduleSpec
from townlet.dto.strategies import StrategySpec
from townlet.dto.train import TrainRequest
from townlet.errors import BadInputError
from townlet.machine.catalogue import Cost, StrategyEntry
from townlet.machine.schedule.loader import ScheduleError, load_text
from townlet.policy.compat.modes import requested_schedule
from townlet.policy.training.strategies import base
from townlet.policy.training.strategies.base import catalogue, resolve

MODULE = """
from townlet.dto.policy import TrainingResult
from townlet.dto.codec import structure
from townlet.dto.schedule import ScheduleSpec
from townlet.dto.strategies import StrategySpec
from townlet.dto.train import TrainRequest
from townlet.machine.catalogue import Cost, StrategyEntry
def declare(**changes):
    parts = dict(name="nap", doc="Nothing happens.", strategy="napping:Nap", spec=StrategySpec, result=TrainingResult,
                 consumes=lambda options: (), produces=frozenset(), cost=lambda options, context: Cost())
    return StrategyEntry(**{key: value for key, value in (parts | changes).items() if value is not None})
class Nap:
    name = "nap"
    requires_torch = False
    def prepare(self, context): pass
    def run(self, context): return TrainingResult()
"""
Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return what installs a package whose entry point `nap` is an expression of `napping`."""

    def put(expression: str, name: str = "nap") -> None:
        folder = tmp_path / "napping-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: napping\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(f"[townlet.strategies]\n{name} = napping:ENTRY\n")
        (tmp_path / "napping.py").write_text(f"{MODULE}\nENTRY = {expression}\n")
        monkeypatch.syspath_prepend(tmp_path)
        base._declared.cache_clear()

    yield put
    base._declared.cache_clear()
    sys.modules.pop("napping", None)


def _check(strategy: str) -> str:
    """Return what `check` says of a schedule whose first state runs a strategy."""
    states = {"capture": {"strategy": strategy, "next": [{"to": "done"}]}}
    text = yaml_of({**SCHEDULE, "guards": {}, "baselines": {}, "evidence": {}, "states": states})
    with pytest.raises(ScheduleError) as refused:
        load_text(text, "x.yaml", catalogue(), describe)
    return str(refused.value)


def yaml_of(plain: object) -> bytes:
    """Return plain data as YAML; JSON is a part of it."""
    return json.dumps(plain).encode()


def test_an_installed_strategy_is_found_and_resolved(install: Install) -> None:
    """By the name of its entry point, its module imported when a state runs."""
    install("declare()")
    assert "Nothing happens." == catalogue().entries["nap"].doc
    assert "nap" == resolve("nap").name
    assert any(each.name == "nap" and each.here for each in catalogue().availability())


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("declare(cost=None)", "missing 1 required keyword-only argument: 'cost'"),
        (
            "declare(consumes=None, cost=None)",
            "missing 2 required keyword-only arguments: 'consumes' and 'cost'",
        ),
        ("declare(produces=frozenset({'fame'}))", "StrategyEntry.produces[0]: expected 'dataset'"),
        ("declare(start_option='start_from')", "start_option is 'start_from'; expected an option of StrategySpec"),
        ("declare(discards=True)", "discards is given, so its result must be a RollbackResult"),
        ("declare(produces=frozenset({'champion'}))", "it produces a champion, so its spec must be a PromoteSpec"),
        ("declare(name='siesta')", "it declares the name 'siesta', expected 'nap'"),
        ("declare(strategy='napping')", "expected MODULE:CLASS or what makes the strategy, found 'napping'"),
        ("declare(spec=dict)", "expected a class derived from StrategySpec, found <class 'dict'>"),
        ("declare(result=dict)", "expected a class derived from TrainingResult, found <class 'dict'>"),
        ("declare(consumes=())", "StrategyEntry.consumes: expected a function, found ()"),
        ("'a string'", "expected a StrategyEntry, found 'a string'"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_half_declared_strategy_is_refused_by_check_in_one_sentence(
    install: Install, expression: str, reason: str
) -> None:
    """The schedule that names it is told why; every other strategy is there."""
    install(expression)
    told = _check("nap")
    assert 1 == told.count("strategy 'nap' cannot be used")
    assert reason in told
    assert {"capture", "bc", "ppo", "evaluate", "promote", "rollback"} <= set(catalogue().entries)


def test_a_built_in_strategy_is_not_replaced_by_a_package(install: Install) -> None:
    """Two declarations of one name: the one that is there stays."""
    install("declare(name='ppo')", name="ppo")  # type: ignore[call-arg]
    assert "townlet" == str(catalogue().entries["ppo"].strategy).partition(".")[0]
    assert "a strategy of this name is there already" in catalogue().refused["ppo"]


def test_an_unknown_strategy_is_refused_with_the_nearest() -> None:
    """Did you mean."""
    assert "unknown strategy 'captre'; did you mean 'capture'?" in _check("captre")


def test_strategies_can_be_handed_in() -> None:
    """An entry adds one, an object runs in place of a declared one, anything else is refused."""
    entry = catalogue().entries["replay"]
    added = catalogue({"read": attrs.evolve(entry, name="read")})
    assert "read" == added.entries["read"].name

    class Instead:
        name = "bc"
        requires_torch = False

        def prepare(self, context: object) -> None: ...

        def run(self, context: object) -> object: ...

    instead = Instead()
    given = catalogue({"bc": instead})
    assert instead is resolve("bc", given)
    assert not given.entries["bc"].requires_torch
    for strategies in ({"bc": "a string"}, {"nap": instead}):
        with pytest.raises(BadInputError, match="expected a StrategyEntry, or an object with name"):
            catalogue(strategies)  # type: ignore[arg-type]


def test_what_makes_no_strategy_is_refused_when_it_is_resolved() -> None:
    """The class may be missing, or lack a method."""
    entry = attrs.evolve(catalogue().entries["replay"], strategy="townlet.errors:Nothing")
    with pytest.raises(BadInputError, match="makes no strategy; expected name, requires_torch, prepare and run"):
        resolve("replay", catalogue({"replay": entry}))


def test_only_what_an_entry_declares_may_be_scaled() -> None:
    """Every option with decimals by default; whole numbers, words and switches are not."""
    ppo = catalogue().entries["ppo"]
    assert {"learning_rate", "gamma", "clip_coef"} <= ppo.scalable_options
    assert not {"agent_steps", "start_from", "norm_adv", "hidden_sizes"} & ppo.scalable_options
    assert frozenset({"clip_coef"}) == attrs.evolve(ppo, scalable=frozenset({"clip_coef"})).scalable_options


def test_an_entry_without_products_costs_nothing_by_its_own_word() -> None:
    """The forecast asks the entry."""
    entry = catalogue().entries["rollback"]
    assert Cost() == entry.cost(StrategySpec(), None)  # type: ignore[arg-type]
    assert isinstance(entry, StrategyEntry)


def test_the_reference_page_names_every_part_and_every_built_in_strategy() -> None:
    """docs/reference/strategies.md has a row for each field of an entry, and for each strategy its result's class."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "strategies.md").read_text("utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    entries = catalogue().entries

    assert {field.name for field in attrs.fields(StrategyEntry)} | set(entries) == set(rows)
    assert all(f"`{entry.result.__name__}`" in rows[name] for name, entry in entries.items())


def test_the_device_of_the_command_line_reaches_every_strategy_that_declares_one() -> None:
    """Added ones like built-in ones; states of other strategies stay as they are."""
    added = attrs.evolve(catalogue().entries["bc"], name="refit")
    strategies = catalogue({"refit": added})
    states = {**SCHEDULE["states"], "again": {"strategy": "refit", "next": [{"to": "done"}]}}
    schedule = structure({**SCHEDULE, "states": states}, ScheduleSpec)
    request = TrainRequest(device="cuda")
    machine = requested_schedule(request, schedule, describe(schedule.environment), strategies)

    placed = {name for name, state in machine.states.items() if state.with_.get("device") == "cuda"}
    assert {"bc", "ppo", "again"} == placed

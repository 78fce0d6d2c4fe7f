"""The JSON Schema refuses what `check` refuses, as far as draft 07 can say it; both are made from one declaration."""

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from catalogue import catalogue
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from townlet.dto.codec import CodecError, structure
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.schedule.json_schema import INEXPRESSIBLE, schedule_schema
from townlet.machine.schedule.loader import ScheduleError, load_text
from townlet.machine.schedule.shipped import shipped_schedules
from townlet.ports import provider

SCHEMA = Draft7Validator(schedule_schema({name: entry.spec for name, entry in catalogue().entries.items()}))
SMALL_TOWN = Path(__file__).parent / "data" / "small_town.yaml"
Change = Callable[[Any], None]


def plain(text: str) -> Any:
    """Return a schedule's plain data, as an editor reads it."""
    return YAML(typ="safe", pure=True).load(text)


def set_at(path: str, value: Any) -> Change:
    """Return a change that sets one value; the path's parts are separated by dots, whole numbers are indices."""

    def change(data: Any) -> None:
        *before, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in before:
            data = data[part]
        data[last] = value

    return change


def rename(path: str, name: str) -> Change:
    """Return a change that renames one key."""

    def change(data: Any) -> None:
        *before, last = path.split(".")
        for part in before:
            data = data[part]
        data[name] = data.pop(last)

    return change


REFUSED = [
    set_at("schedule", "townlet/v2"),
    set_at("name", ".hidden"),
    set_at("name", "two words"),
    set_at("name", "n" * 65),
    set_at("name", ""),
    set_at("seed", -1),
    set_at("seed", 2**63),
    set_at("seed", "seven"),
    set_at("seed", True),
    set_at("seed", 1.5),
    set_at("sead", 7),
    set_at("environment.worlds", 0),
    set_at("environment.worlds", -3),
    set_at("environment.world", 4),
    set_at("registry.name", "a/b"),
    set_at("registry.scope", "house"),
    set_at("registry.champion", " "),
    set_at("budget.wall_clock", 7200),
    set_at("budget.wall_clock", "0s"),
    set_at("budget.wall_clock", "0.0h"),
    set_at("budget.wall_clock", "2 hours"),
    set_at("budget.agent_steps", 0),
    set_at("budget.agent_steps", -5),
    set_at("budget.disk", "0B"),
    set_at("budget.disk", "20"),
    set_at("evidence.full.episodes", []),
    set_at("evidence.full.episodes", [0, 40]),
    set_at("evidence.full.episodes", [40, 40]),
    set_at("evidence.full.episodes", [5, 40]),
    set_at("evidence.full.episodes", 40),
    set_at("evidence.full.days", 0),
    set_at("evidence.full.confidence", "50%"),
    set_at("evidence.full.confidence", "100%"),
    set_at("evidence.full.confidence", "120%"),
    set_at("evidence.full.confidence", "5%"),
    set_at("evidence.full.confidence", 0.95),
    set_at("evidence.full.seeds", "old"),
    set_at("evidence.full.actions", "random"),
    rename("evidence.full", "2nd"),
    rename("guards.finite", "a b"),
    rename("guards.finite", "x" * 65),
    rename("states.capture", "done"),
    rename("states.capture", "hold"),
    rename("baselines.champion", "candidate"),
    set_at("baselines.champion", {}),
    set_at("baselines.champion", {"alias": "champion", "of": "ppo"}),
    set_at("baselines.champion", {"otherwise": "teacher"}),
    set_at("policies", {"clone": {"file": "a", "sha256": "0" * 64}}),
    set_at("policies", {"mine": {"file": "a", "sha256": "abc"}}),
    set_at("policies", {"mine": {"file": "a"}}),
    set_at("guards.finite.at_most", "none"),
    set_at("guards.finite", {"metric": "ppo.value_loss"}),
    set_at("guards.finite", {"metric": "ppo.value_loss", "at_least": 0, "at_most": 1}),
    set_at("guards.finite", {"metric": "ppo.value_loss", "between": [1]}),
    set_at("guards.finite", {"metric": "ppo.value_loss", "not_worse_than": {"baseline": "champion"}}),
    set_at("guards.finite", {"metric": "ppo.value_loss", "not_worse_than": {"baseline": "champion", "relative": "5%"}}),
    set_at("guards.finite", {"metric": "ppo.value_loss", "not_worse_than": {"baseline": "champion", "absolute": -1}}),
    set_at(
        "guards.finite",
        {"metric": "ppo.value_loss", "not_worse_than": {"baseline": "champion", "relative": "5%", "floor": 0}},
    ),
    set_at(
        "guards.finite",
        {"metric": "ppo.value_loss", "not_worse_than": {"baseline": "champion", "absolute": 1, "floor": 1}},
    ),
    set_at("states.capture.strategy", "captrue"),
    set_at("states.capture.with.episodes", 0),
    set_at("states.capture.with.episodes", "many"),
    set_at("states.capture.with.perturbed", "120%"),
    set_at("states.capture.with.perturbed", 0.08),
    set_at("states.capture.with.agent_steps", 5),
    set_at("states.capture.next", "bc"),
    set_at("states.capture.next", [{"too": "bc"}]),
    set_at("states.capture.next.0.when", [{"some": ["finite"]}]),
    set_at("states.capture.next.0.when", [{"all": []}]),
    set_at("states.capture.retry", {"attempts": 0}),
    set_at("states.capture.next.0.approval", {"expires": "soon"}),
    set_at("states.bc.with", {"learning_rate": 0}),
    set_at("states.bc.with", {"label_smoothing": 1.5}),
    set_at("states.bc.with", {"hidden_sizes": []}),
    set_at("states.bc.with", {"hidden_sizes": [4]}),
    set_at("states.bc.with", {"hidden_sizes": [64] * 5}),
    set_at("states.bc.with", {"value_epochs": -1}),
    set_at("states.bc.with", {"data": {"sha256": "0"}}),
    set_at("states.bc.with", {"data": {"sha256": "0", "manifest": "a", "sample": "b"}}),
    set_at("states.bc.with", {"data": {"sha256": "0", "manifest": "a", "meta": "b"}}),
    set_at("states.bc.with", {"device": "gpu"}),
    set_at("states.ppo.with.gae_lambda", 1.2),
    set_at("states.ppo.with.ramps", []),
    set_at("states.ppo.with.ramps", [{"actor": []}]),
    set_at("states.ppo.with.ramps", [{"actor": [[0, -1]]}]),
    set_at("states.ppo.with.ramps", [{"teacher_share": [[0, 1.5]]}]),
    set_at("states.ppo.with.ramps", [{"actor": [[0]]}]),
]
"""Changes that both refuse."""
LOADER_ONLY = [
    set_at("initial", "nowhere"),
    set_at("teacher", "nobody"),
    set_at("states.capture.next.0.when", ["no_such_guard"]),
    set_at("seed", 48.0),
    set_at("evidence.full.episodes", [60, 40]),
    set_at("guards.finite.metric", "ppo.no_such_metric"),
    set_at("states.ppo.with.ramps", [{"actor": [[10, 1.0], [5, 0.0]]}]),
]
"""Changes of the kinds that `INEXPRESSIBLE` names."""


def is_refused(data: Any) -> bool:
    """Tell whether the loader refuses a schedule."""
    buffer = io.BytesIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.dump(data, buffer)
    try:
        load_text(
            buffer.getvalue(),
            "changed",
            catalogue(),
            lambda spec: provider(spec.id).describe(spec.scenario),
            folder=SMALL_TOWN.parent,
        )
    except ScheduleError:
        return True
    return False


def changed(change: Change) -> Any:
    """Return the small town after a change."""
    data = plain(SMALL_TOWN.read_text("utf-8"))
    change(data)
    return data


@pytest.mark.parametrize("index", range(len(REFUSED)))
def test_what_check_refuses_and_a_schema_can_say_both_refuse(index: int) -> None:
    """Bounds, names, patterns, exclusive choices, required company."""
    data = changed(REFUSED[index])
    assert is_refused(data)
    assert not SCHEMA.is_valid(data)


@pytest.mark.parametrize("index", range(len(LOADER_ONLY)))
def test_what_no_schema_can_say_is_listed_and_the_loader_refuses_it(index: int) -> None:
    """An editor says nothing, `check` does."""
    data = changed(LOADER_ONLY[index])
    assert SCHEMA.is_valid(data)
    assert is_refused(data)
    assert INEXPRESSIBLE


@pytest.mark.parametrize("name", [schedule.name for schedule in shipped_schedules()])
def test_every_shipped_schedule_fits(name: str) -> None:
    """Editors find nothing wrong with what is shipped."""
    (schedule,) = (each for each in shipped_schedules() if each.name == name)
    assert [] == [error.message for error in SCHEMA.iter_errors(plain(schedule.path.read_text("utf-8")))]


@pytest.mark.parametrize("text", ["seed: 20_000_000", "seed: 1e6", "seed: 2.2e6", "seed: 7"])
def test_whole_numbers_as_people_write_them_fit_both(text: str) -> None:
    """With thousands apart, or with an exponent."""
    source = SMALL_TOWN.read_text("utf-8")
    line = next(each for each in source.splitlines() if each.startswith("seed:"))
    written = source.replace(line, text)
    load_text(
        written.encode(),
        "written",
        catalogue(),
        lambda spec: provider(spec.id).describe(spec.scenario),
        folder=SMALL_TOWN.parent,
    )
    assert SCHEMA.is_valid(plain(written))


@given(st.data())
def test_what_fits_the_records_fits_the_schema(data: st.DataObject) -> None:
    """A number anywhere replaced by another: where the records take it, the schema does."""
    schedule = plain(SMALL_TOWN.read_text("utf-8"))
    numbers = [path for path, value in _leaves(schedule) if type(value) in (int, float)]
    path = data.draw(st.sampled_from(numbers))
    value = data.draw(st.one_of(st.integers(-3, 2**63), st.floats(-2, 2, allow_nan=False)))
    inner = schedule
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    try:
        structure(copy.deepcopy(schedule), ScheduleSpec)
    except CodecError:
        return
    if not is_refused(schedule):
        assert SCHEMA.is_valid(schedule)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [(path, value)]
    return [leaf for key, inner in items for leaf in _leaves(inner, (*path, key))]

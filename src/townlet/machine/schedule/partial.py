"""Parse a schedule section by section: what could be read is kept, so that one problem does not hide the next."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

import attrs
from attrs import frozen

from townlet.dto import codec
from townlet.dto.codec import CodecError, Problem
from townlet.dto.guards import GuardSpec
from townlet.dto.policy_ref import NO_TEACHER
from townlet.dto.schedule import (
    BaselineSpec,
    BudgetSpec,
    EdgeSpec,
    EnvironmentSpec,
    EvidenceSpec,
    PolicySpec,
    RegistrySpec,
    ScheduleSpec,
)
from townlet.dto.strategies import StrategySpec
from townlet.errors import BadInputError
from townlet.machine.catalogue import StrategyCatalogue, StrategyEntry
from townlet.ports import EnvironmentDescription

__all__ = ["Describe", "PartialSchedule", "PartialState", "nearest_name", "parse_sections", "unknown_name"]

T = TypeVar("T")
_ANY_GUARD: Any = GuardSpec
"""What a guard is read as: the codec chooses one of the kinds of this abstract record."""
Path = tuple[str | int, ...]
Describe = Callable[[EnvironmentSpec], EnvironmentDescription]


@frozen(kw_only=True)
class PartialState:
    """What could be read of a state; None for what could not."""

    strategy: StrategyEntry | None
    """The strategy, where its name is known."""
    options: StrategySpec | None
    """The structured `with:` block."""
    edges: tuple[EdgeSpec | None, ...]
    """The ways out, in order."""

    @property
    def gathers(self) -> str | None:
        """Evidence that visits gather; None where they gather none, or where it cannot be read."""
        if self.strategy is None or self.options is None or not self.strategy.measures:
            return None
        return self.strategy.evidence(self.options)


@frozen(kw_only=True)
class PartialSchedule:
    """The sections of a schedule that could be read; the checks skip what is None."""

    data: Any
    """The whole schedule as plain data."""
    catalogue: StrategyCatalogue
    """The strategies a schedule may name."""
    environment: EnvironmentDescription | None
    """The schedule's own scenario."""
    suites: Mapping[str, EnvironmentDescription | None]
    """Further scenarios that evidence names."""
    evidence: Mapping[str, EvidenceSpec | None]
    """By name."""
    baselines: Mapping[str, BaselineSpec | None]
    """By name."""
    policies: Mapping[str, PolicySpec | None]
    """By name."""
    guards: Mapping[str, GuardSpec | None]
    """By name."""
    states: Mapping[str, PartialState]
    """By name."""
    budget: BudgetSpec | None
    """Bounds of the run."""
    registry: RegistrySpec | None
    """The alias it is about."""
    initial: str | None
    """State that a run begins in."""
    teacher: str | None
    """Who is cloned."""

    @property
    def complete(self) -> bool:
        """Whether every guard and edge could be read."""
        return None not in self.guards.values() and all(None not in state.edges for state in self.states.values())

    def states_producing(self, product: str) -> frozenset[str]:
        """Return the states whose visits certainly produce something; one that cannot be read counts as such."""
        return frozenset(
            name
            for name, state in self.states.items()
            if state.strategy
            and product in (state.strategy.produces if state.options is None else state.strategy.output(state.options))
        )

    def states_that(self, holds: Callable[[StrategyEntry], bool]) -> frozenset[str]:
        """Return the states whose strategy declares something."""
        return frozenset(name for name, state in self.states.items() if state.strategy and holds(state.strategy))


def unknown_name(kind: str, name: str, choices: Any, path: Path) -> Problem:
    """Return the problem of an unknown name, with the nearest known one."""
    names = sorted(choices)
    hint = codec.did_you_mean(name, names) if names else "; none is declared"
    return Problem(path, f"unknown {kind} {name!r}{hint}")


def nearest_name(name: str, choices: Any) -> str | None:
    """Return the known name that was probably meant."""
    return next(iter(get_close_matches(name, sorted(choices), n=1, cutoff=0.6)), None)


def parse_sections(
    data: Any, catalogue: StrategyCatalogue, describe: Describe
) -> tuple[PartialSchedule, list[Problem]]:
    """Return the sections that can be read from plain data, and the problems of all others."""
    problems: list[Problem] = []
    try:
        codec.structure(data, ScheduleSpec)
    except CodecError as error:
        problems.extend(error.problems)
    sections = data if isinstance(data, Mapping) else {}
    evidence = {name: _parsed(value, EvidenceSpec) for name, value in _section(sections, "evidence")}
    environment, suites = _environments(
        _parsed(sections.get("environment"), EnvironmentSpec), evidence, describe, problems
    )
    partial = PartialSchedule(
        data=data,
        catalogue=catalogue,
        environment=environment,
        suites=suites,
        evidence=evidence,
        baselines={name: _parsed(value, BaselineSpec) for name, value in _section(sections, "baselines")},
        policies={name: _parsed(value, PolicySpec) for name, value in _section(sections, "policies")},
        guards={name: _parsed(value, _ANY_GUARD) for name, value in _section(sections, "guards")},
        states={name: _state(name, value, catalogue, problems) for name, value in _section(sections, "states")},
        budget=_parsed(sections.get("budget", {}), BudgetSpec),
        registry=_parsed(sections.get("registry"), RegistrySpec),
        initial=_parsed(sections.get("initial"), str),
        teacher=_parsed(sections.get("teacher", NO_TEACHER), str),
    )
    return partial, problems


def _section(data: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    section = data.get(name, {})
    yield from section.items() if isinstance(section, Mapping) else ()


def _parsed(value: Any, kind: type[T]) -> T | None:
    try:
        return codec.structure(value, kind)
    except CodecError:
        return None  # reported already, by the schedule as a whole


def _state(name: str, value: Any, catalogue: StrategyCatalogue, problems: list[Problem]) -> PartialState:
    mapping = value if isinstance(value, Mapping) else {}
    strategy, edges, options = mapping.get("strategy"), mapping.get("next"), mapping.get("with", {})
    entry = catalogue.entries.get(strategy) if isinstance(strategy, str) else None
    if isinstance(strategy, str) and entry is None:
        problems.append(Problem(("states", name, "strategy"), catalogue.problem(strategy)))
    structured = None
    if entry is not None and isinstance(options, Mapping):
        try:
            structured = codec.structure(options, entry.spec)
        except CodecError as error:
            problems.extend(attrs.evolve(p, path=("states", name, "with", *p.path)) for p in error.problems)
    readable = edges if isinstance(edges, list) else []
    return PartialState(strategy=entry, options=structured, edges=tuple(_parsed(edge, EdgeSpec) for edge in readable))


def _environments(
    spec: EnvironmentSpec | None,
    evidence: Mapping[str, EvidenceSpec | None],
    describe: Describe,
    problems: list[Problem],
) -> tuple[EnvironmentDescription | None, dict[str, EnvironmentDescription | None]]:
    if spec is None:
        return None, {}
    own, mistake = _describe_or_problem(spec, describe)
    if mistake:
        which = "id" if repr(spec.id) in mistake and repr(spec.scenario) not in mistake else "scenario"
        problems.append(Problem(("environment", which), mistake))
    suites: dict[str, EnvironmentDescription | None] = {}
    for name, gathered in evidence.items() if own else ():
        for index, scenario in enumerate(gathered.scenarios if gathered else ()):
            suites[scenario], mistake = _describe_or_problem(attrs.evolve(spec, scenario=scenario), describe)
            path = ("evidence", name, "scenarios", index)
            if mistake:
                problems.append(Problem(path, mistake))
            elif not _alike(own, suites[scenario]):
                problems.append(
                    Problem(
                        path,
                        f"scenario {scenario!r} has other features or actions than {spec.scenario!r}; "
                        "no policy can play both",
                    )
                )
    return own, suites


def _describe_or_problem(spec: EnvironmentSpec, describe: Describe) -> tuple[EnvironmentDescription | None, str]:
    try:
        description: object = describe(spec)
    except BadInputError as error:
        return None, str(error)
    if not isinstance(description, EnvironmentDescription):
        found = "None" if description is None else f"an object of {type(description).__name__}"
        return None, f"its provider describes {spec.scenario!r} by {found}; expected an EnvironmentDescription"
    return description, ""


def _alike(one: EnvironmentDescription | None, other: EnvironmentDescription | None) -> bool:
    return one is None or other is None or (one.features, one.actions) == (other.features, other.actions)

"""Check the graph: every state has a last unconditional edge, is reached, ends, and has the inputs it needs."""

from collections.abc import Iterator, Mapping

import attrs

from townlet.dto.codec import Problem
from townlet.dto.conditions import AllOf, AnyOf, NotOf, When
from townlet.dto.guards import ComparisonSpec, GuardSpec, PairedComparisonSpec, Relation, TailSpec, VisitCountSpec
from townlet.dto.schedule import BUILT_IN_STATES, EdgeSpec
from townlet.dto.strategies import PromoteSpec
from townlet.machine.guards.verdicts import names
from townlet.machine.schedule.partial import PartialSchedule, nearest_name, unknown_name
from townlet.machine.schedule.reachability import MAX_CONFIGURATIONS, Reachability, explore

__all__ = ["check_edges", "check_graph", "reachable"]

MAX_STATES = 64
"""States of a schedule at the most: few enough to explore."""

EMPTY = explore("hold", {}, {})
"""Reachability of a schedule without states."""

Edges = Mapping[str, tuple[EdgeSpec | None, ...]]


def check_edges(partial: PartialSchedule) -> Iterator[Problem]:
    """Yield the problems of single edges and of their order."""
    for name, state in partial.states.items():
        if isinstance(partial.data["states"][name], Mapping) and partial.data["states"][name].get("next") == []:
            yield Problem(("states", name, "next"), "expected at least one edge; the last has no when")
        for index, edge in enumerate(state.edges):
            if edge is not None:
                last = index == len(state.edges) - 1
                yield from _check_edge(partial, edge, ("states", name, "next", index), last=last)


def _check_edge(
    partial: PartialSchedule, edge: EdgeSpec, here: tuple[str | int, ...], *, last: bool
) -> Iterator[Problem]:
    if edge.to not in partial.states and edge.to not in BUILT_IN_STATES:
        yield unknown_name("state", edge.to, {*partial.states, *BUILT_IN_STATES}, (*here, "to"))
    if last and edge.when:
        yield Problem(
            (*here, "when"),
            "the last edge is always open and takes no when; add one after it, such as {to: hold, why: …}",
        )
    if not last and not edge.when:
        yield Problem(
            here,
            f"this edge to {edge.to!r} has no when, so those after it are never taken; only the last stands without",
        )
    for index, when in enumerate(edge.when):
        yield from _check_when(partial, when, (*here, "when", index), negated=False)
    target = partial.states.get(edge.to)
    if edge.approval is not None and target and target.strategy and not target.strategy.effect:
        yield Problem((*here, "approval"), f"{edge.to!r} changes nothing that needs approval; ask it before promote")
    if edge.approval is not None and edge.approval.expires <= 0:
        yield Problem((*here, "approval", "expires"), "expected more than 0")
    if target and target.strategy and target.strategy.effect:
        unproven = isinstance(target.options, PromoteSpec) and target.options.unproven
        readable = all(partial.guards.get(name) for when in edge.when for name in names(when))
        if (
            target.options is not None
            and not unproven
            and readable
            and not _implies_evidence(partial, AllOf(all=edge.when))
        ):
            yield Problem(
                ("states", edge.to),
                f"edge {int(here[-1]) + 1} of {here[1]!r} leads here without a guard on evidence that must hold: "
                "add one to its when, or say with: {unproven: true} here",
                key=True,
            )


def _check_when(
    partial: PartialSchedule, when: When, path: tuple[str | int, ...], *, negated: bool
) -> Iterator[Problem]:
    if isinstance(when, str):
        guard = partial.guards.get(when)
        if when not in partial.guards:
            yield unknown_name("guard", when, partial.guards, path)
        elif negated and isinstance(guard, ComparisonSpec | TailSpec) and guard.without_baseline == "skip":
            yield Problem(
                path, f"not over {when!r}, which is skipped without a baseline: a skipped guard has no opposite"
            )
    elif isinstance(when, NotOf):
        yield from _check_when(partial, when.not_, (*path, "not"), negated=True)
    else:
        word = "all" if isinstance(when, AllOf) else "any"
        parts = when.all if isinstance(when, AllOf) else when.any
        if not parts:
            yield Problem((*path, word), f"expected at least one guard under {word}")
        for index, part in enumerate(parts):
            yield from _check_when(partial, part, (*path, word, index), negated=negated)


def _implies_evidence(partial: PartialSchedule, when: When) -> bool:
    """Tell whether a condition cannot hold without evidence that the candidate is no worse than its margin."""
    if isinstance(when, AllOf):
        return any(_implies_evidence(partial, part) for part in when.all)
    if isinstance(when, AnyOf):
        return all(_implies_evidence(partial, part) for part in when.any)
    name, refuted = (when.not_, True) if isinstance(when, NotOf) else (when, False)
    guard = partial.guards.get(name) if isinstance(name, str) else None
    if not isinstance(guard, PairedComparisonSpec) or guard.without_baseline == "skip":
        return False
    return (guard.relation == Relation.WORSE_BY) == refuted


def check_graph(partial: PartialSchedule) -> tuple[Reachability, list[Problem]]:
    """Return what runs can do, and the problems: states never reached, no way to an end, inputs that do not exist."""
    if partial.initial is None or not partial.states:  # the schedule as a whole says so, but for an empty mapping
        empty = isinstance(partial.data, Mapping) and partial.data.get("states") == {}
        return EMPTY, [Problem(("states",), "expected at least one state")] if empty else []
    if len(partial.states) > MAX_STATES:
        message = f"expected at most {MAX_STATES} states, found {len(partial.states)}"
        return EMPTY, [Problem(("states",), message, key=True)]
    initial = partial.initial if partial.initial in partial.states else nearest_name(partial.initial, partial.states)
    problems = (
        [] if partial.initial == initial else [unknown_name("state", partial.initial, partial.states, ("initial",))]
    )
    if initial is None:
        return EMPTY, problems
    edges = _edges(partial)
    reached = reachable(initial, edges)
    problems.extend(
        Problem(("states", name), f"state {name!r} is never reached from {initial!r}", key=True)
        for name in partial.states
        if name not in reached
    )
    stuck = [name for name in partial.states if name in reached and not _ends(name, edges, partial)]
    problems.extend(
        Problem(("states", name), f"no way leads from {name!r} to an end ({', '.join(BUILT_IN_STATES)})", key=True)
        for name in stuck
    )
    problems.extend(_check_effect_first(partial, initial))
    problems.extend(_check_inputs(partial, initial, edges, reached))
    reachability = explore(initial, edges, _readable(partial))
    if reachability.exceeded:
        problems.append(
            Problem(
                ("states",),
                f"the counters allow more than {MAX_CONFIGURATIONS} situations, too many to "
                "prove that a run ends; lower their limits",
                key=True,
            )
        )
    problems.extend(_endless(reachability, frozenset(stuck)))
    if not problems and partial.complete:
        problems.extend(
            Problem(("states", name), f"state {name!r} is never reached: the counters close every way to it", key=True)
            for name in partial.states
            if name not in reachability.reached
        )
    return reachability, problems


def reachable(initial: str, edges: Edges, *, without: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the states that edges lead to from `initial`, conditions aside, never going on from those in `without`."""
    reached, pending = {initial}, [initial]
    while pending:
        here = pending.pop()
        for edge in edges.get(here, ()) if here not in without else ():
            if edge is not None and edge.to not in reached:
                reached.add(edge.to)
                pending.append(edge.to)
    return frozenset(reached)


def _edges(partial: PartialSchedule) -> Edges:
    """Return the edges with misspelt targets replaced by the nearest name, so that one typo is reported once."""
    known = {*partial.states, *BUILT_IN_STATES}
    return {
        name: tuple(
            edge if edge is None or edge.to in known else attrs.evolve(edge, to=nearest_name(edge.to, known) or edge.to)
            for edge in state.edges
        )
        for name, state in partial.states.items()
    }


def _readable(partial: PartialSchedule) -> Mapping[str, GuardSpec | None]:
    """Return the guards, None in place of counters that are wrong: what they were meant to bound is unknown."""
    return {
        name: None
        if isinstance(guard, VisitCountSpec) and (guard.visits_to not in partial.states or guard.below < 1)
        else guard
        for name, guard in partial.guards.items()
    }


def _ends(state: str, edges: Edges, partial: PartialSchedule) -> bool:
    beyond = reachable(state, edges)
    # An edge that could not be read, or a name that nobody knows, may well have been the way out.
    unreadable = any(
        None in edges.get(name, (None,)) or not edges.get(name) for name in beyond if name not in BUILT_IN_STATES
    )
    return unreadable or any(name in BUILT_IN_STATES or name not in partial.states for name in beyond)


def _check_effect_first(partial: PartialSchedule, initial: str) -> Iterator[Problem]:
    state = partial.states[initial]
    if state.strategy and state.strategy.effect:
        yield Problem(("initial",), f"a run cannot begin with {initial!r}, which changes the registry")


def _endless(reachability: Reachability, stuck: frozenset[str]) -> Iterator[Problem]:
    for cycle in reachability.endless_cycles:
        states = [state for state, _ in cycle]
        if stuck.issuperset(states):
            continue
        state, index = cycle[-1]
        yield Problem(
            ("states", state, "next", index),
            f"{' → '.join([*states, states[0]])} can repeat without end; let one of its edges ask a counter, such as "
            f"{{visits_to: {states[0]}, below: 4}}",
        )


_MEANINGS: Mapping[str, str] = {
    "dataset": "a data set",
    "experience": "recorded play of a policy",
    "clone": "the clone",
    "candidate": "the candidate",
}
"""What the run itself makes; champions and policies from outside may be there before it."""


def _check_inputs(partial: PartialSchedule, initial: str, edges: Edges, reached: frozenset[str]) -> Iterator[Problem]:
    """Yield the states that can be reached before what they need exists."""
    for name, state in partial.states.items():
        if name not in reached or state.strategy is None or state.options is None:
            continue
        for needed in state.strategy.consumes(state.options):
            meaning = _MEANINGS.get(needed.name)
            if meaning is None:
                continue
            makers = partial.states_producing(needed.name)
            if name not in reachable(initial, edges, without=makers - {name}):
                continue
            strategies = [entry.name for entry in partial.catalogue.entries.values() if needed.name in entry.produces]
            yield Problem(
                ("states", name, "with", needed.option) if needed.option else ("states", name, "strategy"),
                f"{name!r} needs {meaning}, but can be reached before there is one; lead every way through "
                f"a state that makes it ({' or '.join(strategies)})",
            )

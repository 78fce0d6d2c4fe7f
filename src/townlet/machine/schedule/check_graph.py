"""The machine must be total, reachable and ending, and promote only what evidence has shown."""

from collections.abc import Iterator, Mapping

import attrs

from townlet.dto.codec import Problem
from townlet.dto.guards import AllOf, AnyOf, GuardSpec, NotOf, When
from townlet.dto.schedule import BUILT_IN_STATES, EdgeSpec
from townlet.dto.strategies import PromoteSpec
from townlet.machine.guards.verdicts import names
from townlet.machine.schedule.partial import PartialSchedule, nearest, unknown
from townlet.machine.schedule.reachability import MAX_CONFIGURATIONS, Reachability, explore

__all__ = ["check_edges", "check_walk", "reachable"]

MAX_STATES = 64
"""More than a person can survey, few enough to prove."""

_NOWHERE = explore("hold", {}, {})

Edges = Mapping[str, tuple[EdgeSpec | None, ...]]


def check_edges(draft: PartialSchedule) -> Iterator[Problem]:
    """Yield the mistakes of single edges and of the order they stand in."""
    for name, state in draft.states.items():
        if isinstance(draft.data["states"][name], Mapping) and draft.data["states"][name].get("next") == []:
            yield Problem(("states", name, "next"), "expected at least one edge; the last has no when")
        for index, edge in enumerate(state.edges):
            if edge is not None:
                last = index == len(state.edges) - 1
                yield from _check_edge(draft, edge, ("states", name, "next", index), last=last)


def _check_edge(
    draft: PartialSchedule, edge: EdgeSpec, here: tuple[str | int, ...], *, last: bool
) -> Iterator[Problem]:
    if edge.to not in draft.states and edge.to not in BUILT_IN_STATES:
        yield unknown("state", edge.to, {*draft.states, *BUILT_IN_STATES}, (*here, "to"))
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
        yield from _check_when(draft, when, (*here, "when", index), negated=False)
    target = draft.states.get(edge.to)
    if edge.approval is not None and target and target.strategy and not target.strategy.effect:
        yield Problem((*here, "approval"), f"{edge.to!r} changes nothing that needs approval; ask it before promote")
    if edge.approval is not None and edge.approval.expires <= 0:
        yield Problem((*here, "approval", "expires"), "expected more than 0")
    if target and target.strategy and target.strategy.effect:
        unproven = isinstance(target.options, PromoteSpec) and target.options.unproven
        readable = all(draft.guards.get(name) for when in edge.when for name in names(when))
        if target.options is not None and not unproven and readable and not _proves(draft, AllOf(all=edge.when)):
            yield Problem(
                (*here, "to"),
                f"this edge leads to {edge.to!r} without a guard on evidence that must hold for it; "
                "add one, or say unproven: true there",
            )


def _check_when(draft: PartialSchedule, when: When, path: tuple[str | int, ...], *, negated: bool) -> Iterator[Problem]:
    if isinstance(when, str):
        guard = draft.guards.get(when)
        if when not in draft.guards:
            yield unknown("guard", when, draft.guards, path)
        elif negated and guard and guard.without_baseline == "skip":
            yield Problem(
                path, f"not over {when!r}, which is skipped without a baseline: a skipped guard has no opposite"
            )
    elif isinstance(when, NotOf):
        yield from _check_when(draft, when.not_, (*path, "not"), negated=True)
    else:
        word = "all" if isinstance(when, AllOf) else "any"
        parts = when.all if isinstance(when, AllOf) else when.any
        if not parts:
            yield Problem((*path, word), f"expected at least one guard under {word}")
        for index, part in enumerate(parts):
            yield from _check_when(draft, part, (*path, word, index), negated=negated)


def _proves(draft: PartialSchedule, when: When) -> bool:
    """Tell whether a condition cannot hold without evidence that the candidate is no worse than its margin."""
    if isinstance(when, AllOf):
        return any(_proves(draft, part) for part in when.all)
    if isinstance(when, AnyOf):
        return all(_proves(draft, part) for part in when.any)
    name, refuted = (when.not_, True) if isinstance(when, NotOf) else (when, False)
    guard = draft.guards.get(name) if isinstance(name, str) else None
    if guard is None or guard.evidence is None or guard.without_baseline == "skip":
        return False
    return (guard.worse_by is not None) == refuted


def check_walk(draft: PartialSchedule) -> tuple[Reachability, list[Problem]]:
    """Return all walks, and where they cannot be walked, cannot end or lack the weights they need."""
    if draft.initial is None or not draft.states:  # the schedule as a whole says so, but for an empty mapping
        empty = isinstance(draft.data, Mapping) and draft.data.get("states") == {}
        return _NOWHERE, [Problem(("states",), "expected at least one state")] if empty else []
    if len(draft.states) > MAX_STATES:
        message = f"expected at most {MAX_STATES} states, found {len(draft.states)}"
        return _NOWHERE, [Problem(("states",), message, key=True)]
    initial = draft.initial if draft.initial in draft.states else nearest(draft.initial, draft.states)
    problems = [] if draft.initial == initial else [unknown("state", draft.initial, draft.states, ("initial",))]
    if initial is None:
        return _NOWHERE, problems
    edges = _edges(draft)
    reached = reachable(initial, edges)
    problems.extend(
        Problem(("states", name), f"state {name!r} is never reached from {initial!r}", key=True)
        for name in draft.states
        if name not in reached
    )
    stuck = [name for name in draft.states if name in reached and not _ends(name, edges, draft)]
    problems.extend(
        Problem(("states", name), f"no way leads from {name!r} to an end ({', '.join(BUILT_IN_STATES)})", key=True)
        for name in stuck
    )
    problems.extend(_check_effect_first(draft, initial))
    problems.extend(_check_inputs(draft, initial, edges, reached))
    walk = explore(initial, edges, _readable(draft))
    if walk.exceeded:
        problems.append(
            Problem(
                ("states",),
                f"the counters allow more than {MAX_CONFIGURATIONS} situations, too many to "
                "prove that the walk ends; lower their limits",
                key=True,
            )
        )
    problems.extend(_endless(walk, frozenset(stuck)))
    if not problems and draft.complete:
        problems.extend(
            Problem(("states", name), f"state {name!r} is never reached: the counters close every way to it", key=True)
            for name in draft.states
            if name not in walk.reached
        )
    return walk, problems


def reachable(initial: str, edges: Edges, *, without: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the states that edges lead to from `initial`, conditions aside, never going on from those in `without`."""
    found, waiting = {initial}, [initial]
    while waiting:
        here = waiting.pop()
        for edge in edges.get(here, ()) if here not in without else ():
            if edge is not None and edge.to not in found:
                found.add(edge.to)
                waiting.append(edge.to)
    return frozenset(found)


def _edges(draft: PartialSchedule) -> Edges:
    """Return the edges as they were probably meant, so that one misspelt name is told once."""
    known = {*draft.states, *BUILT_IN_STATES}
    return {
        name: tuple(
            edge if edge is None or edge.to in known else attrs.evolve(edge, to=nearest(edge.to, known) or edge.to)
            for edge in state.edges
        )
        for name, state in draft.states.items()
    }


def _readable(draft: PartialSchedule) -> Mapping[str, GuardSpec | None]:
    """Return the guards without the counters that are wrong: what they were meant to bound is anyone's guess."""
    return {
        name: None
        if guard and guard.visits_to and (guard.visits_to not in draft.states or (guard.below or 0) < 1)
        else guard
        for name, guard in draft.guards.items()
    }


def _ends(state: str, edges: Edges, draft: PartialSchedule) -> bool:
    beyond = reachable(state, edges)
    # An edge that could not be read, or a name that nobody knows, may well have been the way out.
    dark = any(
        None in edges.get(name, (None,)) or not edges.get(name) for name in beyond if name not in BUILT_IN_STATES
    )
    return dark or any(name in BUILT_IN_STATES or name not in draft.states for name in beyond)


def _check_effect_first(draft: PartialSchedule, initial: str) -> Iterator[Problem]:
    state = draft.states[initial]
    if state.strategy and state.strategy.effect:
        yield Problem(("initial",), f"the walk cannot begin with {initial!r}, which changes the registry")


def _endless(walk: Reachability, stuck: frozenset[str]) -> Iterator[Problem]:
    for closed in walk.rounds:
        states = [state for state, _ in closed]
        if stuck.issuperset(states):
            continue
        state, index = closed[-1]
        yield Problem(
            ("states", state, "next", index),
            f"{' → '.join([*states, states[0]])} can go round for ever; let one of its edges ask a counter, such as "
            f"{{visits_to: {states[0]}, below: 4}}",
        )


_MEANINGS: Mapping[str, str] = {
    "dataset": "a data set",
    "experience": "recorded play of a policy",
    "clone": "the clone",
    "candidate": "the candidate",
}
"""What the run itself makes; champions and policies from outside may be there before it."""


def _check_inputs(draft: PartialSchedule, initial: str, edges: Edges, reached: frozenset[str]) -> Iterator[Problem]:
    """Yield the states that can be reached before what they need exists."""
    for name, state in draft.states.items():
        if name not in reached or state.strategy is None or state.options is None:
            continue
        for needed in state.strategy.consumes(state.options):
            meaning = _MEANINGS.get(needed.name)
            if meaning is None:
                continue
            makers = draft.states_producing(needed.name)
            if name not in reachable(initial, edges, without=makers - {name}):
                continue
            strategies = [entry.name for entry in draft.catalogue.entries.values() if needed.name in entry.produces]
            yield Problem(
                ("states", name, "with", needed.option) if needed.option else ("states", name, "strategy"),
                f"{name!r} needs {meaning}, but can be reached before there is one; lead every way through "
                f"a state that makes it ({' or '.join(strategies)})",
            )

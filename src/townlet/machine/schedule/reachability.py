"""Everywhere the walk can go: configurations of (state, visits so far), with counters exact and all else open."""

from collections.abc import Iterator, Mapping

from attrs import frozen

from townlet.dto.guards import AllOf, AnyOf, GuardSpec, NotOf, When
from townlet.dto.schedule import BUILT_IN_STATES, EdgeSpec
from townlet.machine.guards.verdicts import names

__all__ = ["MAX_CONFIGURATIONS", "Reachability", "explore"]

MAX_CONFIGURATIONS = 20_000

Edges = Mapping[str, tuple[EdgeSpec | None, ...]]
Configuration = tuple[str, tuple[int, ...]]
Step = tuple[int, Configuration]


@frozen(kw_only=True)
class Reachability:
    """All walks that the counters allow."""

    reached: frozenset[str]
    """States some walk visits, the built-in ones it can end in included."""
    fires: frozenset[tuple[str, int]]
    """Edges (state, index) some walk takes."""
    rounds: tuple[tuple[tuple[str, int], ...], ...]
    """Closed rounds that nothing ends, each as its edges; one for every knot of states."""
    most_visits: Mapping[str, int]
    """The longest any walk can stay away from the end, counted per state; empty where a round never ends."""
    exceeded: bool
    """True where there were more configurations than are looked at; then the rest is partial."""


def explore(initial: str, edges: Edges, guards: Mapping[str, GuardSpec | None]) -> Reachability:
    """Return all walks from `initial`.

    A guard that counts visits is evaluated exactly; every other may go either way at any time, so that a walk is
    missing here only where no run can take it. An edge whose condition names a guard that could not be read is left
    out: it may well have been the counter (and what lies behind it is looked at all the same). Counts are capped where
    no counter tells them apart any more, which keeps the graph finite; a closed round is a walk that need not end.
    """
    space = _Space(initial, edges, guards)
    steps = space.steps()
    return Reachability(
        reached=frozenset(state for state, _ in steps),
        fires=frozenset((here[0], index) for here, onward in steps.items() for index, _ in onward),
        rounds=() if space.exceeded else tuple(_rounds(steps)),
        most_visits={} if space.exceeded else _longest(steps),
        exceeded=space.exceeded,
    )


class _Space:
    """The finite graph of configurations."""

    def __init__(self, initial: str, edges: Edges, guards: Mapping[str, GuardSpec | None]) -> None:
        self.edges, self.guards = edges, guards
        named = {name for ways in edges.values() for edge in ways if edge for when in edge.when for name in names(when)}
        self.caps: dict[str, int] = {}
        for name in sorted(named):
            guard = guards.get(name)
            counter = guard and _counter(guard)
            if counter and counter[0] in edges:
                self.caps[counter[0]] = max(counter[1], self.caps.get(counter[0], 0))
        self.counted = tuple(self.caps)
        self.first = self.enter(initial, (0,) * len(self.counted))
        unread = any(guards.get(name) is None for name in named) or any(None in ways for ways in edges.values())
        # An edge left out must not hide what lies behind it, so then every state is a place to begin.
        self.roots = [self.enter(state, (0,) * len(self.counted)) for state in edges if unread]
        self.exceeded = False

    def enter(self, state: str, counts: tuple[int, ...]) -> Configuration:
        return state, tuple(
            min(count + (name == state), self.caps[name]) for name, count in zip(self.counted, counts, strict=True)
        )

    def steps(self) -> dict[Configuration, list[Step]]:
        found: dict[Configuration, list[Step]] = {}
        waiting = [*self.roots, self.first]
        while waiting:
            here = waiting.pop()
            if here in found:
                continue
            if len(found) >= MAX_CONFIGURATIONS:
                self.exceeded = True
                break
            found[here] = list(self.onward(here))
            waiting.extend(there for _, there in found[here])
        return found

    def onward(self, here: Configuration) -> Iterator[Step]:
        state, counts = here
        if state in BUILT_IN_STATES:
            return
        visits = dict(zip(self.counted, counts, strict=True))
        for index, edge in enumerate(self.edges.get(state, ())):
            if edge is None or any(self.guards.get(name) is None for when in edge.when for name in names(when)):
                continue
            holds = _all(self.holds(when, visits) for when in edge.when)
            if holds is not False and edge.to in BUILT_IN_STATES:
                yield index, (edge.to, ())
            elif holds is not False and edge.to in self.edges:
                yield index, self.enter(edge.to, counts)
            if holds is True:
                return

    def holds(self, when: When, visits: Mapping[str, int]) -> bool | None:
        """Return whether a condition holds; None where it may go either way."""
        if isinstance(when, AllOf):
            return _all(self.holds(part, visits) for part in when.all)
        if isinstance(when, AnyOf):
            return _not(_all(_not(self.holds(part, visits)) for part in when.any))
        if isinstance(when, NotOf):
            return _not(self.holds(when.not_, visits))
        guard = self.guards[when]
        counter = guard and _counter(guard)
        return visits[counter[0]] < counter[1] if counter and counter[0] in visits else None


def _counter(guard: GuardSpec) -> tuple[str, int] | None:
    return None if guard.visits_to is None or guard.below is None else (guard.visits_to, guard.below)


def _all(parts: Iterator[bool | None]) -> bool | None:
    answers = set(parts)
    return False if False in answers else None if None in answers else True


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _rounds(steps: Mapping[Configuration, list[Step]]) -> Iterator[tuple[tuple[str, int], ...]]:
    """Yield one closed round per set of states that has one, by depth-first search without recursion."""
    done: set[Configuration] = set()
    seen: set[frozenset[str]] = set()
    for root in steps:
        if root in done:
            continue
        trail: list[tuple[Configuration, Iterator[Step], int]] = [(root, iter(steps[root]), -1)]
        depth = {root: 0}
        while trail:
            here, onward, _ = trail[-1]
            step = next(onward, None)
            if step is None:
                done.add(here)
                del depth[here]
                trail.pop()
                continue
            index, there = step
            if there in depth:
                entered = [i for _, _, i in trail[depth[there] + 1 :]] + [index]
                states = [c[0] for c, _, _ in trail[depth[there] :]]
                if frozenset(states) not in seen:
                    seen.add(frozenset(states))
                    yield tuple(zip(states, entered, strict=True))
            elif there not in done:
                depth[there] = len(trail)
                trail.append((there, iter(steps[there]), index))


def _longest(steps: Mapping[Configuration, list[Step]]) -> dict[str, int]:
    """Return the most visits to each state on any walk; empty where a closed round makes them endless."""
    order = _inner_first(steps)
    if order is None:
        return {}
    most: dict[Configuration, dict[str, int]] = {}
    for here in order:
        onward = [most[there] for _, there in steps[here]]
        best = {state: max(walk.get(state, 0) for walk in onward) for state in {s for walk in onward for s in walk}}
        best[here[0]] = best.get(here[0], 0) + 1
        most[here] = best
    longest = most[next(iter(steps))]
    return {state: visits for state, visits in sorted(longest.items()) if state not in BUILT_IN_STATES}


def _inner_first(steps: Mapping[Configuration, list[Step]]) -> list[Configuration] | None:
    """Return the configurations so that each comes after all that follow it; None where there is no such order."""
    waiting = {here: len({there for _, there in onward}) for here, onward in steps.items()}
    before: dict[Configuration, list[Configuration]] = {here: [] for here in steps}
    for here, onward in steps.items():
        for there in dict.fromkeys(there for _, there in onward):
            before[there].append(here)
    order = [here for here, left in waiting.items() if left == 0]
    for here in order:
        for earlier in before[here]:
            waiting[earlier] -= 1
            if waiting[earlier] == 0:
                order.append(earlier)
    return order if len(order) == len(steps) else None

"""Explore all runs that a schedule allows, as a finite graph of configurations (state, visits so far)."""

from collections.abc import Iterator, Mapping

from attrs import frozen

from townlet.dto.conditions import AllOf, AnyOf, NotOf, When
from townlet.dto.guards import GuardSpec, VisitCountSpec
from townlet.dto.schedule import BUILT_IN_STATES, EdgeSpec
from townlet.machine.guards.verdicts import names

__all__ = ["MAX_CONFIGURATIONS", "Reachability", "explore"]

MAX_CONFIGURATIONS = 20_000
"""Configurations that are explored at the most."""

Edges = Mapping[str, tuple[EdgeSpec | None, ...]]
Configuration = tuple[str, tuple[int, ...]]
Step = tuple[int, Configuration]


@frozen(kw_only=True)
class Reachability:
    """What the runs that the counters allow can do."""

    reached: frozenset[str]
    """States that some run visits, the built-in ones it can end in included."""
    enabled_edges: frozenset[tuple[str, int]]
    """Edges (state, index) that some run takes."""
    endless_cycles: tuple[tuple[tuple[str, int], ...], ...]
    """Cycles that no counter ends, each as its edges (state, index); one for each set of states."""
    most_visits: Mapping[str, int]
    """Upper bound on the visits to each state over all runs the guards allow; empty where a cycle is endless."""
    exceeded: bool
    """True where there are more than `MAX_CONFIGURATIONS`; the other fields are then incomplete."""


def explore(initial: str, edges: Edges, guards: Mapping[str, GuardSpec | None]) -> Reachability:
    """Return what runs from `initial` can do.

    A guard that counts visits is evaluated exactly; every other may pass or fail at any time, so a path is missing
    only where no run can take it. An edge whose condition names a guard that could not be read is left out, for that
    guard may have been the counter; what lies behind the edge is explored all the same. Counts are capped where no
    counter distinguishes them any more, which keeps the graph finite.
    """
    space = _Space(initial, edges, guards)
    steps = space.steps()
    return Reachability(
        reached=frozenset(state for state, _ in steps),
        enabled_edges=frozenset((node[0], index) for node, successors in steps.items() for index, _ in successors),
        endless_cycles=() if space.exceeded else tuple(_endless_cycles(steps)),
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
            if isinstance(guard, VisitCountSpec) and guard.visits_to in edges:
                self.caps[guard.visits_to] = max(guard.below, self.caps.get(guard.visits_to, 0))
        self.counted = tuple(self.caps)
        self.first = self.enter(initial, (0,) * len(self.counted))
        unread = any(guards.get(name) is None for name in named) or any(None in ways for ways in edges.values())
        # An edge left out must not hide what lies behind it: then every state is a root.
        self.roots = [self.enter(state, (0,) * len(self.counted)) for state in edges if unread]
        self.exceeded = False

    def enter(self, state: str, counts: tuple[int, ...]) -> Configuration:
        return state, tuple(
            min(count + (name == state), self.caps[name]) for name, count in zip(self.counted, counts, strict=True)
        )

    def steps(self) -> dict[Configuration, list[Step]]:
        graph: dict[Configuration, list[Step]] = {}
        pending = [*self.roots, self.first]
        while pending:
            node = pending.pop()
            if node in graph:
                continue
            if len(graph) >= MAX_CONFIGURATIONS:
                self.exceeded = True
                break
            graph[node] = list(self.successors(node))
            pending.extend(successor for _, successor in graph[node])
        return graph

    def successors(self, node: Configuration) -> Iterator[Step]:
        state, counts = node
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
        if isinstance(guard, VisitCountSpec) and guard.visits_to in visits:
            return visits[guard.visits_to] < guard.below
        return None


def _all(parts: Iterator[bool | None]) -> bool | None:
    values = set(parts)
    return False if False in values else None if None in values else True


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _endless_cycles(steps: Mapping[Configuration, list[Step]]) -> Iterator[tuple[tuple[str, int], ...]]:
    """Yield one cycle for each set of states that has one, by depth-first search without recursion."""
    done: set[Configuration] = set()
    seen: set[frozenset[str]] = set()
    for root in steps:
        if root in done:
            continue
        path: list[tuple[Configuration, Iterator[Step], int]] = [(root, iter(steps[root]), -1)]
        depth = {root: 0}
        while path:
            node, successors, _ = path[-1]
            step = next(successors, None)
            if step is None:
                done.add(node)
                del depth[node]
                path.pop()
                continue
            index, successor = step
            if successor in depth:
                entered = [i for _, _, i in path[depth[successor] + 1 :]] + [index]
                states = [c[0] for c, _, _ in path[depth[successor] :]]
                if frozenset(states) not in seen:
                    seen.add(frozenset(states))
                    yield tuple(zip(states, entered, strict=True))
            elif successor not in done:
                depth[successor] = len(path)
                path.append((successor, iter(steps[successor]), index))


def _longest(steps: Mapping[Configuration, list[Step]]) -> dict[str, int]:
    """Return the most visits to each state on any path; empty where a cycle makes them endless."""
    order = _topological_order(steps)
    if order is None:
        return {}
    most: dict[Configuration, dict[str, int]] = {}
    for node in order:
        successors = [most[successor] for _, successor in steps[node]]
        best = {
            state: max(visits.get(state, 0) for visits in successors)
            for state in {state for visits in successors for state in visits}
        }
        best[node[0]] = best.get(node[0], 0) + 1
        most[node] = best
    longest = most[next(iter(steps))]
    return {state: visits for state, visits in sorted(longest.items()) if state not in BUILT_IN_STATES}


def _topological_order(steps: Mapping[Configuration, list[Step]]) -> list[Configuration] | None:
    """Return the nodes so that each comes after all its successors; None where a cycle forbids it."""
    pending = {node: len({successor for _, successor in successors}) for node, successors in steps.items()}
    predecessors: dict[Configuration, list[Configuration]] = {node: [] for node in steps}
    for node, successors in steps.items():
        for successor in dict.fromkeys(successor for _, successor in successors):
            predecessors[successor].append(node)
    order = [node for node, count in pending.items() if count == 0]
    for node in order:
        for predecessor in predecessors[node]:
            pending[predecessor] -= 1
            if pending[predecessor] == 0:
                order.append(predecessor)
    return order if len(order) == len(steps) else None

"""The machine in memory: the only file that touches `transitions`.

Measured of transitions 0.9.3, and why it is used as it is here: `auto_transitions` adds back doors, dotted strings are
imported as callbacks, conditions are compared with ``== True`` (an enum member counts as false), `on_exception`
swallows Ctrl-C, errors in `finalize_event` are lost, errors in `after_state_change` come after the move, a queued
trigger answers True even when refused, unknown destinations pass at build time. So: no automatic triggers, callables
only, real booleans, one callback (`before_state_change`, which vetoes by raising), our own checks.
"""

from collections.abc import Callable

from transitions import EventData, Machine, State

from townlet.dto.journal import TransitionTaken
from townlet.dto.schedule import BUILT_IN_STATES, ScheduleSpec
from townlet.errors import BadInputError
from townlet.machine.engine.next_transition import Transition

__all__ = ["StateMachine"]

_ENGINE = {"hold": "hold", "fail": "failed", "abort": "aborted"}
"""Triggers of the engine's own, from every declared state; `abort` and `release` also lead out of hold."""


class _Model:
    """The model that `transitions` hangs its attributes on; ours stay free of them."""

    state: str


class StateMachine:
    """Moves along the edges of a schedule; each move is persisted before it happens."""

    def __init__(self, schedule: ScheduleSpec, state: str, persist: Callable[[TransitionTaken], None]) -> None:
        """Build the machine standing at `state`; BadInputError where an edge or `state` is unknown."""
        known = (*schedule.states, *BUILT_IN_STATES)
        _check(schedule, known, state)
        self._persist = persist
        self._place = _Model()
        self._machine = Machine(
            model=self._place,
            states=[State(name) for name in known],
            initial=state,
            auto_transitions=False,
            queued=False,
            send_event=True,
            ignore_invalid_triggers=False,
            before_state_change=[self._before],
        )
        for source, spec in schedule.states.items():
            for index, edge in enumerate(spec.next):
                self._machine.add_transition("leave", source, edge.to, conditions=[_edge_is(index)])
            for trigger, target in _ENGINE.items():
                self._machine.add_transition(trigger, source, target)
        self._machine.add_transition("abort", "hold", "aborted")
        for target in known:
            if target != "hold":
                self._machine.add_transition("release", "hold", target, conditions=[_target_is(target)])

    @property
    def state(self) -> str:
        """Where the walk stands."""
        return self._place.state

    def take(self, move: Transition) -> None:
        """Make a move: an edge of the present state, hold or abort, or out of hold."""
        self._fire(move.trigger, move.edge, move.why, move.target)

    def hold(self, why: str) -> None:
        """Wait for an operator."""
        self._fire("hold", None, why)

    def fail(self, why: str) -> None:
        """End the run in failure."""
        self._fire("fail", None, why)

    def _fire(self, trigger: str, edge: int | None, why: str, target: str = "") -> None:
        if self._machine.events[trigger].trigger(self._place, edge=edge, why=why, target=target) is not True:
            raise BadInputError(f"state {self.state!r} has no edge {edge!r}; expected an index of its `next`")

    def _before(self, event: EventData) -> None:
        move = event.transition
        assert move is not None
        assert move.dest is not None, "a machine without internal transitions always moves"
        kwargs = event.kwargs
        self._persist(TransitionTaken(source=move.source, target=move.dest, edge=kwargs["edge"], why=kwargs["why"]))


def _edge_is(index: int) -> Callable[[EventData], bool]:
    def is_chosen(event: EventData) -> bool:
        return bool(event.kwargs["edge"] == index)

    return is_chosen


def _target_is(target: str) -> Callable[[EventData], bool]:
    def is_meant(event: EventData) -> bool:
        return bool(event.kwargs["target"] == target)

    return is_meant


def _check(schedule: ScheduleSpec, known: tuple[str, ...], state: str) -> None:
    if state not in known:
        raise BadInputError(f"unknown state {state!r}; expected one of: {', '.join(known)}")
    for source, spec in schedule.states.items():
        if source in ("*", "=") or source in BUILT_IN_STATES:
            raise BadInputError(f"{source!r} cannot name a state; expected a word of your own")
        for index, edge in enumerate(spec.next):
            if edge.to not in known:
                raise BadInputError(f"edge {index} of state {source!r} leads to {edge.to!r}, which does not exist")

"""The state machine in memory; no other file imports `transitions`.

Behaviour of transitions 0.9.3 that decides how it is used: `auto_transitions` adds edges nobody declared, dotted
strings are imported as callbacks, conditions are compared with ``== True`` (an enum member counts as false),
`on_exception` swallows Ctrl-C, errors in `finalize_event` are lost, errors in `after_state_change` come after the
transition, a queued trigger returns True even when it is refused, unknown targets pass when the machine is built.
So: no automatic triggers, callables only, real booleans, one callback (`before_state_change`, which refuses by
raising), checks of our own.
"""

from collections.abc import Callable

from transitions import EventData, Machine, State

from townlet.dto.journal import TransitionTaken
from townlet.dto.schedule import BUILT_IN_STATES, ScheduleSpec
from townlet.errors import BadInputError
from townlet.machine.engine.next_transition import Transition
from townlet.numerals import edge_number

__all__ = ["StateMachine"]

_ENGINE = {"hold": "hold", "fail": "failed", "abort": "aborted"}
"""Triggers that every declared state has; `abort` and `release` also lead out of hold, `release` out of failed."""


class _Model:
    """The object on which `transitions` sets the attribute `state`."""

    state: str


class StateMachine:
    """Takes the edges of a schedule; each transition is persisted before it takes effect."""

    def __init__(self, schedule: ScheduleSpec, state: str, persist: Callable[[TransitionTaken], None]) -> None:
        """Build the machine in `state`; BadInputError where an edge or `state` is unknown."""
        states = (*schedule.states, *BUILT_IN_STATES)
        _check(schedule, states, state)
        self._persist = persist
        self._model = _Model()
        self._machine = Machine(
            model=self._model,
            states=[State(name) for name in states],
            initial=state,
            auto_transitions=False,
            queued=False,
            send_event=True,
            ignore_invalid_triggers=False,
            before_state_change=[self._persist_transition],
        )
        for source, spec in schedule.states.items():
            for index, edge in enumerate(spec.next):
                self._machine.add_transition("leave", source, edge.to, conditions=[_edge_is(index)])
            for trigger, target in _ENGINE.items():
                self._machine.add_transition(trigger, source, target)
        self._machine.add_transition("abort", "hold", "aborted")
        for target in states:
            if target != "hold":
                self._machine.add_transition("release", "hold", target, conditions=[_target_is(target)])
            if target in schedule.states:
                self._machine.add_transition("release", "failed", target, conditions=[_target_is(target)])

    @property
    def state(self) -> str:
        """The present state."""
        return self._model.state

    def take(self, transition: Transition) -> None:
        """Take an edge of the present state, hold, abort, or leave hold."""
        self._fire(transition.trigger, transition.edge, transition.why, transition.target)

    def hold(self, why: str, *, keeps_visit: bool = False) -> None:
        """Enter hold, where the run waits for an operator; a retry continues a visit that is kept."""
        self._fire("hold", None, why, keeps_visit=keeps_visit)

    def fail(self, why: str) -> None:
        """End the run in failure."""
        self._fire("fail", None, why)

    def _fire(self, trigger: str, edge: int | None, why: str, target: str = "", *, keeps_visit: bool = False) -> None:
        fire = self._machine.events[trigger].trigger
        if fire(self._model, edge=edge, why=why, target=target, keeps_visit=keeps_visit) is not True:
            raise BadInputError(f"state {self.state!r} has no edge {edge!r}; expected an index of its `next`")

    def _persist_transition(self, event: EventData) -> None:
        transition = event.transition
        assert transition is not None
        assert transition.dest is not None, "a machine without internal transitions always changes its state"
        reasons = {name: event.kwargs[name] for name in ("edge", "why", "keeps_visit")}
        self._persist(TransitionTaken(source=transition.source, target=transition.dest, **reasons))


def _edge_is(index: int) -> Callable[[EventData], bool]:
    def is_index(event: EventData) -> bool:
        return bool(event.kwargs["edge"] == index)

    return is_index


def _target_is(target: str) -> Callable[[EventData], bool]:
    def leads_to_target(event: EventData) -> bool:
        return bool(event.kwargs["target"] == target)

    return leads_to_target


def _check(schedule: ScheduleSpec, states: tuple[str, ...], state: str) -> None:
    if state not in states:
        raise BadInputError(f"unknown state {state!r}; expected one of: {', '.join(states)}")
    for source, spec in schedule.states.items():
        if source in ("*", "=") or source in BUILT_IN_STATES:
            raise BadInputError(f"{source!r} cannot name a state; expected a word of your own")
        for index, edge in enumerate(spec.next):
            if edge.to not in states:
                raise BadInputError(
                    f"edge {edge_number(index)} of state {source!r} leads to {edge.to!r}, which does not exist"
                )

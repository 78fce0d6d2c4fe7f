"""The rehearsal walks everything in little."""

from plans import CATALOGUE, SCHEDULE, make_plan

from townlet.dto.codec import structure
from townlet.dto.schedule import ScheduleSpec
from townlet.dto.strategies import BCSpec, CaptureSpec, PPOSpec, WatchSpec
from townlet.machine.engine.visit import apply_scale
from townlet.machine.schedule.rehearsal import next_edge, shrink
from townlet.policy.ppo.ramps import ramp_at

PLAN = make_plan()


def test_every_number_that_costs_time_is_small() -> None:
    """And what makes the work of another kind stays as it is."""
    plan = shrink(PLAN, CATALOGUE)
    capture, bc, ppo = plan.options["capture"], plan.options["bc"], plan.options["ppo"]
    assert isinstance(capture, CaptureSpec)
    assert isinstance(bc, BCSpec)
    assert isinstance(ppo, PPOSpec)
    assert (10, 1, 2, 1) == (capture.episodes, bc.update_epochs, ppo.iterations, ppo.days)
    assert PLAN.options["capture"].days == capture.days, "the critic's targets need whole episodes"
    assert ((20, 21), 1) == (plan.schedule.evidence["full"].episodes, plan.schedule.evidence["full"].days)
    assert PLAN.schedule.states == plan.schedule.states
    assert PLAN.schedule.guards == plan.schedule.guards


def test_the_policy_learns_in_a_rehearsal() -> None:
    """The second iteration lies beyond a ramp's zero phase, with every part of the loss at its full weight."""
    states = {**SCHEDULE["states"]}
    ramp = {
        "actor": [[0, 0], [75000, 0], [150000, 1], [900000, 0.1]],
        "bc_weight": [[0, 0], [9, 0.1], [10, 0]],
        "teacher_share": [[0, 1], [10, 0]],
    }
    states["ppo"] = {**states["ppo"], "with": {"ramps": [ramp]}}
    ppo = shrink(make_plan(states=states), CATALOGUE).options["ppo"]
    assert isinstance(ppo, PPOSpec)
    first, second = ramp_at(ppo.ramps, 0, 0), ramp_at(ppo.ramps, 0, 1)
    assert (0.0, 1.0) == (first.actor, second.actor)
    assert (0.0, 0.1) == (first.bc_weight, second.bc_weight)
    assert (1.0, 0.5) == (first.teacher_share, second.teacher_share)


def test_a_watch_is_rehearsed_too() -> None:
    """Its first look comes with the first iteration."""
    states = {**SCHEDULE["states"]}
    states["ppo"] = {**states["ppo"], "with": {"watch": {"every": 250000, "evidence": "full"}}}
    ppo = shrink(make_plan(states=states), CATALOGUE).options["ppo"]
    assert isinstance(ppo, PPOSpec)
    assert WatchSpec(every=1, evidence="full") == ppo.watch


def test_the_walk_goes_to_what_it_has_not_seen() -> None:
    """First to a new neighbour, then towards a new state further on, then to done."""
    schedule = PLAN.schedule
    seen = ["capture"]
    walked = []
    state = "capture"
    while state in schedule.states:
        state = schedule.states[state].next[next_edge(schedule, state, seen)].to
        seen.append(state)
        walked.append(state)
    assert ["bc", "ppo", "evaluate", "rollback", "ppo", "evaluate", "promote", "done"] == walked


def test_without_a_way_to_done_the_last_edge_is_taken() -> None:
    """A schedule may end in hold on purpose."""
    only = {"a": {"strategy": "capture", "next": [{"to": "hold"}]}}
    schedule = structure({**SCHEDULE, "initial": "a", "states": only, "guards": {}}, ScheduleSpec)
    assert 0 == next_edge(schedule, "a", ["a"])


def test_factors_scale_the_fields_they_name() -> None:
    """Those of other states are left alone, and whole numbers stay whole."""
    spec = apply_scale(
        PLAN.options["ppo"], "ppo", {"ppo.learning_rate": 0.5, "ppo.agent_steps": 1e-9, "bc.heldout": 2.0}
    )
    assert isinstance(spec, PPOSpec)
    assert (0.0005, 1) == (spec.learning_rate, spec.agent_steps)

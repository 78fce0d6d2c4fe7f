"""A plan that needs neither a file nor a town: small numbers, every kind of edge."""

from collections.abc import Mapping
from typing import Any

from catalogue import KPIS, catalogue

from townlet.dto.codec import structure
from townlet.dto.metrics import MetricSpec
from townlet.dto.schedule import Plan, ScheduleSpec

CATALOGUE = catalogue()
METRICS = tuple(
    MetricSpec(name=name, unit=unit, direction=better, exposure=exposure)
    for name, (unit, better, exposure) in KPIS.items()
)
BETTER = {
    "metric": "evaluate.return_per_agent_day",
    "better_by": {"baseline": "champion", "absolute": 0},
    "evidence": "full",
}
WORSE = {**{k: v for k, v in BETTER.items() if k != "better_by"},
         "worse_by": {"baseline": "champion", "relative": "5%", "floor": 1.0}}  # fmt: skip
SCHEDULE: dict[str, Any] = {
    "schedule": "townlet/v1",
    "name": "fake-town",
    "seed": 7,
    "environment": {"id": "town", "scenario": "small_town", "worlds": 8},
    "teacher": "scripted",
    "registry": {"name": "fake-town"},
    "evidence": {"full": {"episodes": [20, 40], "days": 2, "confidence": "95%"}},
    "baselines": {
        "champion": {"alias": "champion", "otherwise": "teacher"},
        "parent": {"of": "ppo"},
        "accepted": {"of": "ppo", "otherwise": "champion"},
    },
    "guards": {
        "enough_data": {"metric": "capture.episodes", "at_least": 200},
        "cloned": {"metric": "bc.heldout_accuracy", "at_least": 0.9},
        "finite": {"metric": "ppo.nonfinite_updates", "at_most": 0},
        "loss_tolerance": {
            "metric": "ppo.value_loss",
            "not_worse_than": {"baseline": "accepted", "relative": "10%", "floor": 0.05},
            "without_baseline": "skip",
        },
        "queue_tolerance": {
            "metric": "evaluate.queue_intensity",
            "not_worse_than": {"baseline": "champion", "relative": "15%", "floor": 0.05},
            "evidence": "full",
        },
        "better": BETTER,
        "clearly_worse": WORSE,
        "rounds_left": {"visits_to": "ppo", "below": 4},
        "rollbacks_left": {"visits_to": "rollback", "below": 3},
    },
    "initial": "capture",
    "states": {
        "capture": {
            "strategy": "capture",
            "next": [{"to": "bc", "when": ["enough_data"]}, {"to": "hold", "why": "the data set was rejected"}],
        },
        "bc": {"strategy": "bc", "next": [{"to": "ppo", "when": ["cloned"]}, {"to": "hold", "why": "a weak clone"}]},
        "ppo": {
            "strategy": "ppo",
            "retry": {"attempts": 3},
            "next": [{"to": "evaluate", "when": ["finite"]}, {"to": "rollback", "why": "the update diverged"}],
        },
        "evaluate": {
            "strategy": "evaluate",
            "next": [
                {"to": "rollback", "when": ["clearly_worse"]},
                {"to": "promote", "when": ["better", "queue_tolerance", "loss_tolerance"]},
                {"to": "ppo", "when": ["rounds_left"], "why": "not yet good enough"},
                {"to": "done", "why": "no round produced a better policy"},
            ],
        },
        "promote": {"strategy": "promote", "next": [{"to": "done"}]},
        "rollback": {
            "strategy": "rollback",
            "with": {"scale": {"ppo.learning_rate": 0.5}},
            "next": [
                {"to": "ppo", "when": ["rollbacks_left", "rounds_left"]},
                {"to": "hold", "why": "rolled back too often"},
            ],
        },
    },
}
MOST_VISITS = {"capture": 1, "bc": 1, "ppo": 4, "evaluate": 4, "promote": 1, "rollback": 3}


def make_plan(most_visits: Mapping[str, int] | None = None, **changes: Any) -> Plan:
    """Return the plan of `SCHEDULE` with some of its top-level entries replaced."""
    schedule = structure({**SCHEDULE, **changes}, ScheduleSpec)
    options = {
        name: structure(dict(state.with_), CATALOGUE.entries[state.strategy].spec)
        for name, state in schedule.states.items()
    }
    entries = {name: CATALOGUE.entries[state.strategy] for name, state in schedule.states.items()}
    gathers = {name: entry.evidence(options[name]) for name, entry in entries.items() if entry.measures}
    return Plan(schedule=schedule, options=options, most_visits=dict(most_visits or MOST_VISITS), gathers=gathers)

"""Learning from one script in four ways, seed by seed: ``python tests/benchmarks/learning.py --seeds 10 --out DIR``.

Arms: `recipe` (the schedule as a user runs it), `naive` (no critic first, no anchor, no ramps), `aggressive` (learning
rate 3e-3, eight passes, no KL stop) and `scratch` (PPO from fresh weights). Finished trials stand in
``DIR/results.jsonl`` and are not run again; ``--report`` draws tables and plots from what is there.

A look costs `--worlds` × `--days` days of greedy play for each `--every` agent-steps; its seconds are told apart from
the run's and its agent-steps are not counted as experience.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
from arms import ARMS, first_rounds, of_length, placed
from curves import write_report
from ledger import Ledger, Row, run_all
from trials import Looks, Trial, means, run_trial

from townlet.dto.schedule import ScheduleSpec
from townlet.policy.training.launch import schedule_text
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import provider

ROOT = Path(__file__).parents[2]
SCRIPTS = ("scripted", "planner", "random")


def reference(schedule: ScheduleSpec, looks: Looks) -> Row:
    """Return what the scripts are worth over the episodes of a look."""
    environments, scenario = provider(schedule.environment.id), schedule.environment.scenario
    return {name: means(environments, scenario, environments.teacher(scenario, name), looks) for name in SCRIPTS}


def trials(asked: argparse.Namespace, schedule: ScheduleSpec, looks: Looks) -> Iterator[tuple[Row, Trial]]:
    """Yield each arm's trial of each seed, with the key it is written down under: seed by seed."""
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        for arm in asked.arm or ARMS:
            rounds = asked.rounds or (0 if arm == "recipe" else 1)
            length = (asked.scratch_agent_steps if arm == "scratch" else None) or asked.agent_steps
            changed = ARMS[arm](of_length(schedule, length) if length else schedule)
            changed = attrs.evolve(first_rounds(changed, rounds) if rounds else changed, seed=seed)
            key = {
                "arm": arm, "seed": seed, "schedule": schedule.name, "scenario": schedule.environment.scenario,
                "rounds": rounds, "agent_steps": length, "looks": attrs.asdict(looks),
            }  # fmt: skip
            home = asked.out / "homes" / f"{schedule.environment.scenario}-{arm}-{seed}"
            yield key, Trial(schedule=schedule_text(changed), home=home, looks=looks, guarded=schedule_text(schedule))


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedule", type=Path, default=ROOT / "schedules" / "small_town.yaml")
    parser.add_argument("--scenario", help="in place of the schedule's")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--arm", action="append", choices=list(ARMS), help="may be given again; all by default")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1, help="trials at once, each in a process of its own")
    parser.add_argument("--threads", type=int, help="of each process; 1 where there are several")
    parser.add_argument("--agent-steps", type=int, help="of each ppo visit; the schedule's own where not given")
    parser.add_argument("--scratch-agent-steps", type=int, help="the same for the scratch arm")
    parser.add_argument("--rounds", type=int, help="most ppo visits; the schedule's for recipe, else 1")
    parser.add_argument("--every", type=int, default=50_000)
    parser.add_argument("--worlds", type=int, default=16)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--final", type=int, default=50)
    parser.add_argument("--report", action="store_true", help="write the report of what is there; run nothing")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, then write the report."""
    asked = parsed(arguments)
    ledger = Ledger(asked.out / "results.jsonl")
    schedule = PolicyTrainingOrchestrator(asked.schedule).plan().schedule
    if asked.scenario:
        schedule = placed(schedule, asked.scenario)
    looks = Looks(every=asked.every, worlds=asked.worlds, days=asked.days, final=asked.final)
    if not asked.report:
        scenario = schedule.environment.scenario
        key = {"arm": "reference", "scenario": scenario, "worlds": looks.worlds, "days": looks.days}
        if not ledger.holds(key):
            ledger.append(key, reference(schedule, looks))
        todo = trials(asked, schedule, looks)
        for done, row in run_all(ledger, todo, run_trial, jobs=asked.jobs, threads=asked.threads):
            what = "there already" if row is None else f"{row['state']}: {row['reason']}, {row['seconds']:.0f} s"
            sys.stdout.write(f"{done['scenario']} {done['arm']} seed {done['seed']}: {what}\n")
            sys.stdout.flush()
    for path in write_report(ledger.rows(), asked.out):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()

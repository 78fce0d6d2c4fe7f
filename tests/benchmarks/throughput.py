"""PPO's speed against the loop it cannot do without: ``python tests/benchmarks/throughput.py --out DIR``.

All contestants take turns for several rounds; a ratio is the median of the rounds' ratios, so that a machine that
drifts moves both of its sides. Threads are those of the environment (``OMP_NUM_THREADS=1`` for one). Stable-Baselines3
and JAX are left out, and named, where they are not installed: ``tox -e compare`` has both.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from unittest.mock import patch

import attrs
import numpy as np
from arms import of_length, scratch, ungated
from attrs import define, field
from contestants import Figures, Shapes, bare, plain_ppo, products, sb3
from one_jit import one_jit

from townlet.dto.policy import BCTrainingResult
from townlet.dto.schedule import Plan, ScheduleSpec
from townlet.dto.strategies import PPOSpec
from townlet.policy.model.weights import Weights
from townlet.policy.ppo import rollout
from townlet.policy.training import ppo_data as gather
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import Environment, Teacher, provider

ROOT = Path(__file__).parents[2]
Contestant = Callable[[Shapes, int], Figures]


@define
class Stopwatch:
    """Adds up the seconds of calls, by name."""

    seconds: dict[str, float] = field(factory=dict)

    def of(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same call, timed."""

        def timed(*given: Any, **named: Any) -> Any:
            began = perf_counter()
            answer = call(*given, **named)
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - began
            return answer

        return timed


def shapes_of(plan: Plan) -> Shapes:
    """Return the sizes of a schedule's first ppo state."""
    options = next(spec for spec in plan.options.values() if isinstance(spec, PPOSpec))
    place = plan.schedule.environment
    about = provider(place.id).describe(place.scenario)
    return Shapes(
        scenario=place.scenario, worlds=place.worlds, agents=about.agents, features=len(about.features),
        actions=about.actions.logits, num_steps=options.num_steps, update_epochs=options.update_epochs,
        minibatch_size=options.minibatch_size, hidden_sizes=options.hidden_sizes, days=options.days,
        learning_rate=options.learning_rate,
    )  # fmt: skip


def ours(schedule: ScheduleSpec) -> Contestant:
    """Return our PPO through the orchestrator, from fresh weights, timed from the end of its second iteration on."""

    def run(shapes: Shapes, iterations: int) -> Figures:
        from townlet.policy.ppo.learner import Learner

        watch, moments = Stopwatch(), []
        warm: dict[str, float] = {}

        class Timed(rollout.Rollout):
            """A rollout whose town and whole play are timed."""

            def __init__(self, environment: Environment, *given: Any, **named: Any) -> None:
                environment.step = watch.of("town", environment.step)  # type: ignore[method-assign]
                environment.reset = watch.of("town", environment.reset)  # type: ignore[method-assign]
                super().__init__(environment, *given, **named)

            def collect(self, weights: Weights, teacher: Teacher | None = None, share: float = 0.0) -> None:
                watch.of("play", super().collect)(weights, teacher, share)

        def tick(point: object) -> None:
            moments.append(perf_counter())
            if len(moments) == 2:
                warm.update(watch.seconds)

        steps = shapes.rows * (iterations + 2)
        alone = of_length(scratch(schedule), steps)
        with ExitStack() as patches, tempfile.TemporaryDirectory() as home:
            patches.enter_context(patch.object(gather, "Rollout", Timed))
            patches.enter_context(patch.object(Learner, "update", watch.of("updating", Learner.update)))
            ended = PolicyTrainingOrchestrator(ungated(alone), home=Path(home), watch=tick).run()
        if len(moments) < 3:
            raise RuntimeError(f"the run made {len(moments)} iterations and ended {ended.state}: {ended.reason}")
        seconds = moments[-1] - moments[1]
        spent = {name: watch.seconds[name] - warm[name] for name in ("town", "play", "updating")}
        return {
            "agent_steps": shapes.rows * iterations, "seconds": seconds, "town": spent["town"],
            "acting": spent["play"] - spent["town"], "updating": spent["updating"],
            "rest": seconds - spent["play"] - spent["updating"],
        }  # fmt: skip

    return run


def cloning(schedule: ScheduleSpec) -> Contestant:
    """Return behaviour cloning of the schedule's own data set: samples of the training passes ÷ their seconds."""

    def run(shapes: Shapes, iterations: int) -> Figures:
        whole = ungated(schedule)
        states = {name: state for name, state in whole.states.items() if state.strategy in ("capture", "bc")}
        last = next(name for name, state in states.items() if state.strategy == "bc")
        states[last] = attrs.evolve(states[last], next=(attrs.evolve(states[last].next[0], to="done"),))
        with tempfile.TemporaryDirectory() as home:
            done = PolicyTrainingOrchestrator(attrs.evolve(whole, states=states), home=Path(home)).run()
        result = next(stage.result for stage in done.stages if isinstance(stage.result, BCTrainingResult))
        samples = float(result.samples * result.epochs)
        return {"agent_steps": samples, "seconds": samples / result.samples_per_second}

    return run


def contestants(schedule: ScheduleSpec, shapes: Shapes) -> dict[str, Contestant]:
    """Return who takes part, in the order they take turns."""
    settings = {"n_steps": shapes.num_steps, "batch_size": shapes.minibatch_size, "n_epochs": shapes.update_epochs,
                "gamma": 0.988, "learning_rate": shapes.learning_rate, "relu": True}  # fmt: skip
    found: dict[str, Contestant] = {
        "bare loop": bare, "ours": ours(schedule), "products alone": products, "cloning": cloning(schedule),
    }  # fmt: skip
    if find_spec("gymnasium"):
        found["one-file PPO (1 epoch)"] = plain_ppo
    if find_spec("stable_baselines3"):
        found["SB3, its defaults (64 lanes)"] = sb3({}, 64, 2048 * 64)
        found["SB3, our minibatch"] = sb3(settings, shapes.lanes, shapes.rows * 4)
    if find_spec("jax"):
        found["one-jit JAX learner (no town)"] = one_jit
    return found


def ratio(rounds: Mapping[str, list[Figures]], of: str, to: str) -> float:
    """Return the median over rounds of the ratio of two speeds."""
    pairs = zip(rounds[of], rounds[to], strict=True)
    return median(_speed(a) / _speed(b) for a, b in pairs)


def _speed(figures: Figures) -> float:
    return figures["agent_steps"] / figures["seconds"]


def page(shapes: Shapes, rounds: Mapping[str, list[Figures]], about: Mapping[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [f"{json.dumps(about)}", "", f"{json.dumps(attrs.asdict(shapes))}", ""]
    lines += ["| contestant | samples/s, median | least … most | ours ÷ it |", "|---|---|---|---|"]
    for name, found in rounds.items():
        speeds = [_speed(each) for each in found]
        against = "" if name in ("ours", "cloning") else f"{ratio(rounds, 'ours', name):.2f}"
        lines.append(f"| {name} | {median(speeds):,.0f} | {min(speeds):,.0f} … {max(speeds):,.0f} | {against} |")
    parts = np.array(
        [[each[part] / each["seconds"] for part in ("town", "acting", "updating", "rest")] for each in rounds["ours"]]
    )
    town, acting, updating, rest = np.median(parts, axis=0)
    alone, loop = (ratio(rounds, "ours", name) for name in ("products alone", "bare loop"))
    lines += [
        "", f"Ours: town {town:.0%}, acting {acting:.0%}, update {updating:.0%}, the rest {rest:.0%}; "
        f"its matrix products alone would take {alone:.0%} of its time, the bare loop {loop:.0%}.",
    ]  # fmt: skip
    if "one-jit JAX learner (no town)" in rounds:
        learner = [
            each["agent_steps"] / (each["seconds"] - each["town"]) / _speed(jax)
            for each, jax in zip(rounds["ours"], rounds["one-jit JAX learner (no town)"], strict=True)
        ]
        lines.append(f"Our learner without the town's seconds is {median(learner):.2f} × the one-jit learner.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Let everybody take turns and write ``throughput.json`` and ``throughput.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedule", type=Path, default=ROOT / "schedules" / "small_town.yaml")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=10, help="of each contestant and round")
    parser.add_argument("--only", action="append", help="a further contestant by name; may be given again")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    plan = PolicyTrainingOrchestrator(asked.schedule).plan()
    shapes = shapes_of(plan)
    racing = contestants(plan.schedule, shapes)
    chosen = {"bare loop", "ours", "products alone", *(asked.only or racing)}
    racing = {name: run for name, run in racing.items() if name in chosen}
    rounds: dict[str, list[Figures]] = {name: [] for name in racing}
    for number in range(asked.rounds):
        for name, run in racing.items():
            rounds[name].append(run(shapes, asked.iterations))
            sys.stdout.write(f"round {number + 1}: {name} {_speed(rounds[name][-1]):,.0f}/s\n")
            sys.stdout.flush()
    about = {
        "torch": torch.__version__, "threads": torch.get_num_threads(), "processors": os.cpu_count(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"), "schedule": plan.schedule.name,
        "missing": [name for name in ("stable_baselines3", "jax", "gymnasium") if not find_spec(name)],
    }  # fmt: skip
    asked.out.mkdir(parents=True, exist_ok=True)
    document = {"about": about, "shapes": attrs.asdict(shapes), "rounds": rounds}
    (asked.out / "throughput.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = page(shapes, rounds, about)
    (asked.out / "throughput.md").write_text(text, encoding="utf-8")
    sys.stdout.write("\n" + text)


if __name__ == "__main__":
    main()

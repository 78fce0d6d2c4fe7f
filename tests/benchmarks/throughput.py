"""PPO's speed beside the loop it cannot do without and other learners: ``python tests/benchmarks/throughput.py``.

On the town, on CartPole, LunarLander and InvManagement, each with a table. All contestants of a table take turns for
several rounds; a ratio is the median of the rounds' ratios, so that a machine that drifts moves both of its sides.
Two clocks are told apart: on a quiet machine the clock's ratios are those that a user sees; processor seconds, all
threads of the process together, are hardly moved by other programs. Threads are those of the environment
(``OMP_NUM_THREADS=1`` for one). What is not installed is left out and named: ``tox -e compare`` has all of it.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
from arms import of_length, scratch, ungated
from attrs import define, field
from contestants import Contestant, Figures, bare, plain_ppo, products, sb3
from gymnasium_contestants import GymnasiumGame
from one_jit import one_jit
from ours import cloning, ours
from tables import host_lines, learners_table, parts_lines, players_table, speed

from townlet.policy.training.bench_host import BenchHost, bench_host, sgemm_speed
from townlet.policy.training.bench_ppo import ppo_options, ppo_shapes
from townlet.policy.training.bench_products import PPOShapes, product_seconds
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import provider

ROOT = Path(__file__).parents[2]
GAMES = {
    "cartpole": GymnasiumGame("CartPole-v1"),
    "lunar_lander": GymnasiumGame("LunarLander-v3", libraries=("Box2D",)),
    "inventory": GymnasiumGame("InvManagement-v1", package="or_gymnasium", max_steps=30),
}
LIBRARIES = ("gymnasium", "stable_baselines3", "jax")
THREADS = min(2, os.cpu_count() or 1)
SB3_DEFAULTS = "SB3, its defaults (64 lanes)"


@define
class Race:
    """The contestants of one table, and what was measured."""

    title: str
    shapes: PPOShapes
    contestants: Mapping[str, Contestant]
    page: Callable[["Race"], list[str]]
    once: tuple[str, ...] = ()
    """Contestants that take part in the first round alone, because they are slow and far behind."""
    share: int = 1
    """Its iterations are those that were asked for, divided by this: the slower environments take minutes else."""
    rounds: dict[str, list[Figures]] = field(factory=dict)

    def turn(self, number: int, iterations: int) -> None:
        """Let everybody run once, and measure the products beside them."""
        iterations = max(1, iterations // self.share)
        for name, run in self.contestants.items():
            if number and name in self.once:
                continue
            self.rounds.setdefault(name, []).append(run(iterations))
            sys.stdout.write(f"round {number + 1}: {self.title}: {name} {speed(self.rounds[name][-1]):,.0f}/s\n")
            sys.stdout.flush()
        if "ours" not in self.contestants:
            return
        seconds, processor = product_seconds(self.shapes, THREADS)
        self.rounds["ours"][-1] |= {
            "products": float(seconds) * iterations, "products_processor": float(processor) * iterations,
            "sgemm": float(sgemm_speed(THREADS)[0]), "sgemm_of_one": float(sgemm_speed(1)[0]),
            "sgemm_processor": float(sgemm_speed(1)[1]),
        }  # fmt: skip


def learners_page(race: Race) -> list[str]:
    """Return the table of learners and what ours spends its time on."""
    return [*learners_table(race.rounds), "", *parts_lines(race.rounds, race.shapes, THREADS)]


def town(schedule: Path) -> Race:
    """Return the contestants on a schedule of the town."""
    plan = PolicyTrainingOrchestrator(schedule).plan()
    place, options = plan.schedule.environment, ppo_options(plan)
    shapes = ppo_shapes(place, provider(place.id).describe(place.scenario), options)

    def training(iterations: int) -> Any:
        return ungated(of_length(scratch(plan.schedule), shapes.rows * iterations))

    contestants: dict[str, Contestant] = {
        "bare loop": partial(bare, shapes), "ours": ours(training, shapes),
        "products alone": partial(products, shapes), "cloning": cloning(plan.schedule),
    }  # fmt: skip
    if find_spec("gymnasium"):
        contestants["one-file PPO (1 epoch)"] = plain_ppo
    if find_spec("stable_baselines3"):
        contestants[SB3_DEFAULTS] = sb3(options, place, None)
        contestants["SB3, our minibatch"] = sb3(options, place, shapes)
    if find_spec("jax"):
        contestants["one-jit JAX learner (no environment)"] = partial(one_jit, shapes)
    return Race(f"{place.id}/{place.scenario}", shapes, contestants, learners_page, once=(SB3_DEFAULTS,))


def races(asked: argparse.Namespace) -> tuple[list[Race], list[str]]:
    """Return the tables that were asked for, and what is missing for others."""
    found, missing = [], [f"{library} is not installed" for library in LIBRARIES if not find_spec(library)]
    for name in asked.environment or ("town", *GAMES):
        if name == "town":
            found.append(town(asked.schedule))
            continue
        game = GAMES[name]
        if game.missing:
            missing.append(f"{game.name} needs {' and '.join(game.missing)}")
            continue
        shapes, players = game.shapes(), game.players()
        found.append(Race(game.name, shapes, game.learners(), learners_page, share=2))
        found.append(Race(f"playing {game.name}", shapes, players, lambda race: players_table(race.rounds), share=2))
    for race in found:
        chosen = {"bare loop", "ours", "products alone", *(asked.only or race.contestants)}
        race.contestants = {name: run for name, run in race.contestants.items() if name in chosen}
    return [race for race in found if race.contestants], missing


def written(found: list[Race], missing: list[str], host: BenchHost, out: Path) -> str:
    """Write ``throughput.json`` and ``throughput.md`` and return the page."""
    document = {
        "command": " ".join(sys.argv), "host": host.model_dump(), "missing": missing,
        "races": [
            {"title": race.title, "shapes": attrs.asdict(race.shapes), "rounds": race.rounds} for race in found
        ],
    }  # fmt: skip
    lines = host_lines(host, missing, " ".join(sys.argv))
    for race in found:
        if race.rounds:
            lines += ["", f"## {race.title}", "", *race.page(race)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "throughput.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(lines) + "\n"
    (out / "throughput.md").write_text(text, encoding="utf-8")
    return text


def main() -> None:
    """Let everybody take turns; after each round the pages hold what was measured so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", action="append", choices=("town", *GAMES), help="all where none is named")
    parser.add_argument("--schedule", type=Path, default=ROOT / "schedules" / "small_town.yaml", help="of the town")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=10, help="of each contestant and round")
    parser.add_argument("--only", action="append", help="a contestant beside ours; may be given again")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "throughput")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    host, (found, missing), text = bench_host(), races(asked), ""
    for race in found:
        for number in range(asked.rounds):
            race.turn(number, asked.iterations)
            text = written(found, missing, host, asked.out)
    sys.stdout.write("\n" + text)


if __name__ == "__main__":
    main()

"""How the cost of a sample and the memory grow with each size: ``python tests/benchmarks/growth.py --out DIR``.

Each point is `townlet bench ppo` in a process of its own, with one size changed and all others those of small_town.
Costs are nanoseconds of processor time, all threads together, which other programs hardly move; for worker processes
they are those of the clock, since a process does not count another's. The points are in ``DIR/growth.jsonl``; what is
there is not run again. About ten minutes on two idle cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen
from ledger import Ledger, Row

from townlet.dto.codec import structure
from townlet.policy.training.bench_host import BenchHost

HERE = Path(__file__).parent
TOWN = "{id: town, scenario: small_town, worlds: 64}"
SCHEDULE = """
schedule: townlet/v1
name: growth
seed: 1
environment: %s
teacher: %s
registry: {name: growth, champion: champion, scope: run}
initial: ppo
states:
  ppo:
    strategy: ppo
    with: {start_from: fresh, num_steps: 48, update_epochs: 2, minibatch_size: 4096, max_steps: 480}
    next: [{to: done}]
"""


@frozen
class Axis:
    """One size and the values that it is given."""

    name: str
    values: tuple[int, ...]
    override: str
    """What `--set` changes, with {} where the value stands."""
    environment: str = TOWN
    teacher: str = "scripted"
    allowed: str = ""
    """A module that the schedule may import."""
    clock: str = "processor"
    """Whose seconds count."""


NOISE = "{id: 'python:sized_environments:noise', with: {features: 184}, worlds: 512}"
AGENTS = "{id: 'python:sized_environments:town', with: {agents: 8}, worlds: 64}"
LANDER = "{id: 'gymnasium:LunarLander-v3', worlds: 64}"
AXES = (
    Axis("minibatch", (256, 512, 1024, 2048, 4096, 8192, 24576), "states.ppo.with.minibatch_size={}"),
    Axis("width", (16, 32, 64, 128, 256, 512), "states.ppo.with.hidden_sizes=[{0}, {0}]"),
    Axis(
        "features", (8, 32, 92, 184, 368, 736, 1472), "environment.with.features={}", environment=NOISE, teacher="none",
        allowed="sized_environments",
    ),
    Axis("worlds", (1, 4, 16, 64, 256, 1024), "environment.worlds={}"),
    Axis(
        "agents", (1, 2, 4, 8, 16, 32, 64), "environment.with.agents={}", environment=AGENTS,
        allowed="sized_environments",
    ),
    Axis("workers", (0, 1, 2), "environment.workers={}", environment=LANDER, teacher="descend", clock="clock"),
)  # fmt: skip
PARTS = ("environment", "acting", "update")
TITLES = {
    "minibatch": "samples of a minibatch", "width": "width of both hidden layers",
    "features": "features of noise, 512 × 1 agents", "worlds": "worlds of 8 agents",
    "agents": "agents of each of 64 worlds", "workers": "workers of LunarLander, by the clock",
}  # fmt: skip


def measured(axis: Axis, value: int, seconds: float) -> Row:
    """Run one point; return what `townlet bench ppo --json` says."""
    with tempfile.TemporaryDirectory() as folder:
        schedule = Path(folder) / "growth.yaml"
        schedule.write_text(SCHEDULE % (axis.environment, axis.teacher), encoding="utf-8")
        command = [sys.executable, "-m", "townlet", "bench", "ppo", str(schedule), "--seconds", str(seconds)]
        command += ["--set", axis.override.format(value), "--json"]
        command += ["--allow-import", axis.allowed] if axis.allowed else []
        paths = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH", ""))))
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths}
        )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return dict(json.loads(done.stdout))


def costs(row: Row, clock: str) -> dict[str, float]:
    """Return the nanoseconds of an agent-step, part by part."""
    speed = row[clock]
    return {part: 1e9 * speed[part] / speed["samples"] for part in PARTS}


def grouped(rows: Sequence[Row]) -> Iterator[tuple[Axis, list[Row]]]:
    """Yield each axis with its points, by value."""
    for axis in AXES:
        found = [row for row in rows if row["key"]["axis"] == axis.name]
        if found:
            yield axis, sorted(found, key=lambda row: row["key"]["value"])


def page(rows: Sequence[Row]) -> str:
    """Return a table for each axis."""
    lines = []
    for host in dict.fromkeys(str(structure(row["host"], BenchHost)) for row in rows):
        lines += [host, ""]
    for axis, found in grouped(rows):
        totals = [sum(costs(row, axis.clock).values()) for row in found]
        lines += [
            f"## {axis.name}: {TITLES[axis.name]}", "",
            "| value | environment, ns | acting, ns | update, ns | together, ns | ÷ the cheapest | products | MiB |",
            "|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        for row, total in zip(found, totals, strict=True):
            parts = " | ".join(f"{cost:,.0f}" for cost in costs(row, axis.clock).values())
            memory = "" if row["peak_memory"] is None else f"{row['peak_memory'] / 2**20:,.0f}"
            lines.append(
                f"| {row['key']['value']:,} | {parts} | {total:,.0f} | {total / min(totals):.2f} | "
                f"{row[axis.clock]['products']:.0%} | {memory} |"
            )
        lines.append("")
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw cost and memory against each size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    axes = list(grouped(rows))
    figure, panels = plt.subplots(2, len(axes), figsize=(3.2 * len(axes), 6), constrained_layout=True, squeeze=False)
    for (axis, found), (above, below) in zip(axes, panels.T, strict=True):
        values = [row["key"]["value"] for row in found]
        each = [costs(row, axis.clock) for row in found]
        for part in PARTS:
            above.plot(values, [cost[part] / 1000 for cost in each], "o-", markersize=3, label=part)
        above.plot(values, [sum(cost.values()) / 1000 for cost in each], "k.--", linewidth=1, label="together")
        below.plot(values, [row["peak_memory"] / 2**20 for row in found], "o-", color="C3", markersize=3)
        above.set(title=axis.name, ylim=(0, None))
        below.set(xlabel=TITLES[axis.name], ylim=(0, None))
        if axis.name != "workers":
            above.set_xscale("log", base=2)
            below.set_xscale("log", base=2)
        for panel in (above, below):
            panel.set_xticks(values, [str(value) for value in values], fontsize=7, rotation=45)
            panel.minorticks_off()
            panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("µs of processor time a sample")
    panels[1][0].set_ylabel("peak memory, MiB")
    panels[0][0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Measure what is not written down yet; write ``growth.md`` and ``growth.png``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=4.0, help="of measurement for each point")
    parser.add_argument("--axis", action="append", choices=[axis.name for axis in AXES], help="all where none is named")
    asked = parser.parse_args()
    ledger = Ledger(asked.out / "growth.jsonl")
    for axis in AXES:
        for value in axis.values if asked.axis is None or axis.name in asked.axis else ():
            key = {"axis": axis.name, "value": value, "seconds": asked.seconds}
            if not ledger.holds(key):
                row = measured(axis, value, asked.seconds)
                ledger.append(key, row)
                together = sum(costs(row, axis.clock).values())
                sys.stdout.write(f"{axis.name} {value}: {together:,.0f} ns a sample\n")
                sys.stdout.flush()
    rows = ledger.rows()
    (asked.out / "growth.md").write_text(page(rows) + "\n", encoding="utf-8")
    plot(rows, asked.out / "growth.png")
    sys.stdout.write("\n" + page(rows) + "\n")


if __name__ == "__main__":
    main()

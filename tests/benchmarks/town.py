"""The town's speed beside its bars: ``python tests/benchmarks/town.py --rounds 5``, two minutes.

`townlet.env.bench_town` measures; here are the bars, and the table of docs/benchmarks/town.md. Figures by the clock
mean something on a quiet machine only; those by processor time count the seconds of all threads, which other programs
move less.
"""

import argparse
import sys
from collections.abc import Iterable

from townlet.env.bench_town import Speed, TownBench, bench
from townlet.policy.training.bench_host import bench_host

WORLDS, THREADS = (1, 64, 1024, 16_384), (1, 2)
ONE_WORLD, MANY_WORLDS, TWO_THREADS = 0.4e6, 3e6, 0.95
"""The least agent-steps a second of one world through `step`, and of 64 worlds and more observed; and two threads as a
multiple of one, less what two measurements of the same differ by."""


def bar(speed: Speed) -> tuple[float, float] | None:
    """Return what is asked of a measurement and what was measured; None where nothing is."""
    if speed.threads > 1:
        return TWO_THREADS, speed.of_one
    if speed.worlds == 1:
        return (ONE_WORLD, speed.agent_steps) if speed.part == "step" else None
    return (MANY_WORLDS, speed.agent_steps) if speed.part == "observed" else None


def words(speed: Speed) -> str:
    """Return the bar of a measurement in words."""
    asked = bar(speed)
    if asked is None:
        return ""
    least, measured = asked
    wanted = f"{least:.2f} × one thread" if speed.threads > 1 else f"{least / 1e6:.1f} M"
    return f"{wanted}: {'met' if measured >= least else 'missed'}"


def rows(speeds: Iterable[Speed]) -> list[str]:
    """Return a row of Markdown for each measurement."""
    head = "| worlds | threads | part | M agent-steps/s | by processor time | two threads ÷ one | bar |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for speed in speeds:
        gain = f"{speed.of_one:.2f}" if speed.threads > 1 else ""
        figures = f"{speed.agent_steps / 1e6:.2f} | {speed.agent_steps_processor / 1e6:.2f}"
        lines.append(f"| {speed.worlds:,} | {speed.threads} | {speed.part} | {figures} | {gain} | {words(speed)} |")
    return lines


def page(result: TownBench, rounds: int) -> str:
    """Return what was measured, on what, as Markdown."""
    command = f"`python tests/benchmarks/town.py --rounds {rounds}`"
    start = "compiled" if result.compiled else "from the cache"
    facts = (
        f"{bench_host()}. First decision after {result.first_call:.1f} s ({start}); two threads of plain hashing are "
        f"worth {result.plain:.2f} of one."
    )
    return "\n".join([command, "", facts, "", *rows(result.speeds), ""])


def main() -> None:
    """Measure `small_town` at one tick a decision, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worlds", type=int, nargs="+", default=WORLDS)
    arguments = parser.parse_args()
    result = bench(worlds=arguments.worlds, agents=(8,), ticks=(1,), threads=THREADS, rounds=arguments.rounds)
    sys.stdout.write(page(result, arguments.rounds))


if __name__ == "__main__":
    main()

"""Figures of contestants as Markdown: ratios by both clocks, and where our time goes."""

from collections.abc import Mapping
from statistics import median

from contestants import Figures

from townlet.policy.training.bench_host import BenchHost
from townlet.policy.training.bench_products import PPOShapes

__all__ = ["host_lines", "learners_table", "parts_lines", "players_table", "ratio", "speed"]

Rounds = Mapping[str, list[Figures]]
CLOCKS = {"seconds": "", "processor": "_processor"}
"""The key of the seconds, and the end of the names of their parts."""


def speed(figures: Figures, clock: str = "seconds") -> float:
    """Return agent-steps per second of a clock."""
    return figures["agent_steps"] / figures[clock]


def ratio(rounds: Rounds, of: str, to: str, clock: str = "seconds") -> float:
    """Return the median, over the rounds that both took part in, of the ratio of two speeds."""
    pairs = zip(rounds[of], rounds[to], strict=False)
    return median(speed(a, clock) / speed(b, clock) for a, b in pairs)


def host_lines(host: BenchHost, missing: list[str], command: str) -> list[str]:
    """Return what was measured on, what was left out, and the command."""
    return [f"`{command}`", "", f"{host}. Left out: {'; '.join(missing) or 'nothing'}."]


def learners_table(rounds: Rounds) -> list[str]:
    """Return a row for each learner: its speed, and ours as a multiple of it."""
    lines = [
        "| contestant | samples/s, median | least … most | ours ÷ it | by processor time |",
        "|---|---|---|---|---|",
    ]
    for name, found in rounds.items():
        speeds = [speed(each) for each in found]
        against = " | "
        if name not in {"ours", "cloning"}:
            against = " | ".join(f"{ratio(rounds, 'ours', name, clock):.2f}" for clock in CLOCKS)
        lines.append(f"| {name} | {median(speeds):,.0f} | {min(speeds):,.0f} … {max(speeds):,.0f} | {against} |")
    return lines


def players_table(rounds: Rounds) -> list[str]:
    """Return a row for each way to play: its speed, and its time as a multiple of the bare loop's, the first."""
    first = next(iter(rounds))
    lines = [
        "| contestant | decisions/s, median | least … most | its time ÷ the loop's | by processor time |",
        "|---|---|---|---|---|",
    ]
    for name, found in rounds.items():
        speeds = [speed(each) for each in found]
        against = " | ".join(f"{ratio(rounds, first, name, clock):.2f}" for clock in CLOCKS)
        lines.append(f"| {name} | {median(speeds):,.0f} | {min(speeds):,.0f} … {max(speeds):,.0f} | {against} |")
    return lines


def parts_lines(rounds: Rounds, shapes: PPOShapes, threads: int) -> list[str]:
    """Return where our time goes, what its products would take alone, and its arithmetic beside a large product."""
    found, lines = rounds["ours"], []
    for clock, end in CLOCKS.items():
        parts = {
            part: median(each[part + end] / each[clock] for each in found)
            for part in ("environment", "acting", "update", "rest", "products")
        }
        gflops = [speed(each, clock) * shapes.flops_per_sample * 1e-9 for each in found]
        large = [each["sgemm" + end] for each in found]
        share = median(own / whole for own, whole in zip(gflops, large, strict=True))
        words = f"on {threads} threads" if clock == "seconds" else "by one thread"
        lines.append(
            f"Ours by {'the clock' if clock == 'seconds' else 'processor time'}: environment "
            f"{parts['environment']:.0%}, acting {parts['acting']:.0%}, update {parts['update']:.0%}, the rest "
            f"{parts['rest']:.0%}; its products, each computed in the fastest way found, would take "
            f"{parts['products']:.0%}. It computes {median(gflops):.1f} GFLOP/s of products, {share:.0%} of the "
            f"{median(large):.0f} that one large product reaches {words}."
        )
        lines.append("")
    lines.append(
        f"One large product on one thread reaches {median(each['sgemm_of_one'] for each in found):.0f} GFLOP/s."
    )
    for name, other in rounds.items():
        if not name.startswith("one-jit"):
            continue
        alone = [
            own["agent_steps"] / (own["seconds"] - own["environment"]) / speed(jax)
            for own, jax in zip(found, other, strict=True)
        ]
        lines[-1] += f" Without the environment's seconds our learner is {median(alone):.2f} × the one-jit learner."
    return lines

"""The report of a learning benchmark: Markdown tables and PNG plots from the rows of its ledger."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from aggregates import Interval, interquartile, of_groups
from arms import ARMS
from ledger import Row

from townlet.estimate import iqm, probability_of_improvement

__all__ = ["dip", "safe_after", "write_report"]

RETURN = "return_per_agent_day"
KPIS = (RETURN, "deaths", "attendance", "late_starts", "conflicts", "queue_intensity", "worst_agent_return")


def first_visit(row: Row) -> list[Row]:
    """Return the looks of the first round."""
    return [check for check in row["checks"] if check["round"] == 0]


def safe_after(row: Row) -> tuple[float, bool]:
    """Return the agent-steps until two looks in a row found safe competence, and whether that was seen at all.

    The first of the two counts, and at least one look's distance; where it never was, the agent-steps that were seen.
    """
    checks = row["checks"]
    least = row["key"]["looks"]["every"]
    for one, other in pairwise(checks):
        if not one["unsafe"] and not other["unsafe"]:
            return float(max(one["agent_steps"], least)), True
    return float(max(checks[-1]["agent_steps"], least)), False


def returns_after(row: Row, bar: float) -> tuple[float, bool]:
    """Return the agent-steps until two looks in a row found the teacher's return, safe or not."""
    checks, least = row["checks"], row["key"]["looks"]["every"]
    for one, other in pairwise(checks):
        if min(one["metrics"][RETURN], other["metrics"][RETURN]) >= bar:
            return float(max(one["agent_steps"], least)), True
    return float(max(checks[-1]["agent_steps"], least)), False


def dip(row: Row, reference: Row) -> float:
    """Return how far the return fell below its start before `close`, as a share of planner − random."""
    checks = [check for check in first_visit(row) if check["agent_steps"] <= row["key"]["looks"]["close"]]
    worth = [check["metrics"][RETURN] for check in checks]
    return max(0.0, worth[0] - min(worth)) / (reference["planner"][RETURN] - reference["random"][RETURN])


def write_report(rows: Sequence[Row], out: Path) -> list[Path]:
    """Write one Markdown page and the plots of each scenario that is in the ledger, and return their paths."""
    written = []
    for scenario in dict.fromkeys(row["key"]["scenario"] for row in rows):
        here = [row for row in rows if row["key"]["scenario"] == scenario]
        references = [row for row in here if row["key"]["arm"] == "reference"]
        arms = {arm: [row for row in here if row["key"]["arm"] == arm] for arm in ARMS}
        arms = {arm: found for arm, found in arms.items() if found}
        if not references or not arms:
            continue
        page = out / f"{scenario}.md"
        page.write_text("\n".join(_page(scenario, arms, references[-1])) + "\n", encoding="utf-8")
        written += [page, *_plots(scenario, arms, references[-1], out)]
    return written


def _page(scenario: str, arms: Mapping[str, list[Row]], reference: Row) -> Iterable[str]:
    yield f"# Learning in {scenario}\n"
    worth = {name: reference[name][RETURN] for name in ("scripted", "planner", "random")}
    yield (
        "Return per agent-day over the episodes of the looks: "
        + ", ".join(f"{name} {value:.2f}" for name, value in worth.items())
        + ". Interquartile means over seeds with stratified bootstrap intervals at 95 %.\n"
    )
    yield from _arms_table(arms, reference)
    yield from _ratios_table(arms)
    yield from _final_table(arms)
    yield from _seeds_table(arms, reference)


def _arms_table(arms: Mapping[str, list[Row]], reference: Row) -> Iterable[str]:
    yield "| arm | seeds | agent-steps to safe competence | never safe | agent-steps to the teacher's return | never |"\
          " dip | promoted | seconds |"  # fmt: skip
    yield "|---|---|---|---|---|---|---|---|---|"
    for arm, rows in arms.items():
        safe = [safe_after(row) for row in rows]
        mere = [returns_after(row, reference["scripted"][RETURN]) for row in rows]
        cells = (
            arm, len(rows), _over(rows, [steps for steps, _ in safe]), sum(not seen for _, seen in safe),
            _over(rows, [steps for steps, _ in mere]), sum(not seen for _, seen in mere),
            _over(rows, [dip(row, reference) for row in rows]),
            f"{sum(row['promoted'] for row in rows)} of {len(rows)}", _over(rows, [row["seconds"] for row in rows]),
        )  # fmt: skip
        yield _line(cells)
    yield ""


def _ratios_table(arms: Mapping[str, list[Row]]) -> Iterable[str]:
    if not {"recipe", "scratch"} <= set(arms):
        return
    yield "| scratch ÷ recipe, agent-steps to safe competence | ratio |"
    yield "|---|---|"
    for name, more in (("without capture", 0), ("with capture", 1)):
        groups = [
            _by_seed(rows, [safe_after(row)[0] + more * row["captured"] for row in rows])
            for rows in (arms["scratch"], arms["recipe"])
        ]
        ratio = of_groups(lambda drawn: iqm(drawn[0]) / iqm(drawn[1]), groups)
        censored = any(not safe_after(row)[1] for row in arms["scratch"])
        yield _line((name, f"{'at least ' if censored else ''}{ratio}"))
    yield ""


def _final_table(arms: Mapping[str, list[Row]]) -> Iterable[str]:
    if not any(row["final"] for rows in arms.values() for row in rows):
        return
    yield "| arm | against | " + " | ".join(KPIS) + " | seeds above in return, at 95 % | P(improvement) over this arm |"
    yield "|---|---|" + "---|" * (len(KPIS) + 2)
    for arm, rows in arms.items():
        for script in ("scripted", "planner"):
            found = [
                {m["metric"]: m for m in row["final"][script]["metrics"]} for row in rows if script in row["final"]
            ]
            if not found:
                continue
            cells: list[Any] = [arm, script]
            for kpi in KPIS:
                known = [one[kpi]["difference"] for one in found if kpi in one and one[kpi]["difference"] is not None]
                cells.append(interquartile({"": known}) if known else "–")
            above = sum((one[RETURN]["low"] or 0.0) > 0 for one in found)
            mine = [one[RETURN]["candidate"] for one in found]
            better = _improvement(arms["recipe"], mine, script) if arm != "recipe" and "recipe" in arms else "–"
            yield _line((*cells, f"{above} of {len(found)}", better))
    yield ""


def _improvement(recipe: list[Row], theirs: list[float], script: str) -> Interval | str:
    """Return the chance that a seed of the recipe ends with a higher return than one of another arm."""
    ours = [
        metric["candidate"]
        for row in recipe if script in row["final"]
        for metric in row["final"][script]["metrics"] if metric["metric"] == RETURN
    ]  # fmt: skip
    if not ours:
        return "–"
    return of_groups(lambda drawn: probability_of_improvement(drawn[0], drawn[1]), ({"": ours}, {"": theirs}))


def _seeds_table(arms: Mapping[str, list[Row]], reference: Row) -> Iterable[str]:
    yield "| arm | seed | promoted | rounds | trained | to safe competence | dip | seconds | looking | ended |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for arm, rows in arms.items():
        for row in sorted(rows, key=lambda row: row["key"]["seed"]):
            steps, seen = safe_after(row)
            cells = (
                arm, row["key"]["seed"], "yes" if row["promoted"] else "no", row["rounds"], f"{row['trained']:,}",
                f"{'' if seen else 'not within '}{steps:,.0f}", f"{dip(row, reference):.3f}", f"{row['seconds']:.0f}",
                f"{row['seconds_looking']:.0f}", f"{row['state']}: {row['reason']}",
            )  # fmt: skip
            yield _line(cells)


def _line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _by_seed(rows: Sequence[Row], values: Sequence[float]) -> dict[str, list[float]]:
    strata: dict[str, list[float]] = defaultdict(list)
    for row, value in zip(rows, values, strict=True):
        strata[row["key"]["scenario"]].append(value)
    return strata


def _over(rows: Sequence[Row], values: Sequence[float]) -> Interval:
    return interquartile(_by_seed(rows, values))


def _plots(scenario: str, arms: Mapping[str, list[Row]], reference: Row, out: Path) -> list[Path]:
    """Draw each KPI against the agent-steps of round 1, and each seed's way to safe competence."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(16, 7), constrained_layout=True)
    for kpi, axis in zip(KPIS, axes.flat, strict=False):
        for index, (arm, rows) in enumerate(arms.items()):
            points = _curve(rows, kpi)
            steps = [at / 1e6 for at in points]
            axis.plot(steps, [p.value for p in points.values()], color=f"C{index}", label=arm)
            low, high = [p.low for p in points.values()], [p.high for p in points.values()]
            axis.fill_between(steps, low, high, color=f"C{index}", alpha=0.2, linewidth=0)
        for name, style in (("scripted", "--"), ("planner", ":")):
            if reference[name][kpi] is not None:
                axis.axhline(reference[name][kpi], color="grey", linestyle=style, label=name)
        axis.set(title=kpi, xlabel="agent-steps of ppo (M)")
    last = axes.flat[len(KPIS)]
    for index, rows in enumerate(arms.values()):
        for row in rows:
            steps, seen = safe_after(row)
            last.plot(steps / 1e6, index, "o" if seen else "x", color=f"C{index}")
    last.set(title="safe competence (×: not seen)", xlabel="agent-steps of ppo (M)")
    last.set_yticks(range(len(arms)), list(arms))
    axes.flat[0].legend(fontsize="small")
    figure.suptitle(f"{scenario}: interquartile mean over seeds, 95 % bootstrap interval")
    path = out / f"{scenario}.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return [path]


def _curve(rows: Sequence[Row], kpi: str) -> dict[int, Interval]:
    """Return a KPI over seeds at each look of round 1 that at least half of them reached."""
    at: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        for check in first_visit(row):
            if check["metrics"].get(kpi) is not None:
                at[check["agent_steps"]].append(check["metrics"][kpi])
    return {steps: interquartile({"": values}) for steps, values in sorted(at.items()) if 2 * len(values) >= len(rows)}

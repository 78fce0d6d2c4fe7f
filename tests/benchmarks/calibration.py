"""The KPI table of a scenario's scripts: ``python tests/benchmarks/calibration.py small_town quiet``.

64 paired worlds of 14 days (4 where nobody can eat), mean and 95 % interval over worlds, as rows for docs/LOG.md.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from townlet.dto.scenarios import scenario
from townlet.dto.town import DAY, KINDS
from townlet.world.batch import TownBatch
from townlet.world.kpis import metrics
from townlet.world.teachers import TEACHERS

WORLDS, SEED = 64, 7
COLUMNS = {
    "return_per_agent_day": 2,
    "deaths": 3,
    "attendance": 3,
    "late_starts": 3,
    "conflicts": 2,
    "queue_intensity": 2,
    "wait_ticks": 0,
    "self_sufficiency": 2,
    "escalation": 2,
    "chats": 1,
}


def _days(name: str) -> int:
    return 14 if "fridge" in scenario(name).objects else 4


def played(name: str, teacher: str) -> TownBatch:
    """Return the worlds of a scenario after their days under a script."""
    batch, script = TownBatch(scenario(name), worlds=WORLDS, seed=SEED, days=_days(name)), TEACHERS[teacher]()
    seen = batch.reset()
    for _ in range(_days(name) * DAY // batch.spec.ticks_per_decision):
        seen = batch.step(script.act(seen)).observations
    return batch


def _cell(sums: NDArray[np.float64], exposures: NDArray[np.float64], digits: int) -> str:
    values = sums[exposures > 0] / exposures[exposures > 0]
    if len(values) < 2:
        return "–"
    return f"{values.mean():.{digits}f} ± {1.96 * values.std(ddof=1) / np.sqrt(len(values)):.{digits}f}"


def row(name: str, teacher: str) -> str:
    """Return one line of the table."""
    batch = played(name, teacher)
    tallies, order = batch.tallies(), [metric.name for metric in metrics(batch.spec)]
    cells = [
        _cell(tallies.sums[order.index(column)], tallies.exposures[order.index(column)], digits)
        for column, digits in COLUMNS.items()
    ]
    busy, books = batch._state.objects["busy"].mean(0) / (_days(name) * DAY), batch._state.ledgers
    shares = {kind: [b for b, k in zip(busy, batch.spec.objects, strict=True) if k == kind] for kind in KINDS}
    used = " ".join(f"{kind} {np.mean(share):.2f}" for kind, share in shares.items() if share)
    earned, spent = books["wages"].sum(), books["spending"].sum()
    return "| " + " | ".join([name, teacher, *cells, f"{earned / spent:.2f}" if earned and spent else "–", used]) + " |"


if __name__ == "__main__":
    for asked in sys.argv[1:]:
        for who in ("scripted", "planner", "random"):
            sys.stdout.write(row(asked, who) + "\n")

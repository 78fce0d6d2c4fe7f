"""Run the shipped schedule `bc_only` with a teacher of your own, and resume the run from Python.

`python docs/examples/own_teacher.py [HOME]`: the run ends in hold: this teacher does one thing only, and
the guard `varied_actions` refuses to clone it. `mypy --strict` accepts the program.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import townlet


class FirstLegalAction:
    """Every agent takes the first action that its mask allows."""

    def act(self, observations: townlet.ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions [W, N]."""
        actions: NDArray[np.int64] = observations.action_mask.argmax(axis=2)
        return actions


def main(home: Path) -> None:
    """Run the schedule with this teacher, and print what happened."""
    teacher: townlet.Teacher = FirstLegalAction()
    try:
        summary: townlet.AnnealSummary = townlet.anneal("bc_only", teacher=teacher, home=home, seed=3)
        summary = townlet.resume(summary.path, teacher=teacher)  # nobody answered, so the run holds as before
    except townlet.TownletError as error:
        sys.exit(f"{error}")
    for stage in summary.stages:
        sys.stdout.write(f"{stage.state} → {stage.to}: {stage.result.duration:.1f} s\n")
    sys.stdout.write(f"{summary.state}: {summary.reason}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".townlet"))

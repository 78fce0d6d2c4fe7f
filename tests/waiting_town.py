"""The command line on a town that plays as many decisions as a file allows: the first word names the file."""

import sys
import time
from pathlib import Path
from typing import Any

from townlet.cli import run_command
from townlet.world.batch import TownBatch

__all__ = ["ALL", "allow"]

ALL = 1_000_000
"""More decisions than any test plays."""


def allow(file: Path, decisions: int) -> None:
    """Let the town play up to so many decisions."""
    staged = file.with_suffix(".new")
    staged.write_text(str(decisions), encoding="ascii")
    staged.replace(file)


if __name__ == "__main__":
    step, played, allowed = TownBatch.step, 0, Path(sys.argv[1])

    def wait_and_step(self: TownBatch, actions: Any) -> Any:
        """Wait until the file allows one more decision, and step."""
        global played  # noqa: PLW0603  (counts all towns of the process)
        while played >= int(allowed.read_text(encoding="ascii")):
            time.sleep(0.01)
        played += 1
        return step(self, actions)

    TownBatch.step = wait_and_step  # type: ignore[method-assign]
    sys.exit(run_command(sys.argv[2:]))

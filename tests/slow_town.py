"""The command line on a town that takes its time: the first word is how many seconds each decision takes."""

import sys
import time
from typing import Any

from townlet.cli import run_command
from townlet.world.batch import TownBatch

if __name__ == "__main__":
    step = TownBatch.step

    def slow(self: TownBatch, actions: Any) -> Any:
        """Wait, and step."""
        time.sleep(float(sys.argv[1]))
        return step(self, actions)

    TownBatch.step = slow  # type: ignore[method-assign]
    sys.exit(run_command(sys.argv[2:]))

"""What the clients' programs count, and the line that tells the driver: towns that count every action they are given.

A town counts an action as illegal where the mask that the client had been shown forbids it. The counts are one for the
process, because several clients copy the towns they are given.
"""

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.env.lane import TownLaneEnv
from townlet.env.parallel import TownParallelEnv

counts = {"actions": 0, "illegal": 0}


def count(actions: Any, masks: NDArray[Any]) -> None:
    """Count actions [K] under their masks [K, A]."""
    chosen = np.asarray(actions).reshape(-1)
    counts["actions"] += len(chosen)
    counts["illegal"] += int((np.asarray(masks)[np.arange(len(chosen)), chosen] == 0).sum())


def restart() -> dict[str, int]:
    """Return the counts so far, and count from nought again."""
    so_far = dict(counts)
    counts.update(actions=0, illegal=0)
    return so_far


def report(*, checker: str, updates: int | str) -> None:
    """Write the last line of a program: what the checker said, and the learner's updates or that there is none."""
    sys.stdout.write(f"{json.dumps({'checker': checker, 'updates': updates, **counts})}\n")


class CountingTown(TownParallelEnv):
    """A PettingZoo town that counts."""

    def step(self, actions: dict[str, Any]) -> Any:
        """Count the actions of agents that still play, and play."""
        acting = [agent for agent in actions if agent in self.agents]
        if acting:
            shown, infos = self._by_agent(self._town.observe())
            masks = infos if self._format == "flat" else shown
            count([actions[agent] for agent in acting], np.stack([masks[agent]["action_mask"] for agent in acting]))
        return super().step(actions)


class CountingLane(TownLaneEnv):
    """A Gymnasium lane that counts."""

    def step(self, action: Any) -> Any:
        """Count, and play."""
        count([action], self.action_masks()[None])
        return super().step(action)

"""TorchRL rolls out the town with a masked policy: its PettingZoo wrapper reads the mask from the observation."""

import sys

from torchrl.envs.libs.pettingzoo import PettingZooWrapper

from townlet.env import parallel_env


def main() -> None:
    """Play a day at random under the masks, and count actions that were not legal."""
    town = PettingZooWrapper(parallel_env(days=1), use_mask=True, done_on_any=False, group_map=None)
    rollout = town.rollout(200)
    count = illegal = 0
    for group in town.group_map:
        taken, legal, alive = (rollout[group][key] for key in ("action", "action_mask", "mask"))
        chosen = (
            legal.gather(-1, taken.unsqueeze(-1)).squeeze(-1)
            if taken.ndim < legal.ndim
            else (legal & taken.bool()).any(-1)
        )
        count += int(alive.sum())
        illegal += int((~chosen & alive).sum())
    sys.stdout.write(f"{count} actions, {illegal} illegal, no update\n")


if __name__ == "__main__":
    main()

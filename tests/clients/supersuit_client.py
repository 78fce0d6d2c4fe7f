"""SuperSuit's wrappers over the town's flat form: frames are stacked, agents become lanes, and masks stay in infos."""

import sys

import numpy as np
import supersuit

from townlet.env import parallel_env


def main() -> None:
    """Play a day through the wrappers, choosing by the masks, and count actions that were not legal."""
    town = parallel_env(days=1, observation_format="flat", black_death=True)
    stacked = supersuit.dtype_v0(supersuit.frame_stack_v1(town, 2), np.dtype("float32"))
    lanes = supersuit.pettingzoo_env_to_vec_env_v1(stacked)
    seen, infos = lanes.reset(seed=1)
    rng, illegal, count = np.random.default_rng(1), 0, 0
    for _ in range(240):
        masks = np.stack([info["action_mask"] for info in infos])
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
        illegal += int((masks[np.arange(len(actions)), actions] == 0).sum())
        count += len(actions)
        seen, _, _, _, infos = lanes.step(actions)
    sys.stdout.write(f"{count} actions, {illegal} illegal, observations {np.shape(seen)}\n")


if __name__ == "__main__":
    main()

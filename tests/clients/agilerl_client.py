"""AgileRL's PPO trains on the town's lanes, and its IPPO on the agents of a town that stay until the day ends."""

from typing import Any

import gymnasium
import numpy as np
import torch
from agilerl.algorithms import IPPO, PPO
from agilerl.rollouts import collect_rollouts
from agilerl.vector.dummy_vec_env import PzDummyVecEnv
from counting import CountingTown, count, report

NAME = "townlet.env.registration:Townlet/small_town-v0"
FIELDS = ("states", "actions", "log_probs", "rewards", "dones", "values")


class CountingLanes(gymnasium.vector.VectorWrapper):
    """Lanes that count the actions they are given under the masks they had shown."""

    def step(self, actions: Any) -> Any:
        """Count, and play."""
        count(actions, self.env.action_masks())
        return super().step(actions)


def main() -> None:
    """Train two updates of each."""
    np.random.seed(1)  # noqa: NPY002  (AgileRL draws with numpy's global generator)
    torch.manual_seed(1)
    lanes = CountingLanes(gymnasium.make_vec(NAME, num_envs=64, days=1))
    lanes.reset(seed=1)
    learner = PPO(
        lanes.single_observation_space, lanes.single_action_space, num_envs=64, learn_step=64 * 32, batch_size=256
    )
    for _ in range(2):
        collect_rollouts(learner, lanes)
        learner.learn()
    report(checker="has none", updates=f"2 of PPO, {train_agents()} of IPPO")


def train_agents() -> int:
    """Play a day in two halves and learn from each."""
    town = PzDummyVecEnv(CountingTown(days=1, observation_format="flat", black_death=True))
    learner = IPPO(
        [town.single_observation_space(agent) for agent in town.possible_agents],
        [town.single_action_space(agent) for agent in town.possible_agents],
        agent_ids=town.possible_agents,
        learn_step=119,
    )
    shown, infos = town.reset(seed=1)
    done = {agent: np.zeros(1) for agent in town.possible_agents}
    for _ in range(2):
        played: dict[str, Any] = {name: {agent: [] for agent in town.possible_agents} for name in FIELDS}
        for _ in range(119):
            # IPPO compares masks with None, which it can do for lists but not for arrays.
            lists = {agent: {"action_mask": info["action_mask"].tolist()} for agent, info in infos.items()}
            actions, log_probs, _, values = learner.get_action(obs=shown, infos=lists)
            before, was_done = shown, done
            shown, rewards, terminations, truncations, infos = town.step(actions)
            step = dict(zip(FIELDS, (before, actions, log_probs, rewards, was_done, values), strict=True))
            for name, by_agent in step.items():
                for agent in town.possible_agents:
                    played[name][agent].append(by_agent[agent])
            done = {agent: (terminations[agent] | truncations[agent]).astype(float) for agent in town.possible_agents}
        learner.learn((*(played[name] for name in FIELDS), shown, done))
    return 2


if __name__ == "__main__":
    main()

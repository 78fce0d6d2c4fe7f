"""Stable-Baselines3 and its contrib package train on the town, with masks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townlet.errors import BadInputError

pytest.importorskip("sb3_contrib", reason="sb3-contrib, Stable-Baselines3 or torch is not installed")
pytestmark = pytest.mark.torch
SETTINGS: dict[str, Any] = {"n_steps": 32, "batch_size": 256, "n_epochs": 1, "device": "cpu", "seed": 1}


class _Counting:
    """Counts the actions that reach a town and are not legal there."""

    def __init__(self, town: Any) -> None:
        self.town, self.actions, self.illegal = town, 0, 0
        take = town.step_async

        def step_async(actions: np.ndarray) -> None:
            self.actions += actions.size
            self.illegal += int((~town.action_masks()[np.arange(actions.size), actions]).sum())
            take(actions)

        town.step_async = step_async


@pytest.mark.parametrize("wrapped", ["bare", "monitor", "normalize", "both"])
def test_maskable_ppo_trains_with_masks(wrapped: str) -> None:
    """No illegal action reaches the town in some updates, through SB3's wrappers too, nor afterwards in prediction."""
    from sb3_contrib import MaskablePPO
    from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
    from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

    from townlet.env.sb3 import TownVecEnv

    town = TownVecEnv(num_envs=64, days=1)
    count, env = _Counting(town), town
    if wrapped in {"monitor", "both"}:
        env = VecMonitor(env)
    if wrapped in {"normalize", "both"}:
        env = VecNormalize(env)
    assert is_masking_supported(env)
    learner = MaskablePPO("MlpPolicy", env, **SETTINGS)
    learner.learn(3 * 64 * 32)
    assert 3 * 64 * 32 == count.actions == learner.num_timesteps
    assert 0 == count.illegal
    masks = get_action_masks(env)
    assert (64, 14) == masks.shape
    actions, _ = learner.predict(env.reset(), action_masks=get_action_masks(env))
    env.step(actions)
    assert 0 == count.illegal


def test_maskable_ppo_evaluates_and_trains_on_single_lanes(tmp_path: Path) -> None:
    """The maskable callback evaluates on the town, and SB3's own vectorisation takes single lanes."""
    from sb3_contrib import MaskablePPO
    from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback
    from sb3_contrib.common.maskable.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

    from townlet.env.lane import TownLaneEnv
    from townlet.env.sb3 import TownVecEnv

    MaskablePPO("MlpPolicy", DummyVecEnv([lambda: TownLaneEnv(days=1) for _ in range(2)]), **SETTINGS).learn(64)
    learner = MaskablePPO("MlpPolicy", VecMonitor(TownVecEnv(num_envs=8, days=1)), **SETTINGS)
    evaluation = VecMonitor(TownVecEnv(num_envs=8, days=1))
    callback = MaskableEvalCallback(evaluation, eval_freq=32, n_eval_episodes=8, log_path=str(tmp_path), verbose=0)
    learner.learn(2 * 8 * 32, callback=callback)
    assert callback.evaluations_timesteps
    mean, _ = evaluate_policy(learner, evaluation, n_eval_episodes=8, use_masking=True)
    assert np.isfinite(mean)


def test_lanes_for_sb3_answer_by_name() -> None:
    """Each lane has its attributes, mask and picture; what a lane does not have is an AttributeError, or refused."""
    from townlet.env.sb3 import TownVecEnv

    town = TownVecEnv(num_envs=16, days=1, render_mode="rgb_array")
    town.seed(3)
    first = town.reset()
    assert town.render_mode == "rgb_array"
    assert {(288, 288, 3)} == {image.shape for image in town.get_images()}
    assert 3 == town.render().ndim
    row = town.get_attr("action_masks", indices=9)[0]()
    assert town.action_masks()[9].tolist() == row.tolist() == town.env_method("action_masks", indices=[9])[0].tolist()
    assert town.has_attr("action_masks")
    assert not town.has_attr("gravity")
    with pytest.raises(BadInputError, match="no attribute 'gravity'"):
        town.set_attr("gravity", 1)
    town.seed(3)
    assert first.tobytes() == town.reset().tobytes() != town.reset().tobytes()
    with pytest.raises(BadInputError, match="render_mode"):
        TownVecEnv(num_envs=8, render_mode="rgb")

"""What takes part on an environment of Gymnasium: learners, and what plays it without learning.

Every learner gets 64 worlds in one process, 128 decisions an iteration, 2 passes, minibatches of 4,096 and networks
of [64, 64], actor and critic apart. Libraries are imported inside, so that those that are missing can be named.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from contestants import Contestant, Figures, timed
from numpy.typing import NDArray
from one_jit import one_jit
from ours import WARM, ours

from townlet.dto.schedule import EnvironmentSpec, Plan
from townlet.env.scripts import SCRIPTS
from townlet.imports import Imports
from townlet.policy.model.initialise import fresh_weights
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.training.bench_host import clocks
from townlet.policy.training.bench_ppo import ppo_options, ppo_shapes
from townlet.policy.training.bench_products import PPOShapes
from townlet.policy.training.launch import ScheduleSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import Environment, provider

__all__ = ["GymnasiumGame"]

WORLDS, NUM_STEPS, EPOCHS, MINIBATCH, HIDDEN, RATE = 64, 128, 2, 4096, (64, 64), 1e-3
ROWS = WORLDS * NUM_STEPS
GAMMA, LAMBDA, ENTROPY = 0.99, 0.95, 0.01
SCHEDULE = """
schedule: townlet/v1
name: throughput
seed: 1
environment: {{id: "gymnasium:{id}", worlds: {worlds}{limit}}}
teacher: {teacher}
registry: {{name: throughput, champion: champion, scope: run}}
initial: ppo
states:
  ppo:
    strategy: ppo
    with: {{start_from: fresh, iterations: {iterations}, num_steps: {num_steps}, update_epochs: {epochs},
      minibatch_size: {minibatch}, learning_rate: {rate}, gamma: {gamma}, target_kl: 1.0e+9, checkpoint_every: 0}}
    next: [{{to: done}}]
"""


@frozen
class GymnasiumGame:
    """One environment of Gymnasium."""

    name: str
    """Its name in Gymnasium's registry, such as ``CartPole-v1``."""
    package: str = ""
    """The package that registers it, where that is not Gymnasium."""
    libraries: tuple[str, ...] = ()
    """Further libraries that it needs."""
    max_steps: int | None = None
    """Decisions after which an episode is cut, where Gymnasium does not cut it."""

    @property
    def id(self) -> str:
        """The id that imports the package."""
        return f"{self.package}:{self.name}" if self.package else self.name

    @property
    def missing(self) -> tuple[str, ...]:
        """The libraries that it needs and that are not installed."""
        needs = ("gymnasium", *filter(None, (self.package,)), *self.libraries)
        return tuple(library for library in needs if not find_spec(library))

    @property
    def allowed(self) -> tuple[str, ...]:
        """The modules that a schedule must be allowed to import."""
        return (self.package,) if self.package else ()

    def schedule(self, iterations: int) -> ScheduleSource:
        """Return a schedule that only trains, from fresh weights."""
        (teacher,) = SCRIPTS[self.name]
        text = SCHEDULE.format(
            id=self.id, worlds=WORLDS, teacher=teacher, iterations=iterations, num_steps=NUM_STEPS, epochs=EPOCHS,
            minibatch=MINIBATCH, rate=RATE, gamma=GAMMA,
            limit="" if self.max_steps is None else f", max_steps: {self.max_steps}",
        )  # fmt: skip
        return ScheduleSource(text=text.encode(), name="throughput", folder=Path(), file=None)

    def plan(self) -> Plan:
        """Return the schedule proven sound."""
        return PolicyTrainingOrchestrator(self.schedule(1), imports=Imports(self.allowed)).plan()

    def shapes(self) -> PPOShapes:
        """Return the sizes of an iteration."""
        plan = self.plan()
        place = plan.schedule.environment
        description = provider(place, Imports(self.allowed)).describe(place.scenario)
        return ppo_shapes(place, description, ppo_options(plan))

    def learners(self) -> dict[str, Contestant]:
        """Return who learns, ours first; the libraries that are not installed are left out."""
        shapes = self.shapes()
        contestants: dict[str, Contestant] = {"ours": ours(self.schedule, shapes, self.allowed)}
        contestants["one-file PPO, SyncVectorEnv"] = self._one_file
        if find_spec("stable_baselines3"):
            contestants["SB3 PPO, DummyVecEnv"] = self._stable_baselines
        if find_spec("jax") and self._space().shape == ():
            contestants["one-jit JAX learner (no environment)"] = lambda iterations: one_jit(shapes, iterations)
        return contestants

    def players(self) -> dict[str, Contestant]:
        """Return who plays without learning, the bare loop first; an iteration is that of a learner."""
        return {
            "loop of env.step alone": self._only_step, "our worlds": self._adapter, "our rollout": self._rollout,
        }  # fmt: skip

    def _make(self) -> Any:
        import gymnasium

        return gymnasium.make(self.id)

    def _space(self) -> Any:
        return self._make().action_space

    def _stable_baselines(self, iterations: int) -> Figures:
        from stable_baselines3 import PPO
        from stable_baselines3.common.callbacks import BaseCallback
        from stable_baselines3.common.env_util import make_vec_env
        from torch import nn

        moments: list[NDArray[np.float64]] = []

        class Starts(BaseCallback):  # type: ignore[misc]
            """Notes when a rollout begins and when all is done."""

            def _on_rollout_start(self) -> None:
                moments.append(clocks())

            def _on_training_end(self) -> None:
                moments.append(clocks())

            def _on_step(self) -> bool:
                return True

        learner = PPO(
            "MlpPolicy", make_vec_env(self._make, WORLDS, seed=1), n_steps=NUM_STEPS, batch_size=MINIBATCH,
            n_epochs=EPOCHS, gamma=GAMMA, gae_lambda=LAMBDA, ent_coef=ENTROPY, learning_rate=RATE, seed=1,
            device="cpu", policy_kwargs={"activation_fn": nn.ReLU, "net_arch": {"pi": [*HIDDEN], "vf": [*HIDDEN]}},
        )  # fmt: skip
        learner.learn(ROWS * (iterations + WARM), callback=Starts())
        return timed(ROWS * iterations, moments[WARM], moments[-1])

    def _one_file(self, iterations: int) -> Figures:
        from one_file import one_file

        return one_file(self.id, iterations)

    def _worlds(self) -> Environment:
        spec = EnvironmentSpec(id=f"gymnasium:{self.id}", worlds=WORLDS, max_steps=self.max_steps)
        made = provider(spec, Imports(self.allowed))
        length = made.describe("default").episode_length(None)
        return made.make("default", worlds=WORLDS, seed=1, max_steps=length)

    def _actions(self) -> tuple[Any, Any]:
        """Return two actions that are played in turns: the first two, or a quarter and three quarters of the bounds."""
        space = self._space()
        if space.shape == ():
            return 0, 1
        return tuple((space.low + share * (space.high - space.low)).astype(space.dtype) for share in (0.25, 0.75))

    def _adapter(self, iterations: int) -> Figures:
        worlds = self._worlds()
        worlds.reset()
        spec = worlds.description.actions
        turns = [np.tile(np.asarray(each, spec.dtype).ravel(), (WORLDS, 1, 1)) for each in self._actions()]
        return _played(lambda t: _step(worlds, turns[t % 2]), iterations)

    def _only_step(self, iterations: int) -> Figures:
        worlds, turns = [self._make() for _ in range(WORLDS)], self._actions()
        for i, world in enumerate(worlds):
            world.reset(seed=i)

        def play(t: int) -> None:
            action = turns[t % 2]
            for i, world in enumerate(worlds):
                _, _, terminated, truncated, _ = world.step(action)
                if terminated or truncated:
                    world.reset(seed=i)

        return _played(play, iterations)

    def _rollout(self, iterations: int) -> Figures:
        worlds = self._worlds()
        rollout = Rollout(worlds, NUM_STEPS, worlds.description.episode_length(None))
        weights = fresh_weights(worlds.description, HIDDEN, np.random.default_rng(1))
        rollout.collect(weights)
        began = clocks()
        for _ in range(iterations):
            rollout.collect(weights)
        return timed(ROWS * iterations, began)


def _step(worlds: Environment, actions: NDArray[Any]) -> None:
    step = worlds.step(actions)
    if step.over.any():
        worlds.reset(step.over)


def _played(play: Callable[[int], None], iterations: int) -> Figures:
    """Return the speed of as many decisions as so many iterations have; a few more come first."""
    for t in range(NUM_STEPS // 8):
        play(t)
    began = clocks()
    for t in range(NUM_STEPS * iterations):
        play(t)
    return timed(ROWS * iterations, began)

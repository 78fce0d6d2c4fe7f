"""Many towns as a Gymnasium `VectorEnv`: every agent slot of every world is a lane."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.codec import did_you_mean
from townlet.dto.scenarios import scenario as preset
from townlet.env.arguments import RENDER_MODES, checked_render_mode, draw_seed, whole_seed
from townlet.env.libraries import needed
from townlet.env.registration import spec_of_length
from townlet.env.rendering import render
from townlet.env.town import TownEnvironment
from townlet.errors import BadInputError
from townlet.world.features import BOUND

with needed("gymnasium", extra="env"):
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space

__all__ = ["TownVectorEnv"]

Lanes = NDArray[Any]


class TownVectorEnv(VectorEnv[Lanes, Lanes, Lanes]):
    """Lane w·N + i is agent slot i of world w; observations are features, `infos` holds ``action_mask`` and ``alive``.

    A lane terminates when its agent dies; until the slot lives again it shows zeros, its only legal action is 0 and its
    reward 0. A world whose days are over truncates all its lanes, and begins its next episode as `autoreset_mode` says:

    - ``SAME_STEP``: in the same step; what was seen last stands in ``infos["final_obs"]``, the lanes it is meant for in
      ``infos["_final_obs"]``;
    - ``NEXT_STEP``: in the next step, whose actions for these lanes are ignored and whose rewards are 0;
    - ``DISABLED``: when `reset` is called with ``options={"reset_mask": …}``; until then it stays truncated.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  (Gymnasium's wrappers read it from the instance, which has its own)
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": list(RENDER_MODES),
        "render_fps": 10,
    }

    def __init__(
        self,
        *,
        num_envs: int = 512,
        scenario: str = "small_town",
        days: int = 14,
        render_mode: str | None = None,
        autoreset_mode: Any = AutoresetMode.SAME_STEP,
        max_episode_steps: int | None = None,
    ) -> None:
        """Lay out as many worlds as `num_envs` lanes need; BadInputError where they do not fill whole worlds.

        `max_episode_steps` is what a specification of Gymnasium repeats; `days` alone decides how long episodes are.
        """
        self.render_mode = checked_render_mode(render_mode)
        self.autoreset_mode = _autoreset(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self._scenario, self._days = preset(scenario), days
        worlds, rest = divmod(num_envs, self._scenario.agents)
        if rest or worlds < 1:
            raise BadInputError(
                f"num_envs is {num_envs}; scenario {scenario!r} has {self._scenario.agents} agents a world, "
                f"expected a multiple of {self._scenario.agents}"
            )
        self.num_envs = num_envs
        self._town = TownEnvironment(self._scenario, worlds=worlds, seed=0, days=days)
        description = self._town.description
        self._decisions = description.episode_length(days)
        if max_episode_steps not in {None, self._decisions}:
            raise BadInputError(
                f"max_episode_steps is {max_episode_steps}; episodes of {days} days have {self._decisions} decisions; "
                "set days"
            )
        self.single_observation_space = spaces.Box(-BOUND, BOUND, (len(description.features),), np.float32)
        self.single_action_space = spaces.Discrete(description.actions.logits)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeded, self._over = False, np.zeros(worlds, np.bool_)
        self._mask = np.ones((num_envs, description.actions.logits), np.bool_)
        self._spec: Any = None

    @property
    def spec(self) -> Any:
        """Return Gymnasium's specification, with the decisions of an episode as ``max_episode_steps``."""
        return self._spec

    @spec.setter
    def spec(self, spec: Any) -> None:
        self._spec = spec_of_length(spec, self._decisions)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Lanes, dict[str, Any]]:
        """Begin an episode in all worlds, or in those of ``options["reset_mask"]`` [num_envs].

        It is the first of `seed`, or without one the next of the running seed, which at first is drawn by chance. Of a
        list with a seed for each lane, each world takes the one of its first lane; None there draws one.
        """
        mask = None if options is None else options.get("reset_mask")
        if mask is not None:
            return self._reset_some(np.asarray(mask), seed)
        seeds = self._world_seeds(seed)
        if seeds is not None:
            self._town = TownEnvironment(self._scenario, worlds=self._town.worlds, seed=seeds, days=self._days)
        observations = self._town.reset()
        self._seeded = True
        self._over[:] = False
        self._show()
        return self._lanes(observations)

    def step(self, actions: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes, dict[str, Any]]:
        """Play one decision, actions [num_envs]; BadInputError for another shape or value."""
        begins = self._over.copy() if self.autoreset_mode == AutoresetMode.NEXT_STEP else None
        result = self._town.step(self._checked(actions))
        observations, rewards = result.observations, result.rewards.copy()
        terminated, over = result.terminations.copy(), result.over.copy()
        if begins is not None and begins.any():
            observations = self._town.reset(begins)
            rewards[begins], terminated[begins], over[begins] = 0, False, False
        self._over = over
        terminations = terminated.reshape(-1)
        done = terminations | np.repeat(over, self._scenario.agents)
        features, infos = self._lanes(observations)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and done.any():
            final, final_info = features, infos
            if over.any():
                features, infos = self._lanes(self._town.reset(over))
            infos = {**infos, "final_obs": final, "_final_obs": done, "final_info": final_info, "_final_info": done}
        self._show()
        return features, rewards.reshape(-1), terminations, done & ~terminations, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are legal now [num_envs, A]."""
        return self._mask.reshape(self.num_envs, -1).copy()

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return an attribute, or a method's answer, for each lane; ``action_masks`` gives each lane its own row.

        AttributeError for what the lanes do not have.
        """
        if name == "action_masks":
            return tuple(self.action_masks())
        value = getattr(self, name)
        return (value(*args, **kwargs) if callable(value) else value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute for each lane; AttributeError for one that the lanes do not have."""
        return (getattr(self, name),) * self.num_envs

    def set_attr(self, name: str, values: Any) -> None:
        """Refuse: lanes share one town and have no attributes of their own."""
        raise BadInputError(f"set_attr: lanes of a town have no attribute {name!r} of their own")

    def render(self) -> tuple[Any, ...] | None:
        """Return for each lane the picture or text of its world; None without a render mode or for a human."""
        if self.render_mode in {None, "human"}:
            return None
        frames = [render(self._town.batch, self.render_mode, world) for world in range(self._town.worlds)]
        return tuple(frame for frame in frames for _ in range(self._scenario.agents))

    def _show(self) -> None:
        """Write the first world for a human."""
        if self.render_mode == "human":
            sys.stdout.write(str(render(self._town.batch, "ansi")))

    def _world_seeds(self, seed: Any) -> int | list[int] | None:
        """Return the seed of all worlds, or one for each; None to go on with the running ones. Seeds `np_random`."""
        if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str) and np.ndim(seed) == 1:
            if len(seed) != self.num_envs:
                raise BadInputError(
                    f"reset: seed lists {len(seed)} numbers, expected one for each of {self.num_envs} lanes"
                )
            by_lane = [None if each is None else whole_seed(each) for each in seed]
            if any(each is not None for each in by_lane):
                self._np_random = np.random.default_rng([each or 0 for each in by_lane])
                self._np_random_seed = -1  # Gymnasium's word for a generator that no single number seeded
                firsts = by_lane[:: self._scenario.agents]
                return [draw_seed(self.np_random) if each is None else each for each in firsts]
            seed = None
        if seed is not None:
            seed = whole_seed(seed)
            super().reset(seed=seed)
            return seed
        return None if self._seeded else draw_seed(self.np_random)

    def _reset_some(self, mask: Lanes, seed: Any) -> tuple[Lanes, dict[str, Any]]:
        """Begin an episode in the worlds whose lanes are marked; a lane that is marked alone lives again by itself."""
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise BadInputError(
                f"reset: expected reset_mask as bools of shape ({self.num_envs},) with one True at least, found "
                f"{mask.dtype} {mask.shape}"
            )
        if seed is not None:
            raise BadInputError("reset: worlds of a reset_mask go on in the running seed; expected seed None")
        worlds: NDArray[np.bool_] = np.asarray(mask.reshape(self._town.worlds, -1).all(axis=1))
        self._over[worlds] = False
        return self._lanes(self._town.reset(worlds) if worlds.any() else self._town.observe())

    def _checked(self, actions: Any) -> NDArray[np.int64]:
        """Return actions [num_envs] as [W, N]; BadInputError for another shape, type or value."""
        chosen = np.asarray(actions)
        if chosen.shape != (self.num_envs,) or chosen.dtype.kind not in "iu":
            raise BadInputError(
                f"step: expected whole numbers of shape ({self.num_envs},), found {chosen.dtype} {chosen.shape}"
            )
        if chosen.dtype.kind == "u" and chosen.max() >= self.single_action_space.n:  # before it wraps around
            raise BadInputError(f"step: an action is {chosen.max()}, expected 0 to {self.single_action_space.n - 1}")
        return np.ascontiguousarray(chosen.reshape(self._town.worlds, -1), np.int64)

    def _lanes(self, observations: ObservationBatchDTO) -> tuple[Lanes, dict[str, Any]]:
        flat = observations.observations.reshape(self.num_envs, -1).copy()
        self._mask = observations.action_mask
        masks = self._mask.reshape(self.num_envs, -1).copy()
        return flat, {"action_mask": masks, "alive": observations.alive.reshape(-1).copy()}


def _autoreset(mode: Any) -> AutoresetMode:
    """Return a mode by itself, its name or its value; BadInputError for any other."""
    for each in AutoresetMode:
        if mode == each or str(mode).upper() == each.name or mode == each.value:
            return each
    names = tuple(each.name for each in AutoresetMode)
    raise BadInputError(f"autoreset_mode is {mode!r}{did_you_mean(str(mode), names)}")

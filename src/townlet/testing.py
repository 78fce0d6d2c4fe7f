"""Check the promises of an environment that a type checker cannot see: `check_environment`, for tests and for runs."""

import numpy as np
from attrs import define, field

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.environment_report import PROMISES, EnvironmentReport, PromiseReport
from townlet.errors import EnvironmentFaultError, TownletError
from townlet.ports import EnvironmentDescription, EnvironmentProvider, StubTeacher, Teacher, teacher_actions
from townlet.random_play import (
    SEED,
    BrokenPromiseError,
    Frame,
    PlayLimit,
    PlayLimitError,
    RandomPlayer,
    bad_actions,
    differences,
    frames_in_memory,
    legal_actions,
)

__all__ = ["PROMISES", "check_environment"]

_WORLDS = 5
"""Worlds of the whole batch, where the environment allows so many."""
_SEEN = ("observations", "action_mask", "alive", "keys")
_ENOUGH = 100
"""Decisions that show what a promise needs no whole day for."""
_FEW = 24
"""Decisions that every teacher is asked for."""
_LONGEST_MESSAGE = 300
_NAMED_ONLY = frozenset({"refusals", "teachers", "pure", "batches", "seeds"})
"""Promises that a run can do without: whoever breaks one is named and not refused; evidence may then be unpaired."""


def check_environment(
    provider: EnvironmentProvider, scenario: str, *, decisions: int = 20_000, seconds: float = 20.0
) -> EnvironmentReport:
    """Play a few episodes with random legal actions; return which promises the environment keeps.

    An episode has a day, or 100 decisions where there are no days; some 12 such episodes of at most 5 worlds are
    played. What is beyond `decisions`, or beyond `seconds` from the end of the first decision on, is reported as
    untested. BadInputError for an unknown scenario.
    """
    description, limit = provider.describe(scenario), PlayLimit(decisions=decisions, seconds=seconds)
    check = _Check(provider=provider, description=description, limit=limit)
    promises = tuple(check.result(name) for name in PROMISES)
    return EnvironmentReport(
        environment=description.id,
        scenario=description.scenario,
        signature=description.signature,
        promises=promises,
        decisions=limit.played,
    )


@define(kw_only=True)
class _Check:
    """Checks one promise after the other; two traces that several checks need are played once."""

    provider: EnvironmentProvider
    description: EnvironmentDescription
    limit: PlayLimit
    _traces: tuple[list[Frame], list[Frame]] | None = field(default=None, init=False)

    @property
    def _decisions(self) -> int:
        about = self.description
        return about.episode_length(1, None if about.decisions_per_day else _ENOUGH)

    @property
    def _worlds(self) -> int:
        return min(_WORLDS, self.description.most_worlds or _WORLDS)

    def result(self, promise: str) -> PromiseReport:
        """Return whether one promise is kept."""
        required = promise not in _NAMED_ONLY
        try:
            getattr(self, f"check_{promise}")()
        except BrokenPromiseError as error:
            where, found, outcome = error.where, error.found, error.outcome
        except PlayLimitError:
            where, found, outcome = f"after {self.limit.played} decisions", "the limit of the check", "untested"
        except Exception as error:  # noqa: BLE001 - the environment is foreign code, and the report says what it raised
            message = str(error).encode("utf-8", "backslashreplace").decode()
            first = (message.splitlines() or [""])[0][:_LONGEST_MESSAGE]
            where, found, outcome = "the environment", f"{type(error).__name__}: {first}", "broken"
        else:
            return PromiseReport(promise=promise, outcome="kept", required=required)
        expected = PROMISES[promise]
        return PromiseReport(
            promise=promise, outcome=outcome, required=required, where=where, found=found, expected=expected
        )

    def player(self, worlds: int | None = None, first_world: int = 0, seed: int = SEED, times: int = 1) -> RandomPlayer:
        """Return a new environment with its player; what it declares to be too large for it stays untested.

        Its episodes are `times` as long as those of the traces.
        """
        max_steps = self.description.episode_length(None, times * self._decisions)
        worlds = self._worlds if worlds is None else worlds
        if problem := self.description.limit_problem(worlds=worlds, steps=max_steps):
            raise BrokenPromiseError("most_worlds or most_steps", problem, "untested")
        environment = self.provider.make(
            self.description.scenario, worlds=worlds, seed=seed, max_steps=max_steps, first_world=first_world
        )
        if environment.worlds != worlds:
            raise BrokenPromiseError("environment.worlds", f"{environment.worlds} where {worlds} were asked for")
        return RandomPlayer(
            environment=environment, description=self.description, first_world=first_world, limit=self.limit
        )

    def trace(self) -> list[Frame]:
        """Return two episodes of a day, played turn by turn with a twin."""
        if self._traces is None:
            pair = [self.player().frames(self._decisions, 2) for _ in range(2)]
            frames = list(zip(*pair, strict=True))
            self._traces = [each for each, _ in frames], [each for _, each in frames]
        return self._traces[0]

    def where(self, index: int, what: str = "") -> str:
        """Return the place of a frame of a trace in words."""
        episode, decision = divmod(index, self._decisions + 1)
        return f"episode {episode + 1}, decision {decision}" + (f", {what}" if what else "")

    def check_shapes(self) -> None:
        """Shapes are checked while the trace is played; the descriptions are compared besides."""
        self.trace()
        again, made = self.provider.describe(self.description.scenario), self.player(1).environment.description
        if again != self.description or made.signature != self.description.signature:
            raise BrokenPromiseError("describe", "another description at the second call or in the environment")

    def check_finite(self) -> None:
        """No NaN and no infinity."""
        for index, frame in enumerate(self.trace()):
            for name in ("observations", "rewards"):
                if name in frame and not np.isfinite(frame[name]).all():
                    raise BrokenPromiseError(self.where(index, name), "a number that is not finite")

    def check_masks(self) -> None:
        """A living agent can act."""
        for index, frame in enumerate(self.trace()):
            for options in self.description.actions.segments(frame["action_mask"]) if "action_mask" in frame else ():
                if (frame["alive"] & ~options.any(-1)).any():
                    raise BrokenPromiseError(self.where(index, "action_mask"), "a living agent without a legal action")

    def check_keys(self) -> None:
        """No key comes twice in two episodes of all worlds."""
        pairs = zip(self.trace(), self.trace()[:1] + self.trace(), strict=False)
        keys = np.concatenate([frame["keys"][~before["over"]] for frame, before in pairs])
        repeated = len(keys) - len(np.unique(keys))
        if repeated:
            raise BrokenPromiseError("keys of two episodes", f"{repeated} of {len(keys)} repeated")

    def check_length(self) -> None:
        """Episodes of the usual length, and of twice that, end when they say."""
        long = self.description.episode_length(None, 2 * self._decisions)
        whole = self.description.lives_end is False
        for frames, decisions in (
            (self.trace()[: self._decisions + 1], self._decisions),
            (list(self.player(1, times=2).frames(long, 1)), long),
        ):
            over = np.zeros_like(frames[1]["over"])
            for decision, frame in enumerate(frames[1:], start=1):
                goes_on = ~frame["over"] & (over | (decision == decisions))
                if goes_on.any() or (whole and decision < decisions and frame["over"].any()):
                    ends = "goes on" if goes_on.any() else "ends"
                    raise BrokenPromiseError(f"an episode of {decisions} decisions", f"that it {ends} after {decision}")
                brought = (frame["rewards"] != 0).any(1) | (frame["sums"] != frames[decision - 1]["sums"]).any(1)
                if (over & brought).any():
                    raise BrokenPromiseError(
                        f"an episode of {decisions} decisions",
                        f"a reward or a KPI after its end, at decision {decision}",
                    )
                over = frame["over"]

    def check_tallies(self) -> None:
        """Shape, finite numbers, exposures of 0 or more."""
        for index, frame in enumerate(self.trace()):
            for name in ("sums", "exposures"):
                values, shape = frame[name], (self._worlds, len(self.description.metrics))
                if values.shape != shape:
                    raise BrokenPromiseError(
                        self.where(index, name), f"shape {values.shape[::-1]} where {shape[::-1]} is [M, W]"
                    )
                if not np.isfinite(values).all() or (name == "exposures" and (values < 0).any()):
                    raise BrokenPromiseError(
                        self.where(index, name), "a number that is not finite, or a negative exposure"
                    )

    def check_return(self) -> None:
        """Rewards add up to the objective, in each world and episode."""
        self.check_tallies()
        length = self._decisions + 1
        for episode in range(2):
            frames = self.trace()[episode * length : (episode + 1) * length]
            rewards = np.sum([frame["rewards"].sum(-1, dtype=np.float64) for frame in frames[1:]], axis=0)
            objective = self.description.objective_index
            sums, exposures = frames[-1]["sums"][:, objective], frames[-1]["exposures"][:, objective]
            if not np.allclose(sums, rewards, rtol=1e-4, atol=1e-3) or (exposures <= 0).any():
                found = f"sum {sums[0]:.6g} and exposure {exposures[0]:.6g} beside rewards of {rewards[0]:.6g}"
                raise BrokenPromiseError(f"episode {episode + 1}, {self.description.objective}", found)

    def check_pure(self) -> None:
        """Two equal environments, stepped in turn, give the same bits."""
        first = self.trace()
        assert self._traces is not None, "trace has played both"
        self.compare(first, self._traces[1], "another environment of the same seed", exact=True)

    def check_batches(self) -> None:
        """Worlds 1 to 4, and world 4 alone, are those of the whole batch, up to the rounding of floats."""
        if self._worlds == 1:
            raise BrokenPromiseError("batches", "one world at the most", "untested")
        for first in (1, self._worlds - 1):
            frames = list(self.player(self._worlds - first, first).frames(self._decisions, 2))
            whole = [{name: values[first:] for name, values in frame.items()} for frame in self.trace()]
            self.compare(whole, frames, f"the batch from world {first}", exact=False)

    def check_seeds(self) -> None:
        """The first decisions of another seed differ somewhere, and not in the keys only."""
        frames = list(self.player(seed=SEED + 1).frames(min(_ENOUGH, self._decisions), 1))
        pairs = zip(self.trace(), frames, strict=False)
        if all(np.array_equal(a[name], b[name]) for a, b in pairs for name in b if name != "keys"):
            raise BrokenPromiseError("another seed", "the same observations and rewards")

    def check_resets(self) -> None:
        """After the end, a reset of world 0 leaves the others in their final state."""
        player = self.player(2)
        final = list(player.frames(self._decisions, 1))[-1]
        observations = player.environment.reset(np.arange(2) == 0)
        after = player.frame(observations)
        for name in ("observations", "keys", "alive", "sums"):
            if name in final and not np.array_equal(final[name][1], after[name][1]):
                raise BrokenPromiseError(f"reset of world 0, {name} of world 1", "that they changed")
        step = next(player.steps(observations, 1, 0, 1))
        if not step["over"][1] or (step["over"][0] and self._decisions > 1 and self.description.lives_end is False):
            raise BrokenPromiseError("over after a reset of world 0", f"{step['over'].tolist()}")

    def check_snapshot(self) -> None:
        """Some decisions, a snapshot, as many again and the next episode in both environments."""
        player, other, half = self.player(2), self.player(2), min(_ENOUGH, self._decisions // 2)
        observations = player.environment.reset()
        for decision in range(half):
            self.limit.spend()
            observations = player.environment.step(player.actions(observations.action_mask, 0, decision)).observations
        seen = player.frame(observations)
        state = player.environment.snapshot()
        if not state:
            raise BrokenPromiseError(
                "snapshot", "no bytes: each checkpoint of ppo ends the running episodes", "not offered"
            )
        other.environment.reset()
        other.environment.restore(state)
        copy = ObservationBatchDTO(**{name: seen[name] for name in _SEEN})
        traces = [
            [*each.steps(copy, 0, half, min(2 * _ENOUGH, self._decisions)), *each.frames(min(4, self._decisions), 1)]
            for each in (player, other)
        ]
        self.compare(traces[0], traces[1], "the restored environment", exact=True)

    def check_refusals(self) -> None:
        """A wrong shape, dtype and value."""
        player = self.player(2)
        observations = player.environment.reset()
        before = player.frame(observations)
        good = player.actions(observations.action_mask, 0, 0)
        for what, actions in bad_actions(good, self.description.actions):
            try:
                player.environment.step(actions)  # that it is wrong is the point
            except TownletError:
                continue
            raise BrokenPromiseError(f"actions with {what}", "that they were played")
        if any((player.frame(observations)[name] != before[name]).any() for name in before):
            raise BrokenPromiseError("bad actions", "that they changed the state")

    def check_teachers(self) -> None:
        """Two of each choose the same legal actions, though one sees all in reverse order and without world 0."""
        count = min(_FEW, self._decisions, frames_in_memory(self.description, self._worlds))
        frames = [ObservationBatchDTO(**{name: frame[name] for name in _SEEN}) for frame in self.trace()[:count]]
        spec = self.description.actions
        for name in self.description.teachers:
            first, second = (self.provider.teacher(self.description.scenario, name) for _ in range(2))
            if isinstance(first, StubTeacher):
                continue
            chosen = [self.decide(first, name, index, each) for index, each in enumerate(frames)]
            for index in reversed(range(len(frames))):
                self.limit.spend()
                seen, actions, where = frames[index], chosen[index], f"teacher {name}, {self.where(index)}"
                if (seen.alive & ~legal_actions(seen.action_mask, actions, spec)).any():
                    raise BrokenPromiseError(where, "an action that the mask forbids")
                part = slice(min(1, self._worlds - 1), None)
                others = ObservationBatchDTO(**{name: getattr(seen, name)[part] for name in _SEEN})
                again = self.decide(second, name, index, others)
                if (seen.alive[part] & (again != actions[part]).any(-1)).any():
                    raise BrokenPromiseError(where, "other actions at another time, or in another batch")

    def decide(self, teacher: Teacher, name: str, index: int, observations: ObservationBatchDTO) -> Actions:
        """Return what a teacher does at a frame of a trace."""
        try:
            return teacher_actions(teacher, observations, self.description.actions).copy()
        except EnvironmentFaultError as error:
            raise BrokenPromiseError(f"teacher {name}, {self.where(index)}", str(error)) from error

    def compare(self, left: list[Frame], right: list[Frame], what: str, *, exact: bool) -> None:
        """Refuse a difference between two traces, naming the first."""
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            for name, found in differences(one, other, exact=exact):
                raise BrokenPromiseError(f"{what}: {self.where(index, name)}", found)

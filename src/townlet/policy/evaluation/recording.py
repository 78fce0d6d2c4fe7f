"""Play and record one episode of a policy: the one that evidence counts, with its KPIs after every decision."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.metrics import MetricSpec
from townlet.dto.recording import (
    CurveRecording,
    EpisodeRecording,
    FilmStrip,
    PackedColumn,
    RecordedKpi,
    TownRecording,
)
from townlet.policy.evaluation.comparison import NamedPolicy
from townlet.policy.evaluation.episodes import Episodes, play_episode
from townlet.ports import (
    Environment,
    EnvironmentProvider,
    EpisodeRecorder,
    PartRecorder,
    RecordingProvider,
    StatefulTeacher,
    Tallies,
    Teacher,
    close,
    keeps_state,
)

__all__ = ["PlayedEpisode", "played_episode"]

_MOST_FEATURES = 8
"""Observations of an environment that draws nothing which are shown as curves."""
_DIGITS = 4
"""Significant digits of a running KPI and of a curve, counted at the largest."""


_SMALLEST = 1e-12
"""Numbers nearer to zero are shown as zero."""


def _ignore() -> None:
    """Do nothing after a decision."""


@frozen(kw_only=True, eq=False)
class PlayedEpisode:
    """An episode that a policy has played, and that can be drawn while its environment is open."""

    policy: NamedPolicy
    """Who played."""
    source: str
    """What people call the policy."""
    metrics: tuple[MetricSpec, ...]
    """KPIs, in the order of the environment's description."""
    decisions: int
    """Length."""
    tallied: Mapping[int, Tallies]
    """KPI sums and exposures so far, by the number of decisions: all of them, or the borders of parts; the last too."""
    world: Environment
    """The environment that was played."""
    curves: CurveRecording
    """Reward and observations, rounded by their own largest values."""
    beginning: tuple[float, ...]
    """The first of its observations, as they were before the first decision."""
    recorder: EpisodeRecorder | None
    """Draws it; None where it cannot be drawn."""

    @property
    def part(self) -> int | None:
        """Decisions of a part of it that a report holds; None where only the whole can be shown."""
        return self.recorder.part if isinstance(self.recorder, PartRecorder) else None

    def recording(self, part: tuple[int, int] | None = None, most: int | None = None) -> EpisodeRecording:
        """Return the recording, of decisions first … last − 1 where `part` says so.

        A strip of pictures is thinned out to `most` characters.
        """
        first, last = part or (0, self.decisions)
        if isinstance(self.recorder, PartRecorder):
            during: list[Tallies] = []

            def keep() -> None:
                during.append(_copied(self.world.tallies()))

            drawn: object = self.recorder.recording_of(
                first,
                last,
                is_coarse=part is not None,
                on_decision=keep,
            )
        else:
            during = [self.tallied[decision] for decision in range(first, last + 1)]
            drawn = None if self.recorder is None else self.recorder.recording()
        whole, moments = _episodes([self.tallied[self.decisions]]), _episodes(during)
        film = drawn if isinstance(drawn, FilmStrip) else None
        return EpisodeRecording(
            policy=self.policy.name,
            source=self.source,
            decisions=self.decisions,
            kpis=tuple(_kpi(spec, whole.ratios(m)[0], moments.ratios(m)) for m, spec in enumerate(self.metrics)),
            curves=self.curves if part is None else CurveRecording(columns=()),
            town=drawn if isinstance(drawn, TownRecording) else None,
            film=film if film is None or most is None else film.within(most),
        )


def _episodes(tallied: Sequence[Tallies]) -> Episodes:
    """Return moments of one world as if they were episodes: their quotients are computed as evidence computes them."""
    return Episodes(
        sums=np.concatenate([tallies.sums for tallies in tallied], axis=1),
        exposures=np.concatenate([tallies.exposures for tallies in tallied], axis=1),
        agent_steps=len(tallied),
    )


def _copied(tallies: Tallies) -> Tallies:
    return Tallies(sums=tallies.sums.copy(), exposures=tallies.exposures.copy())


@contextmanager
def played_episode(
    environments: EnvironmentProvider,
    scenario: str,
    named: NamedPolicy,
    *,
    source: str,
    seed: int,
    max_steps: int,
    episode: int,
    every: int | None = None,
    on_decision: Callable[[], None] = _ignore,
) -> Iterator[PlayedEpisode]:
    """Play the episode that `play` plays as the one numbered `episode` of a seed; it can be drawn inside the block.

    `source` is what people call the policy, `every` the decisions between two pictures of an environment that draws
    itself. An environment that cannot be drawn is recorded as curves.
    """
    recorder = None
    if isinstance(environments, RecordingProvider):
        recorder = environments.recorder(scenario, seed=seed, max_steps=max_steps, world=episode, every=every)
    inner: Environment = recorder or environments.make(
        scenario, worlds=1, seed=seed, max_steps=max_steps, first_world=episode
    )
    curves = _CurveRecorder(inner, named.policy, recorder.part if isinstance(recorder, PartRecorder) else 1)
    try:
        length = int(play_episode(curves, curves, max_steps, on_decision)[0])
        yield PlayedEpisode(
            policy=named,
            source=source,
            metrics=environments.describe(scenario).metrics,
            decisions=length,
            tallied=curves.tallied,
            world=inner,
            curves=curves.recording(),
            beginning=curves.beginning(),
            recorder=recorder if isinstance(recorder, EpisodeRecorder) else None,
        )
    finally:
        close(inner)


class _CurveRecorder:
    """An environment of one world and the policy in it, passed on as they are; keeps what every environment has."""

    def __init__(self, inner: Environment, policy: Teacher, every: int) -> None:
        self.description, self.worlds = inner.description, inner.worlds
        self._inner, self._policy = inner, policy
        self.keeps_state = keeps_state(policy)
        self.tallied: dict[int, Tallies] = {}
        self._every = every
        self._features: list[NDArray[np.float32]] = []
        self._rewards: list[float] = []

    def begin(self, worlds: NDArray[np.bool_]) -> None:
        """Tell the policy that an episode begins."""
        if isinstance(self._policy, StatefulTeacher):
            self._policy.begin(worlds)

    def act(self, observations: ObservationBatchDTO) -> Actions:
        """Return what the policy does."""
        return self._policy.act(observations)

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the episode."""
        observations = self._inner.reset(worlds)
        self._keep(observations, 0.0)
        return observations

    def step(self, actions: Actions) -> StepResult:
        """Play one decision."""
        result = self._inner.step(actions)
        self._keep(result.observations, float(result.rewards.sum()), is_last=bool(result.over.all()))
        return result

    def tallies(self) -> Tallies:
        """Return the KPI sums so far."""
        return self._inner.tallies()

    def snapshot(self) -> bytes:
        """Return the environment's snapshot."""
        return self._inner.snapshot()

    def restore(self, state: bytes) -> None:
        """Restore the environment."""
        self._inner.restore(state)

    def recording(self) -> CurveRecording:
        """Return the reward of each decision, and the first features of the first agent before it."""
        features = np.array(self._features)
        names = self.description.features[:_MOST_FEATURES]
        curves = {"reward": np.array(self._rewards)} | {name: features[:, i] for i, name in enumerate(names)}
        return CurveRecording(columns=tuple(_packed(name, values) for name, values in curves.items()))

    def beginning(self) -> tuple[float, ...]:
        """Return the first features of the first agent before the first decision."""
        return tuple(map(float, self._features[0]))

    def _keep(self, observations: ObservationBatchDTO, reward: float, *, is_last: bool = False) -> None:
        decision = len(self._rewards)
        if is_last or decision % self._every == 0:
            self.tallied[decision] = _copied(self._inner.tallies())
        self._features.append(observations.observations[0, 0, :_MOST_FEATURES].copy())
        self._rewards.append(reward)


def _kpi(spec: MetricSpec, value: float | None, shown: Sequence[float | None]) -> RecordedKpi:
    """Return a KPI of the whole episode, and after each decision that is shown."""
    return RecordedKpi(
        name=spec.name,
        unit=spec.unit,
        direction=spec.direction.value,
        value=value,
        running=_packed(spec.name, np.array([0.0 if ratio is None else ratio for ratio in shown])),
        known=PackedColumn.of(spec.name, np.array([ratio is not None for ratio in shown])),
    )


def _packed(name: str, values: NDArray[np.floating]) -> PackedColumn:
    """Return finite values, rounded to so many digits of the largest."""
    finite = np.where(np.isfinite(values), values, 0.0)
    largest = float(np.abs(finite).max(initial=0.0))
    exponent = 0 if largest < _SMALLEST else int(np.floor(np.log10(largest)))
    return PackedColumn.of(name, finite, 10.0 ** (_DIGITS - 1 - exponent))

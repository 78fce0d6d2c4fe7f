"""Which episode to look at: one of a run's evidence, or one that `townlet evaluate` plays."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from attrs import evolve, field, frozen

from townlet.dto.evidence import CANDIDATE, PairedMetric
from townlet.dto.policy_ref import parse_teacher
from townlet.dto.recording import EpisodeRecording, RecordedPair
from townlet.dto.run_data import VisitEvidence
from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.machine.audit.run_data import RunData
from townlet.policy.evaluation.comparison import NamedPolicy, PolicyReference, fit_policy
from townlet.policy.evaluation.recording import record_episode
from townlet.policy.model.weights import read_weights
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.ports import EnvironmentProvider, provider
from townlet.rng import derive

__all__ = ["EXTREMES", "ChosenEpisode", "episode_of_run", "episode_of_seed", "record_pair"]

EXTREMES: Mapping[str, str] = MappingProxyType({"gain": "gained most", "loss": "gained least or lost most"})
"""Words for two episodes of a run's evidence, and what the candidate did in them against the baseline."""
_MOST = 1_000_000
_SHOWN = 4
"""KPIs that a sentence names."""
Actions = Literal["greedy", "stochastic"]


@frozen(kw_only=True)
class ChosenEpisode:
    """One episode, and the policies that play it."""

    environment: EnvironmentSpec
    """Where it is played; its scenario too."""
    environments: EnvironmentProvider
    """Makes and records it; without worker processes."""
    seed: int
    """Keys the episodes."""
    episode: int
    """Number of the episode, from 0."""
    max_steps: int
    """The most decisions."""
    actions: Actions
    """How learned policies choose."""
    policies: tuple[tuple[NamedPolicy, str], ...]
    """The policies, and what each is called."""
    origin: str
    """Where the episode comes from, as a sentence."""
    unpaired: bool = False
    """True where it is known that the environment does not obey its seed."""
    counted: Mapping[str, Mapping[str, float | None]] = field(factory=dict)
    """What evidence counted in this episode, by policy and KPI; empty where no evidence holds it."""


def episode_of_seed(
    references: tuple[PolicyReference, ...],
    *,
    environment: EnvironmentSpec,
    imports: Imports,
    seed: int,
    episode: str,
    days: int | None,
    actions: Actions,
) -> ChosenEpisode:
    """Return an episode of a seed: the one with this number among those that `townlet evaluate --seed` plays."""
    environments = provider(environment, imports)
    if not 0 <= seed < 2**63:
        raise BadInputError("--seed cannot be used; expected a whole number from 0 to 2**63 - 1")
    number = _number(episode, _MOST, "of a seed")
    days = next((each.days for each in references if each.days), 14) if days is None else days
    if not 1 <= days <= _MOST:
        raise BadInputError(f"--days {days}: expected 1 to {_MOST:,}")
    description = environments.describe(environment.scenario)
    max_steps = description.episode_length(days)
    if problem := description.limit_problem(steps=max_steps):
        raise BadInputError(problem)
    return ChosenEpisode(
        environment=environment,
        environments=environments,
        seed=derive(seed, "compare"),
        episode=number,
        max_steps=max_steps,
        actions=actions,
        policies=tuple(
            (fit_policy(each, environments, environment.scenario, actions), each.source) for each in references
        ),
        origin=(
            f"This is episode {number} of seed {seed}, as townlet evaluate --seed {seed}"
            f"{f' --days {days}' if description.decisions_per_day else ''} plays it."
        ),
    )


def episode_of_run(run: RunData, *, imports: Imports, episode: str, scenario: str | None = None) -> ChosenEpisode:
    """Return an episode of a run's last evidence, with its candidate and the first baseline that can play.

    `episode` is a number from 0, ``gain`` or ``loss``: where the candidate's objective was furthest above, or below,
    the baseline's. `scenario` is one of the evidence's suite, by default the first. BadInputError where the run has no
    evidence, or none of such an episode.
    """
    if not run.evidence:
        raise BadInputError(f"run {run.id} has no evidence yet; name policies with --policy, or a run that evaluated")
    evidence, schedule = run.evidence[-1], run.schedule
    table, spec = evidence.table, schedule.evidence[evidence.table.evidence]
    suite = spec.scenarios or (schedule.environment.scenario,)
    scenario = suite[0] if scenario is None else scenario
    if scenario not in suite:
        raise BadInputError(f"run {run.id} has no evidence of {scenario!r}; it has that of {', '.join(suite)}")
    source = EnvironmentSource(imports=imports, home=run.directory.home(run.home))
    environments = source.of_schedule(evolve(schedule, environment=evolve(schedule.environment, workers=0)), run.path)
    description = environments.describe(scenario)
    baseline = next((name for name in table.baselines if not table.is_recorded(name)), None)
    sides = {CANDIDATE: table.candidate} | ({} if baseline is None else {baseline: table.baselines[baseline]})
    prefix = f"[{scenario}]." if spec.scenarios else ""
    rows = {row.metric.removeprefix(prefix): row for row in table.metrics if row.metric.startswith(prefix)}
    higher = description.metrics[description.objective_index].direction.value != "lower"
    number = _chosen(episode, rows[description.objective], baseline, higher, table.looks[-1])

    def policy(reference: str) -> NamedPolicy:
        teacher = parse_teacher(reference)
        if teacher is not None:
            return NamedPolicy(name=reference, policy=environments.teacher(scenario, teacher))
        weights = read_weights(run.blobs.get(reference), f"weights {reference[:12]}")
        weights.check_fits(description, f"weights {reference[:12]}")
        return NamedPolicy(name=reference, policy=weights.policy(spec.actions))

    return ChosenEpisode(
        environment=evolve(schedule.environment, scenario=scenario),
        environments=provider(schedule.environment, imports),
        seed=table.seed,
        episode=number,
        max_steps=description.episode_length(spec.days, spec.max_steps),
        actions=spec.actions,
        policies=tuple((policy(reference), name) for name, reference in sides.items()),
        origin=_origin(run, evidence, number, episode, baseline),
        unpaired=table.unpaired,
        counted={
            reference: {name: row.values[side][number] for name, row in rows.items() if side in row.values}
            for side, reference in sides.items()
        },
    )


def record_pair(
    chosen: ChosenEpisode, *, every: int | None = None, on_decision: Callable[[], None] = lambda: None
) -> RecordedPair:
    """Return the episode as each policy played it; `every` is the number of decisions between pictures."""
    scenario = chosen.environment.scenario
    episodes = tuple(
        record_episode(
            chosen.environments,
            scenario,
            named,
            source=source,
            seed=chosen.seed,
            max_steps=chosen.max_steps,
            episode=chosen.episode,
            every=every,
            on_decision=on_decision,
        )
        for named, source in chosen.policies
    )
    return RecordedPair(
        environment=chosen.environment.id,
        scenario=scenario,
        objective=chosen.environments.describe(scenario).objective,
        seed=chosen.seed,
        episode=chosen.episode,
        actions=chosen.actions,
        origin=chosen.origin,
        unpaired=chosen.unpaired or not _begin_alike(episodes),
        doubt=_doubt(chosen, episodes),
        episodes=episodes,
    )


def _begin_alike(episodes: tuple[EpisodeRecording, ...]) -> bool:
    """Return whether all recordings begin with the same observation."""
    beginnings = [[float(curve.values()[0, 0]) for curve in each.curves.columns] for each in episodes]
    return all(beginning == beginnings[0] for beginning in beginnings)


def _number(episode: str, count: int, where: str) -> int:
    """Return the number of an episode; BadInputError for anything else."""
    if not (episode.isascii() and episode.isdecimal() and len(episode) < 10 and int(episode) < count):
        raise BadInputError(f"--episode {episode[:40]}: expected a whole number from 0 to {count - 1:,} {where}")
    return int(episode)


def _chosen(episode: str, row: PairedMetric, baseline: str | None, higher: bool, count: int) -> int:
    if episode not in EXTREMES:
        return _number(episode, count, f"or {' or '.join(EXTREMES)}: the run's evidence has {count} episodes")
    values = row.values[CANDIDATE]
    others = row.values.get(baseline or "", (0.0,) * len(values))
    sign = (1 if higher else -1) * (1 if episode == "gain" else -1)
    pairs = [
        (sign * (value - other), -i)
        for i, (value, other) in enumerate(zip(values, others, strict=True))
        if value is not None and other is not None
    ]
    if not pairs:
        raise BadInputError(
            f"--episode {episode}: {row.metric} is not known in any pair; name an episode by its number"
        )
    return -max(pairs)[1]


def _origin(run: RunData, evidence: VisitEvidence, number: int, episode: str, baseline: str | None) -> str:
    extreme = f", the one in which the candidate {EXTREMES[episode]}" if episode in EXTREMES else ""
    against = "" if baseline is None else f" against {baseline}"
    return (
        f"This is episode {number} of the {evidence.table.looks[-1]} that {evidence.state} visit {evidence.visit} of "
        f"run {run.id} counted for its candidate{against}{extreme}."
    )


def _doubt(chosen: ChosenEpisode, episodes: tuple[EpisodeRecording, ...]) -> str:
    """Return a sentence where a KPI of the recording is not what evidence counted; empty where all agree."""
    other = sorted(
        {
            kpi.name
            for episode in episodes
            for kpi in episode.kpis
            if kpi.name in (counted := chosen.counted.get(episode.policy, {})) and counted[kpi.name] != kpi.value
        }
    )
    if not other:
        return ""
    names = ", ".join(other[:_SHOWN]) + (f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else "")
    why = "the environment ignores its seed" if chosen.unpaired else "the environment or a library is another version"
    return f"What is shown is not what the evidence counted ({names} differ): {why}."

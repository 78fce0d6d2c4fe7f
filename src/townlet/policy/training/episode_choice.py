"""Which episode to look at: one of a run's evidence, or one that `townlet evaluate` plays."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from attrs import evolve, field, frozen

from townlet.dto.evidence import CANDIDATE, EvidenceTable, PairedMetric
from townlet.dto.policy_ref import parse_teacher
from townlet.dto.run_data import VisitEvidence
from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.machine.audit.run_data import RunData
from townlet.policy.evaluation.comparison import NamedPolicy, PolicyReference, fit_policy
from townlet.policy.model.weights import read_weights
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.ports import EnvironmentDescription, EnvironmentProvider, provider
from townlet.rng import derive

__all__ = ["EXTREMES", "ChosenEpisode", "episode_of_run", "episode_of_seed"]

EXTREMES: Mapping[str, str] = MappingProxyType({"gain": "gained most", "loss": "gained least or lost most"})
"""Words for two episodes of a run's evidence, and what the candidate did in them against the baseline."""
_MOST = 1_000_000
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
    extreme: str = ""
    """``gain`` or ``loss`` where it was chosen for the largest one; empty where it was named."""
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


def episode_of_run(
    run: RunData, *, imports: Imports, episode: str, scenario: str | None = None, evidence: VisitEvidence | None = None
) -> ChosenEpisode:
    """Return an episode of a run's evidence, by default the last, with its candidate and the first baseline that plays.

    `episode` is a number from 0, ``gain`` or ``loss``: where the candidate's objective was furthest above, or below,
    the baseline's. `scenario` is one of the evidence's suite, by default the first; for gain and loss it is by default
    the one in which it was furthest. BadInputError where the run has no evidence, or none of such an episode.
    """
    if not run.evidence:
        raise BadInputError(f"run {run.id} has no evidence yet; name policies with --policy, or a run that evaluated")
    evidence, schedule = evidence or run.evidence[-1], run.schedule
    table, spec = evidence.table, schedule.evidence[evidence.table.evidence]
    suite = spec.scenarios or (schedule.environment.scenario,)
    if scenario is not None and scenario not in suite:
        raise BadInputError(f"run {run.id} has no evidence of {scenario!r}; it has that of {', '.join(suite)}")
    source = EnvironmentSource(imports=imports, home=run.directory.home(run.home))
    environments = source.of_schedule(evolve(schedule, environment=evolve(schedule.environment, workers=0)), run.path)
    baseline = next((name for name in table.baselines if not table.is_recorded(name)), None)
    sides = {CANDIDATE: table.candidate} | ({} if baseline is None else {baseline: table.baselines[baseline]})
    extreme = ""
    if episode in EXTREMES:
        searched = suite if scenario is None else (scenario,)
        scenario, number = _extreme(episode, table, {each: environments.describe(each) for each in searched}, baseline)
        of_all = " of all scenarios" if len(searched) > 1 else ""
        extreme = f", the one{of_all} in which the candidate {EXTREMES[episode]}"
    else:
        scenario = suite[0] if scenario is None else scenario
        count = table.looks[-1]
        number = _number(episode, count, f"or {' or '.join(EXTREMES)}: the run's evidence has {count} episodes")
    description, rows = environments.describe(scenario), _rows(table, scenario)

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
        origin=_origin(run, evidence, number, baseline, f" in {scenario}" if spec.scenarios else "", extreme),
        extreme=episode if episode in EXTREMES else "",
        unpaired=table.unpaired,
        counted={
            reference: {name: row.values[side][number] for name, row in rows.items() if side in row.values}
            for side, reference in sides.items()
        },
    )


def _number(episode: str, count: int, where: str) -> int:
    """Return the number of an episode; BadInputError for anything else."""
    if not (episode.isascii() and episode.isdecimal() and len(episode) < 10 and int(episode) < count):
        raise BadInputError(f"--episode {episode[:40]}: expected a whole number from 0 to {count - 1:,} {where}")
    return int(episode)


def _rows(table: EvidenceTable, scenario: str) -> Mapping[str, PairedMetric]:
    """Return a scenario's rows of the evidence by KPI; without a suite the rows name no scenario."""
    prefix = f"[{scenario}]."
    own = {row.metric.removeprefix(prefix): row for row in table.metrics if row.metric.startswith(prefix)}
    return own or {row.metric: row for row in table.metrics}


def _extreme(
    extreme: str, table: EvidenceTable, descriptions: Mapping[str, EnvironmentDescription], baseline: str | None
) -> tuple[str, int]:
    """Return the scenario and the number of the episode with the largest gain or loss; the first of equal ones."""
    best: tuple[float, str, int] | None = None
    for scenario, description in descriptions.items():
        row = _rows(table, scenario)[description.objective]
        higher = description.metrics[description.objective_index].direction.value != "lower"
        sign = (1 if higher else -1) * (1 if extreme == "gain" else -1)
        values = row.values[CANDIDATE]
        others = row.values.get(baseline or "", (0.0,) * len(values))
        for number, (value, other) in enumerate(zip(values, others, strict=True)):
            if value is None or other is None:
                continue
            if best is None or sign * (value - other) > best[0]:
                best = sign * (value - other), scenario, number
    if best is None:
        names = ", ".join(dict.fromkeys(each.objective for each in descriptions.values()))
        raise BadInputError(f"--episode {extreme}: {names} is not known in any pair; name an episode by its number")
    return best[1:]


def _origin(run: RunData, evidence: VisitEvidence, number: int, baseline: str | None, place: str, extreme: str) -> str:
    """Return where an episode of a run comes from, as a sentence."""
    against = "" if baseline is None else f" against {baseline}"
    return (
        f"This is episode {number} of the {evidence.table.looks[-1]}{place} that {evidence.state} visit "
        f"{evidence.visit} of run {run.id} counted for its candidate{against}{extreme}."
    )

"""Compare recipes: the runs of each schedule together, KPI by KPI, over the episodes of their last evidence."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from attrs import evolve, frozen

from townlet.confidence.bootstrap import Runs, improvement, interquartile_mean
from townlet.dto.codec import Record
from townlet.dto.evidence import EvidenceTable
from townlet.dto.metrics import MetricSpec
from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError, TownletError
from townlet.machine.audit.snapshot import RunSnapshot, load_run, schedules
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.replication.evidence import guarded_kpis, known_values, last_evidence
from townlet.machine.replication.summary import ALPHA
from townlet.ports import EnvironmentDescription
from townlet.store.blobs import BlobStore
from townlet.store.run_index import original, places
from townlet.store.rundir import RunDirectory

__all__ = ["MeasuredRun", "Recipe", "RecipeComparison", "RecipeKpi", "compare_recipes", "named_runs"]


@frozen(kw_only=True)
class MeasuredRun:
    """A run and its last evidence."""

    id: str
    """Run id."""
    directory: RunDirectory
    """Where it is."""
    snapshot: RunSnapshot
    """The run, verified."""
    table: EvidenceTable
    """Its last evidence."""

    @property
    def recipe(self) -> str:
        """Digest of the schedule in force."""
        return schedules(self.snapshot.entries)[-1]

    @property
    def seed(self) -> int:
        """Seed of the run."""
        created = self.snapshot.state.created
        return 0 if created is None else created.seed

    @property
    def conditions(self) -> Mapping[str, object]:
        """What must be equal for two runs' numbers to mean the same, by the name that a person knows it by."""
        schedule, created = self.snapshot.schedule, self.snapshot.state.created
        evidence, environment = schedule.evidence[self.table.evidence], schedule.environment
        return {
            "environment": environment.id,
            "scenario": environment.scenario,
            "scenarios of the evidence": evidence.scenarios,
            "environment.with": dict(environment.with_),
            "environment.max_steps": environment.max_steps,
            "environment.metrics": environment.metrics,
            "days of an episode": evidence.days,
            "max_steps of an episode": evidence.max_steps,
            "actions": evidence.actions,
            "rules of the environment (signature)": "" if created is None else created.environment[:12],
        }


@frozen(kw_only=True)
class Recipe(Record):
    """The runs of one schedule."""

    name: str
    """Name of the schedule, with the beginning of its digest where two recipes have one name."""
    digest: str
    """SHA-256 of the schedule."""
    runs: tuple[str, ...]
    """Ids of the runs, in the order of their seeds."""
    seeds: tuple[int, ...]
    """Their seeds."""


@frozen(kw_only=True)
class RecipeKpi(Record):
    """One KPI of one recipe. Numbers are None where `problem` says why nothing is known."""

    recipe: str
    """Name of the recipe."""
    metric: str
    """Name of the KPI."""
    unit: str
    """Unit of the KPI."""
    direction: str
    """Direction in which the KPI improves: higher, lower or none."""
    runs: int
    """n, runs."""
    episodes: int
    """Episodes of all runs that have a value."""
    left_out: int
    """Episodes that have none: the candidate had no exposure there."""
    mean: float | None = None
    """Mean over runs and episodes."""
    iqm: float | None = None
    """Interquartile mean over runs and episodes."""
    iqm_low: float | None = None
    """Lower end of its 95 % bootstrap interval."""
    iqm_high: float | None = None
    """Upper end."""
    improvement: float | None = None
    """Chance that an episode is better than one of the first recipe, higher where the KPI has no better direction; None
    for the first."""
    improvement_low: float | None = None
    """Lower end of its 95 % bootstrap interval."""
    improvement_high: float | None = None
    """Upper end."""
    problem: str = ""
    """Why nothing is known."""


@frozen(kw_only=True)
class RecipeComparison(Record):
    """Two recipes or more, the first one the one that the others are compared with."""

    recipes: tuple[Recipe, ...]
    """The recipes."""
    objective: str
    """The KPI that the first recipe's guards want better; its first KPI where they want none."""
    kpis: tuple[RecipeKpi, ...]
    """One for each KPI and recipe, the objective first."""


def named_runs(
    home: Path, words: Sequence[str], catalogue: StrategyCatalogue
) -> tuple[Sequence[MeasuredRun], Sequence[str]]:
    """Return the runs that words name, one for each schedule and seed, and why others are left out.

    A word is the name of a schedule, for all its runs in the home that are no rehearsals, or of one run. BadInputError
    for an unknown word, and for a single run without evidence.
    """
    measured, left_out = dict[tuple[str, int], MeasuredRun](), list[str]()
    every = [place for place in places(home) if original(home, place.id, place.path) == place.path]
    for word in words:
        of_schedule = [place.path for place in every if place.name == word and not place.is_rehearsal]
        for path in of_schedule or [RunDirectory.find(home, word).path]:
            try:
                run = _measured(home, RunDirectory.at(path), catalogue)
            except TownletError as error:
                if not of_schedule:
                    raise
                left_out.append(str(error))
                continue
            earlier = measured.setdefault((run.recipe, run.seed), run)
            if earlier.id != run.id:
                left_out.append(f"run {run.id} has the schedule and the seed of run {earlier.id}: it says nothing new")
    return tuple(measured.values()), left_out


def _measured(home: Path, directory: RunDirectory, catalogue: StrategyCatalogue) -> MeasuredRun:
    blobs = BlobStore(directory.home(home) / "blobs")
    snapshot = load_run(directory, blobs, catalogue)
    if snapshot.state.rehearsal:
        raise BadInputError(f"run {directory.id} is a rehearsal: its numbers mean nothing; name a run")
    table = last_evidence(snapshot, blobs)
    if table is None:
        raise BadInputError(
            f"run {directory.id} is in {snapshot.state.state} and has no evidence to compare; finish it"
        )
    return MeasuredRun(id=directory.id, directory=directory, snapshot=snapshot, table=table)


def compare_recipes(
    runs: Sequence[MeasuredRun], describe: Callable[[EnvironmentSpec], EnvironmentDescription]
) -> RecipeComparison:
    """Return the comparison of all recipes with the first; runs of one schedule are one recipe.

    BadInputError where there are fewer than two recipes, and where two runs cannot be compared, with every difference.
    """
    groups: dict[str, list[MeasuredRun]] = {}
    for run in runs:
        groups.setdefault(run.recipe, []).append(run)
    if len(groups) < 2:
        one = runs[0].snapshot.schedule.name if runs else "none"
        raise BadInputError(f"all {len(runs)} runs follow one schedule ({one}); expected the runs of two or more")
    _check_comparable(runs)
    names = [group[0].snapshot.schedule.name for group in groups.values()]
    recipes, measured = [], []
    for (digest, group), name in zip(groups.items(), names, strict=True):
        ordered = sorted(group, key=lambda run: (run.seed, run.id))
        label = name if names.count(name) == 1 else f"{name} ({digest[:8]})"
        recipes.append(
            Recipe(
                name=label,
                digest=digest,
                runs=tuple(run.id for run in ordered),
                seeds=tuple(run.seed for run in ordered),
            )
        )
        measured.append(ordered)
    schedule, table = measured[0][0].snapshot.schedule, measured[0][0].table
    metrics, rows = describe(schedule.environment).metrics, [row.metric for row in table.metrics]
    guarded = [kpi.metric for kpi in guarded_kpis(schedule) if kpi.metric in rows]
    ordered_rows = [*dict.fromkeys((*guarded, *rows))]
    kpis = (kpi for row in ordered_rows for kpi in _kpis(row, _spec(row, metrics), recipes, measured))
    return RecipeComparison(recipes=tuple(recipes), objective=ordered_rows[0], kpis=tuple(kpis))


def _spec(row: str, metrics: Sequence[MetricSpec]) -> MetricSpec | None:
    name = row.rpartition(".")[2]
    return next((metric for metric in metrics if metric.name == name), None)


def _check_comparable(runs: Sequence[MeasuredRun]) -> None:
    first, expected = runs[0], runs[0].conditions
    for run in runs[1:]:
        found = run.conditions
        differences = [
            f"{name} {found[name]!r} and {value!r}" for name, value in expected.items() if found[name] != value
        ]
        if differences:
            raise BadInputError(
                f"runs {run.id} and {first.id} cannot be compared: their numbers mean different things: "
                f"{'; '.join(differences)}; compare runs of one environment whose evidence has the same episodes, or "
                "play both policies with: townlet evaluate"
            )


def _kpis(
    row: str, spec: MetricSpec | None, recipes: Sequence[Recipe], measured: Sequence[Sequence[MeasuredRun]]
) -> Sequence[RecipeKpi]:
    """Return one KPI of every recipe."""
    unit, direction = ("", "none") if spec is None else (spec.unit, spec.direction.value)
    first, kpis = None, []
    for recipe, runs in zip(recipes, measured, strict=True):
        every = [_values(run.table, row) for run in runs]
        known: Runs = [np.array([value for value in values if value is not None]) for values in every]
        episodes = sum(map(len, known))
        kpi = RecipeKpi(
            recipe=recipe.name,
            metric=row,
            unit=unit,
            direction=direction,
            runs=len(runs),
            episodes=episodes,
            left_out=sum(map(len, every)) - episodes,
        )
        if not all(map(len, known)):
            without = ", ".join(run.id for run, values in zip(runs, known, strict=True) if not len(values))
            kpis.append(evolve(kpi, problem=f"no valid number in {without}"))
            continue
        key = f"{recipe.digest} {row}"
        iqm = interquartile_mean(known, ALPHA, key)
        mean = float(np.concatenate(known).mean())
        kpi = evolve(kpi, mean=mean, iqm=iqm.value, iqm_low=iqm.low, iqm_high=iqm.high)
        if first is not None:
            sides = (first, known) if direction == "lower" else (known, first)
            chance = improvement(*sides, ALPHA, key)
            kpi = evolve(kpi, improvement=chance.value, improvement_low=chance.low, improvement_high=chance.high)
        first = known if recipe is recipes[0] else first
        kpis.append(kpi)
    return kpis


def _values(table: EvidenceTable, row: str) -> list[float | None]:
    return next((known_values(each, "candidate") for each in table.metrics if each.metric == row), [])
